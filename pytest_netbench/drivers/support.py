"""Can a driver do a scenario? What the analysis found, held against a driver's row; pure.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_netbench.drivers.choice import check_options, of_side
from pytest_netbench.drivers.driver import Level
from pytest_netbench.drivers.foreign import Foreign, placeholders
from pytest_netbench.errors import Unsupported
from pytest_netbench.roles import Role
from pytest_netbench.scenario.features import PLAIN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from pytest_netbench.drivers.driver import Driver
    from pytest_netbench.scenario.analysis import Analysis
    from pytest_netbench.scenario.shape import Shape


def check(driver: Driver, analysis: Analysis, role: Role, options: Mapping[str, object]) -> None:
    """Whether a driver can do a scenario on that side with these options, of both sides.

    :raises Unsupported: if it can't; says why.
    :raises UsageError: if an option isn't anybody's, or has a wrong value.
    """
    checked = check_options(driver, of_side(options, driver, role))
    reason = unsupported(driver, analysis, role)
    if reason is None and checked.get("multiplex") is False and analysis.streams_per_connection > 1:
        reason = f"{analysis.streams_per_connection} streams a connection need multiplexing, which is switched off"
    if reason is not None:
        raise Unsupported(f"driver {driver.name} as {role.value}: {reason}")


def unsupported(driver: Driver, analysis: Analysis, role: Role) -> str | None:
    """Why it can't do this scenario on that side, or None.

    A driver whose row doesn't say what it has says itself what of the format it can't do, by its exit status; of what
    extends the format it knows nothing: its parser passes over such fields, and would measure something else.
    """
    if role not in driver.commands:
        return f"{driver.name} has no command for a {role.value}"
    if driver.foreign is not None:
        return _foreign(driver.foreign, driver.level, analysis.plain, role)
    if lacking := sorted(one for one in analysis.needs - PLAIN if one.word not in (driver.features or ())):
        return f"the scenario requires {', '.join(f'{one.word!r} ({one.value})' for one in lacking)}"
    if driver.features is not None:
        missing = sorted(one.value for one in analysis.needs if one.word not in driver.features)
        if missing:
            return f"it doesn't carry {', '.join(missing)}"
    for finding in analysis.findings:
        if driver.family in finding.breaks:
            return f"{finding.path}: {finding.why}"
    return None


def _foreign(foreign: Foreign, level: Level, plain: Shape | str, role: Role) -> str | None:
    """The same for a program that has lines for plain transfers; ``plain`` is the scenario's, or why it is none."""
    if isinstance(plain, str):
        return f"it does downloads, uploads and handshakes only: {plain}"
    lines = foreign.lines[role]
    if plain.kind not in lines:
        known = ", ".join(f"`{kind.value}`" for kind in lines)
        return f"it has no `{plain.kind.value}`, only {known}"
    if level is Level.INTEROP:
        return None if plain.seconds is None else "a file has a size, the scenario says how long, not how much"
    return _without(plain, role, set(placeholders(*lines[plain.kind])))


def _without(plain: Shape, role: Role, wanted: AbstractSet[str]) -> str | None:
    """Why a line of level command with these placeholders can't do it, or None."""
    if role is Role.CLIENT and plain.streams > 1 and "streams" not in wanted:
        return f"its `{plain.kind.value}` has no {{streams}}, the scenario has {plain.streams} a connection"
    if "seconds" in wanted and plain.seconds is None:
        return f"its `{plain.kind.value}` wants {{seconds}}, the scenario says how much, not how long"
    if role is Role.CLIENT and plain.seconds is not None and "seconds" not in wanted:
        return f"its `{plain.kind.value}` has no {{seconds}}, the scenario says how long, not how much"
    return None
