"""Is what is found on the way through a scenario right? How many connections a server has beside each other."""

from __future__ import annotations

import pytest

from pytest_netbench.scenario import extensions as x
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.walk import one_at_a_time

DIAL, OTHER = m.Connect(0, 0, 0), m.Connect(1, 0, 0)
ARRIVALS = x.Fixed(1, 10)
CLIENTS: dict[str, tuple[tuple[tuple[m.ClientOp, ...], ...], bool]] = {
    "one after another": (((DIAL, DIAL, m.ClientSleep(1), DIAL),), True),
    "repeated": (((x.Repeat(m.Count(9), (DIAL, DIAL)),),), True),
    "beside those to another server": (((m.ClientScope(((DIAL,), (OTHER, OTHER))),),), True),
    "nobody": (((OTHER,),), True),
    "beside each other": (((m.ClientScope(((DIAL,), (m.ClientSleep(1), DIAL))),),), False),
    "beside each other in the end": (((DIAL, x.Repeat(m.Count(1), (m.ClientScope(((DIAL,), (DIAL,))),))),), False),
    "as they arrive": (((x.Schedule(ARRIVALS, 5, (DIAL,), 0),),), False),
    "two clients": (((DIAL,), (DIAL,)), False),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_whether_a_server_has_one_connection_at_a_time(name: str) -> None:
    """Dials in one thread of one client follow each other; all others may be there beside each other."""
    clients, alone = CLIENTS[name]
    one = m.Scenario("test", tuple(m.Client(ops, (m.Connection(),)) for ops in clients), (m.Server(()),) * 2)
    assert one_at_a_time(one, 0) is alone
