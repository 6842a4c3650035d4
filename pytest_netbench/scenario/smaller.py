"""What is the same scenario, smaller? Fewer repetitions where it has some, else fewer bytes; both ends agree; pure.

CPU time of a whole process is mostly its start where a transfer is short. Between two sizes of one scenario that start
cancels out, and what is left is the cost of a byte, or of an operation.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from pytest_netbench.scenario.extensions import Schedule
from pytest_netbench.scenario.model import Connect, Connection, Count, Receive, Scenario, Send, Time
from pytest_netbench.scenario.walk import connects, inside, times

SHARES = (10, 5, 4, 2)
"""By what it is divided: the first that leaves both ends of every connection with the same bytes."""

_LEAST = 10_000
"""Bytes of a transfer below which it stays as it is: a request, not a payload."""


def smaller(scenario: Scenario, *, whole_seconds: bool = False) -> Scenario | None:
    """The scenario with a part of its repetitions or of its bytes; None if nothing of it can be divided.

    ``whole_seconds``: leave times that wouldn't be a whole number of seconds as they are: many tools take no other.
    """
    for share in SHARES:
        for made in (_repeated(scenario, share, whole_seconds=whole_seconds), _sized(scenario, share)):
            if made != scenario and _agrees(made) >= _agrees(scenario):
                return replace(made, title=f"{scenario} / {share}")
    return None


def _repeated(scenario: Scenario, share: int, *, whole_seconds: bool) -> Scenario:
    """Fewer dials in a row, fewer rounds of a loop, fewer arrivals, less time."""

    def less(one: Any) -> Any:  # noqa: ANN401 - any operation
        return _less_often(one, share, 1000 if whole_seconds else 1)

    made = _programs(scenario, less)
    clients = (replace(one, scenario=_fewer_dials(_each(one.scenario, less), share)) for one in made.clients)
    return replace(made, clients=tuple(clients))


def _sized(scenario: Scenario, share: int) -> Scenario:
    """Fewer bytes in every transfer that isn't small."""
    return _programs(scenario, lambda one: _less(one, share))


def _programs(scenario: Scenario, change: Any) -> Scenario:  # noqa: ANN401 - from operation to operation
    """The operations of all connections changed, at both ends."""
    sides: dict[str, Any] = {
        side: tuple(
            replace(one, connections=tuple(_program(each, change) for each in one.connections))
            for one in getattr(scenario, side)
        )
        for side in ("clients", "servers")
    }
    return replace(scenario, **sides)


def _fewer_dials(operations: tuple[Any, ...], share: int) -> tuple[Any, ...]:
    """The first of many dials in a row; anything else stays."""
    if len(operations) < share or not all(isinstance(one, Connect) for one in operations):
        return operations
    return operations[: len(operations) // share]


def _less_often(one: Any, share: int, unit_ms: int) -> Any:  # noqa: ANN401 - any operation
    """A loop with fewer rounds, or less time in whole units of so many milliseconds; a schedule of fewer arrivals."""
    if isinstance(one, Schedule):
        return replace(one, count=one.count // share) if one.count >= share else one
    match getattr(one, "value", None):
        case Count(amount) if amount >= share:
            return replace(one, value=Count(amount // share))
        case Time(amount_ms) if amount_ms >= share and (unit_ms == 1 or amount_ms % (share * unit_ms) == 0):
            return replace(one, value=Time(amount_ms // share))
    return one


def _less(one: Any, share: int) -> Any:  # noqa: ANN401 - any operation
    if isinstance(one, Send | Receive) and one.bytes >= _LEAST:
        return replace(one, bytes=one.bytes // share)
    return one


def _program(connection: Connection, change: Any) -> Connection:  # noqa: ANN401 - from operation to operation
    return Connection(
        _each(connection.ops, change), tuple(_each(operations, change) for operations in connection.peer_streams)
    )


def _each(operations: tuple[Any, ...], change: Any) -> tuple[Any, ...]:  # noqa: ANN401 - from operation to operation
    """All operations changed, those inside of others first."""
    made = []
    for one in operations:
        names = {field.name for field in fields(one)}
        if "operations" in names:
            one = replace(one, operations=_each(one.operations, change))  # noqa: PLW2901
        if "threads" in names:
            one = replace(one, threads=tuple(_each(thread, change) for thread in one.threads))  # noqa: PLW2901
        made.append(change(one))
    return tuple(made)


def _agrees(scenario: Scenario) -> int:
    """In how many directions of its dials as many bytes are sent as are received."""
    agreed = 0
    for client in scenario.clients:
        for one in {
            (one.client_connection_id, one.server_id, one.server_connection_id) for one in connects(client.scenario)
        }:
            near, far = client.connections[one[0]], scenario.servers[one[1]].connections[one[2]]
            agreed += _moved(near, Send) == _moved(far, Receive)
            agreed += _moved(far, Send) == _moved(near, Receive)
    return agreed


def _moved(connection: Connection, kind: type[Send | Receive]) -> int:
    return sum(_bytes(operations, kind) for operations in (connection.ops, *connection.peer_streams))


def _bytes(operations: tuple[Any, ...], kind: type[Send | Receive]) -> int:
    total = 0
    for one in operations:
        total += one.bytes if isinstance(one, kind) else times(one) * _bytes(inside(one), kind)
    return total
