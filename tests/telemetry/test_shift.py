"""Are a host's instants moved to the coordinator's clock, all of them, and nothing else?"""

from __future__ import annotations

from pytest_netbench.roles import Role
from pytest_netbench.telemetry.model import (
    ConnectionReport,
    DriverReport,
    Ending,
    HostReport,
    KernelCounters,
    StreamBytes,
)
from pytest_netbench.telemetry.shift import shifted


def report(offset: int) -> HostReport:
    stream = StreamBytes(0, opened_here=True, sent=1, received=2)
    one = ConnectionReport(0, 0, "k", (stream,), 0.1, None, first_byte_ns=offset + 3, last_byte_ns=None)
    driver = DriverReport(
        offset + 1, offset + 2, offset + 9, (one,), {"t": (0.5,)}, None, None, (), {"m": (offset + 4, offset + 5)}
    )
    ending = Ending(0, None, expected=True)
    counters = KernelCounters("ns", 0, 0)
    return HostReport("h", Role.CLIENT, 0, True, offset, offset + 10, driver, ending, counters)


def test_every_instant_is_moved_and_durations_stay() -> None:
    """Also those of connections and marks; what isn't known stays so."""
    assert shifted(report(1000), lambda there: there - 1000) == report(0)
