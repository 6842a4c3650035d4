"""How do instants of one machine's clock become those of another's? A report, with every instant in it moved; pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pytest_netbench.telemetry.model import ConnectionReport, HostReport

Here = Callable[[int], int]
"""From nanoseconds of that host's monotonic clock to the coordinator's."""


def shifted(report: HostReport, here: Here) -> HostReport:
    """The same report on the coordinator's clock. Durations stay as the host measured them."""

    def moved(instant: int | None) -> int | None:
        return None if instant is None else here(instant)

    def connection(one: ConnectionReport) -> ConnectionReport:
        return replace(one, first_byte_ns=moved(one.first_byte_ns), last_byte_ns=moved(one.last_byte_ns))

    driver = report.driver
    return replace(
        report,
        began_ns=moved(report.began_ns),
        ended_ns=moved(report.ended_ns),
        driver=replace(
            driver,
            began_ns=moved(driver.began_ns),
            first_byte_ns=moved(driver.first_byte_ns),
            last_byte_ns=moved(driver.last_byte_ns),
            connections=tuple(map(connection, driver.connections)),
            marks={name: tuple(map(here, instants)) for name, instants in driver.marks.items()},
        ),
    )
