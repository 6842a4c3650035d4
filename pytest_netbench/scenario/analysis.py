"""What does a scenario do, and what does it need? Hosts, bytes, streams, time; pure.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_netbench.errors import Unsupported
from pytest_netbench.scenario.extensions import Repeat, Schedule
from pytest_netbench.scenario.features import Feature, required
from pytest_netbench.scenario.findings import Finding, find
from pytest_netbench.scenario.model import (
    Client,
    ClientScope,
    ClientSleep,
    Connect,
    Connection,
    ConnectionOp,
    Iterate,
    OpenSendStream,
    Profile,
    Receive,
    ReceiveRate,
    Scenario,
    Scope,
    Send,
    SendRate,
    Sleep,
    Time,
)
from pytest_netbench.scenario.shape import Shape, shape
from pytest_netbench.scenario.walk import dials, fresh, inside, opened, times


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a scenario does, without running it.

    Connects and bytes (of payload) are None where a time decides. ``shortest_s`` is a lower bound.
    ``streams_per_connection``: the most on any connection, 2 or more where a time decides. ``needs``: what a driver
    must have. ``findings``: what real drivers are known to fail at, where they can do the scenario at all. ``plain``:
    the plain transfer that it is, or why it is none.
    """

    servers: int
    clients: int
    connects: int | None
    streams_per_connection: int
    client_to_server_bytes: int | None
    server_to_client_bytes: int | None
    shortest_s: float
    needs: frozenset[Feature]
    findings: tuple[Finding, ...]
    plain: Shape | str = "it wasn't looked at"


def analyse(scenario: Scenario) -> Analysis:
    """Find out what a scenario does, without running it."""
    pairs, extensions = list(_pairs(scenario)), required(scenario)
    streams = max((opened(one.near.ops) + opened(one.far.ops) for one in pairs), default=0)
    return Analysis(
        servers=len(scenario.servers),
        clients=len(scenario.clients),
        connects=_sum(one.often for one in pairs),
        streams_per_connection=streams,
        client_to_server_bytes=_sum(_times(one.often, _sent(one.near, one.far)) for one in pairs),
        server_to_client_bytes=_sum(_times(one.often, _sent(one.far, one.near)) for one in pairs),
        shortest_s=max((_Durations(scenario, one).of(one.scenario) for one in scenario.clients), default=0) / 1000,
        needs=frozenset((*_needs(pairs, streams), *extensions)),
        findings=() if extensions else tuple(find(scenario, streams)),
        plain=_plain(scenario, extensions),
    )


def volume(scenario: Scenario | None) -> float:
    """Bytes that one round moves, both ways, as far as the scenario tells; where time decides how much, none."""
    if scenario is None:
        return 0.0
    found = analyse(scenario)
    return float((found.client_to_server_bytes or 0) + (found.server_to_client_bytes or 0))


def _plain(scenario: Scenario, extensions: Sequence[Feature]) -> Shape | str:
    if beyond := [one.word for one in extensions if one is not Feature.REPEAT]:
        return f"it requires {', '.join(beyond)}, which no plain transfer has"
    try:
        return shape(scenario)
    except Unsupported as error:
        return str(error)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Both ends of a connection, and how often it is dialled; None where a time decides."""

    near: Connection
    far: Connection
    often: int | None


def _pairs(scenario: Scenario) -> Iterator[_Pair]:
    """Both ends of every connection that is dialled, equal dials of a client together."""
    for client in scenario.clients:
        counts: dict[Connect, int | None] = {}
        for one, often in dials(client.scenario):
            counts[one] = _sum((counts.get(one, 0), often))
        for one, often in counts.items():
            far = scenario.servers[one.server_id].connections[one.server_connection_id]
            yield _Pair(client.connections[one.client_connection_id], far, often)


def _sum(parts: Iterable[int | None]) -> int | None:
    known = list(parts)
    return None if None in known else sum(one for one in known if one is not None)


def _times(often: int | None, each: int | None) -> int | None:
    """A product; nothing, however often, is nothing."""
    if 0 in {often, each}:
        return 0
    return None if often is None or each is None else often * each


def _sent(connection: Connection, peer: Connection) -> int | None:
    """What one end sends: at once, and in answer to each stream that the other opens."""
    answers = (_times(_accepted(peer.ops, number), _bytes(one)) for number, one in enumerate(connection.peer_streams))
    return _sum((_bytes(connection.ops), *answers))


def _accepted(operations: tuple[ConnectionOp, ...], stream: int) -> int | None:
    """How often the peer opens its stream of that number; once, if it doesn't do so afresh."""
    counts = list(_openings(operations, stream, 1))
    return _sum(counts) if counts else 1


