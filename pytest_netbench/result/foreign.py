"""How much of the machines did other programs take? What was used less what the drivers used, as a share of all."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_netbench.roles import Role
from pytest_netbench.telemetry.model import HostReport, MachineUse

LEAST_S = 0.15
"""CPU seconds of all processors below which a window has too few of the kernel's ticks for a share; 15 tell a tenth."""


def foreign_share(hosts: Sequence[HostReport]) -> float | None:
    """The largest share of a machine's CPU that programs other than the drivers took; None where that isn't known.

    Hosts of one machine see the same use of it; that of a client counts, whose window is the run's.
    """
    found = []
    for machine in dict.fromkeys(host.use.machine for host in hosts if host.use is not None):
        here = [host for host in hosts if host.use is not None and host.use.machine == machine]
        use = _window(here)
        if use.total_s >= LEAST_S:
            own = sum(host.driver.cpu.seconds for host in here if host.driver.cpu is not None)
            found.append(min(1.0, max(0.0, use.busy_s - own) / use.total_s))
    return max(found, default=None)


def _window(hosts: Sequence[HostReport]) -> MachineUse:
    ordered = sorted(hosts, key=lambda host: host.role is not Role.CLIENT)
    assert ordered[0].use is not None
    return ordered[0].use
