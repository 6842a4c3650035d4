"""Can a driver do a scenario? What the analysis found, held against a driver's row; pure.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_netbench.drivers.driver import Driver
    from pytest_netbench.scenario.analysis import Analysis


def unsupported(driver: Driver, analysis: Analysis) -> str | None:
    """Why it can't do this scenario, or None."""
    if driver.features is not None:
        missing = sorted(one.value for one in analysis.needs if one.name.lower() not in driver.features)
        if missing:
            return f"it doesn't carry {', '.join(missing)}"
    for finding in analysis.findings:
        if driver.family in finding.breaks:
            return f"{finding.path}: {finding.why}"
    return None
