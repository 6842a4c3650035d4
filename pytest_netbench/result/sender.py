"""Was it the application, and not the transport, that limited how fast a round's payload came? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_netbench.result.model import Sending
from pytest_netbench.scenario.own_time import own_time

if TYPE_CHECKING:
    from pytest_netbench.scenario.model import Scenario
    from pytest_netbench.telemetry.model import HostReport

SENDER = 0.1
"""From which share of what the host sent that sent most a host is a sender; others ask, or acknowledge."""

TICKS_S = 0.02
"""Two ticks of the slowest kernel: as much as its count of busy time may be short by at both ends."""


def sending(scenario: Scenario, hosts: Sequence[HostReport], goodput: float | None) -> Sending | None:
    """What the senders of a round did; None where its goodput isn't known."""
    payload = sum(one.received for host in hosts for each in host.driver.connections for one in each.streams)
    if not goodput or not payload:
        return None
    window = payload / goodput
    awake = _awake_s(hosts)
    return Sending(
        asked=min(1.0, own_time(scenario) / window),
        idle=None if awake is None else max(0.0, 1 - (awake + TICKS_S) / window),
    )


def _awake_s(hosts: Sequence[HostReport]) -> float | None:
    """Seconds in which connections of senders had something under way, or senders computed; None if one can't tell.

    Summed, which is more than the time that passed where they overlap; with as much for the end of each connection as
    it took to dial it.
    """
    sent = {id(host): sum(one.sent for each in host.driver.connections for one in each.streams) for host in hosts}
    most = max(sent.values(), default=0)
    total = 2 * sum(each.connect_s or 0.0 for host in hosts for each in host.driver.connections)
    for host in hosts:
        if most and sent[id(host)] >= SENDER * most:
            busy = [each.busy_us for each in host.driver.connections if any(one.sent for one in each.streams)]
            known = [one for one in busy if one is not None]
            if host.driver.cpu is None or len(known) < len(busy):
                return None
            total += sum(known) / 1e6 + host.driver.cpu.seconds
    return total
