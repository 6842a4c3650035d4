"""Does the scenario tell what a trace doesn't?"""

from __future__ import annotations

import pytest

from pytest_netbench.scenario.model import (
    Client,
    ClientOp,
    ClientScope,
    ClientSleep,
    Connect,
    Connection,
    Count,
    Iterate,
    Profile,
    Receive,
    Scope,
    Send,
    Time,
)
from pytest_netbench.telemetry.programs import cut_streams, dialled


def test_only_a_time_cuts() -> None:
    """A count, a profile, a scope don't; what is inside a time does, however deep."""
    timed = Iterate(Time(1), (Scope(((Send(1, 1),), (Profile(0, (Receive(2, 1),)),))),))
    counted = Iterate(Count(1), (Send(3, 1),))
    program = Connection((timed, counted, Send(4, 1)), ((Iterate(Time(1), (Send(0, 1),)),), (Send(1, 1),)))
    assert cut_streams(program) == {(1, True), (2, True), (0, False)}


def dial(server: int, program: int = 0) -> Connect:
    return Connect(server, 0, program)


@pytest.mark.parametrize(
    ("operations", "servers"),
    [
        ((dial(2), dial(0), dial(1)), [2, 0, 1]),
        ((ClientScope(((dial(1),), (), (dial(0),))), dial(2)), [1, 0, 2]),
        ((ClientScope(((dial(0), dial(1)), (dial(1), dial(0)))),), [0, 1, None, None]),
        ((ClientScope(((ClientSleep(1), dial(0)), (dial(1),))),), [None, None]),
        ((ClientScope(((ClientSleep(1), dial(3)), (dial(3),))),), [3, 3]),
        ((ClientScope(((dial(0), dial(0)), (dial(1),))), dial(2)), [0, 1, None, None]),
    ],
)
def test_a_dials_server_is_told_where_it_is_certain(
    operations: tuple[ClientOp, ...], servers: list[int | None]
) -> None:
    """By the order in which dials begin, or as the only one of that program; else it isn't guessed."""
    server = dialled(Client(operations, (Connection(),)))
    assert [server(number, 0) for number in range(len(servers))] == servers


def test_programs_tell_servers_apart() -> None:
    """After parallel dials, a program that leads to one server only is enough."""
    scope = ClientScope(((dial(0, 0), dial(0, 0)), (dial(1, 1), dial(1, 1))))
    server = dialled(Client((scope,), (Connection(), Connection())))
    assert [server(2, 0), server(3, 1), server(9, 7)] == [0, 1, None]