def _openings(operations: tuple[ConnectionOp, ...], stream: int, often: int | None) -> Iterator[int | None]:
    for one in operations:
        if fresh(one) and getattr(one, "stream_id", None) == stream:
            yield often
        elif within := inside(one):
            yield from _openings(within, stream, None if _timed(one) else _times(often, times(one)))


def _timed(one: ConnectionOp) -> bool:
    return isinstance(one, Iterate) and isinstance(one.value, Time)


def _bytes(operations: tuple[ConnectionOp, ...]) -> int | None:
    return _sum(
        one.bytes if isinstance(one, Send) else _times(None if _timed(one) else times(one), _bytes(inside(one)))
        for one in operations
    )


def _needs(pairs: list[_Pair], streams: int) -> Iterator[Feature]:
    if streams > 1:
        yield Feature.STREAMS
    if any(_has(OpenSendStream, end.ops) for one in pairs for end in (one.near, one.far)):
        yield Feature.SEND_STREAMS
    if any(opened(one.far.ops) for one in pairs):
        yield Feature.SERVER_STREAMS


def _has(kind: type, operations: tuple[ConnectionOp, ...]) -> bool:
    return any(isinstance(one, kind) or _has(kind, inside(one)) for one in operations)


# --- time: what is certain to pass ---------------------------------------------------------------


class _Durations:
    """How long a client's operations last at least, in milliseconds; equal dials are looked at once."""

    def __init__(self, scenario: Scenario, client: Client) -> None:
        self._scenario = scenario
        self._client = client
        self._known: dict[Connect, int] = {}

    def of(self, operations: Sequence[Any]) -> int:
        """These, one after another."""
        return sum(self._one(one) for one in operations)

    def _one(self, one: Any) -> int:  # noqa: ANN401  any operation of a client
        match one:
            case ClientSleep(timeout):
                return timeout
            case Connect():
                if one not in self._known:
                    near = self._client.connections[one.client_connection_id]
                    far = self._scenario.servers[one.server_id].connections[one.server_connection_id]
                    self._known[one] = max(_connection_ms(near), _connection_ms(far))
                return self._known[one]
            case ClientScope(threads):
                return max((self.of(thread) for thread in threads), default=0)
            case Repeat(value, operations):
                return value.amount_ms if isinstance(value, Time) else times(one) * self.of(operations)
            case Schedule():
                return _arrivals_ms(one)
            case _:
                return 0


def _arrivals_ms(one: Schedule) -> int:
    """From the first intended instant to the last, on average."""
    return (one.count - 1) * one.arrivals.period_ms // one.arrivals.amount


def _connection_ms(connection: Connection) -> int:
    return max((_program_ms(one, {}) for one in (connection.ops, *connection.peer_streams)), default=0)


_Rates = dict[tuple[type, int], tuple[int, int]]


def _program_ms(operations: tuple[ConnectionOp, ...], rates: _Rates) -> int:
    total = 0
    for one in operations:
        match one:
            case Sleep(amount):
                total += amount
            case SendRate(stream, size, period):
                rates[Send, stream] = (size, period)
            case ReceiveRate(stream, size, period):
                rates[Receive, stream] = (size, period)
            case Send(stream, amount) | Receive(stream, amount):
                size, period = rates.get((type(one), stream), (0, 0))
                total += (max(amount - 1, 0) // size) * period if size else 0
            case Profile(_, inside):
                total += _program_ms(inside, rates)
            case Iterate(value, inside):
                each = _program_ms(inside, rates)
                total += value.amount_ms if isinstance(value, Time) else times(one) * each
            case Schedule():
                total += _arrivals_ms(one)
            case Scope(threads):
                total += max((_program_ms(thread, rates) for thread in threads), default=0)
    return total
