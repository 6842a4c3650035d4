"""What is the same scenario, smaller or larger? More or fewer repetitions, or bytes; both ends agree; pure.

CPU time of a whole process is mostly its start where a transfer is short. Between two sizes of one scenario that start
cancels out, and what is left is the cost of a byte, or of an operation. And a round that is long enough leaves it out.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from enum import Enum
from fractions import Fraction
from typing import Any

from pytest_netbench.scenario.extensions import Schedule
from pytest_netbench.scenario.model import Connect, Connection, Count, Receive, Scenario, Send, Time
from pytest_netbench.scenario.walk import connects, cut_by_time, inside, programs, times, walk

SHARES = (10, 5, 4, 2)
"""By what it is divided: the first that leaves both ends of every connection with the same bytes."""

_LEAST = 10_000
"""Bytes of a transfer below which it stays as it is: a request, not a payload."""


class Part(Enum):
    """What of a scenario is multiplied."""

    REPETITIONS = "repetitions"
    """Dials in a row, rounds of a loop, the time of one: an operation stays what it is."""
    BYTES = "bytes"
    """Those of every transfer that isn't small: a byte stays what it is."""


def smaller(scenario: Scenario, *, whole_seconds: bool = False) -> Scenario | None:
    """The scenario with a part of its repetitions or of its bytes; None if nothing of it can be divided.

    ``whole_seconds``: leave times that wouldn't be a whole number of seconds as they are: many tools take no other.
    """
    for share in SHARES:
        for part in Part:
            made = scaled(scenario, Fraction(1, share), part, whole_seconds=whole_seconds)
            if made is not None:
                return replace(made, title=f"{scenario} / {share}")
    return None


def scaled(scenario: Scenario, factor: Fraction, part: Part, *, whole_seconds: bool = False) -> Scenario | None:
    """The scenario with so many times as many repetitions, or bytes; None if nothing of it can be had so.

    ``whole_seconds``: as for :func:`smaller`.
    """
    unit_ms = 1000 if whole_seconds else 1
    made = _repeated(scenario, factor, unit_ms) if part is Part.REPETITIONS else _sized(scenario, factor)
    if made == scenario or _agrees(made) < _agrees(scenario):
        return None
    return replace(made, title=f"{scenario} x {factor}")


def shortest_loop_s(scenario: Scenario) -> float | None:
    """The shortest time for which something is repeated; None if no time decides."""
    lists = [*(operations for operations, _ in programs(scenario)), *(one.scenario for one in scenario.clients)]
    return min((found for operations in lists for found in _loops(operations)), default=None)


def _loops(operations: tuple[Any, ...]) -> Iterator[float]:
    for one, _ in walk(operations, ""):
        if isinstance(value := getattr(one, "value", None), Time):
            yield value.amount_ms / 1000


def _repeated(scenario: Scenario, factor: Fraction, unit_ms: int) -> Scenario:
    """More or fewer dials in a row, rounds of a loop, arrivals, time."""

    def change(one: Any) -> Any:  # noqa: ANN401 - any operation
        return _as_often(one, factor, unit_ms)

    made = _programs(scenario, change)
    clients = (replace(one, scenario=_dials(_each(one.scenario, change), factor)) for one in made.clients)
    return replace(made, clients=tuple(clients))


def _sized(scenario: Scenario, factor: Fraction) -> Scenario:
    """More or fewer bytes in every transfer that isn't small; where a time decides how many, it stays as it is."""
    if cut_by_time(scenario):
        return scenario
    return _programs(scenario, lambda one: _as_much(one, factor))


def _programs(scenario: Scenario, change: Callable[[Any], Any]) -> Scenario:
    """The operations of all connections changed, at both ends."""
    sides: dict[str, Any] = {
        side: tuple(
            replace(one, connections=tuple(_program(each, change) for each in one.connections))
            for one in getattr(scenario, side)
        )
        for side in ("clients", "servers")
    }
    return replace(scenario, **sides)


def _dials(operations: tuple[Any, ...], factor: Fraction) -> tuple[Any, ...]:
    """So many times as many dials, where there are several in a row; anything else stays."""
    wanted = int(len(operations) * factor)
    if len(operations) < 2 or wanted < 1 or not all(isinstance(one, Connect) for one in operations):  # noqa: PLR2004
        return operations
    whole, rest = divmod(wanted, len(operations))
    return operations * whole + operations[:rest]


def _as_often(one: Any, factor: Fraction, unit_ms: int) -> Any:  # noqa: ANN401 - any operation
    """A loop with more or fewer rounds, or time in whole units of so many milliseconds; a schedule of arrivals."""
    if isinstance(one, Schedule):
        return replace(one, count=int(one.count * factor)) if one.count * factor >= 1 else one
    match getattr(one, "value", None):
        case Count(amount) if amount * factor >= 1:
            return replace(one, value=Count(int(amount * factor)))
        case Time(amount_ms) if amount_ms * factor >= 1 and (unit_ms == 1 or amount_ms * factor % unit_ms == 0):
            return replace(one, value=Time(int(amount_ms * factor)))
    return one


def _as_much(one: Any, factor: Fraction) -> Any:  # noqa: ANN401 - any operation
    if isinstance(one, Send | Receive) and one.bytes >= _LEAST:
        return replace(one, bytes=int(one.bytes * factor))
    return one


def _program(connection: Connection, change: Callable[[Any], Any]) -> Connection:
    return Connection(
        _each(connection.ops, change), tuple(_each(operations, change) for operations in connection.peer_streams)
    )


def _each(operations: tuple[Any, ...], change: Callable[[Any], Any]) -> tuple[Any, ...]:
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
