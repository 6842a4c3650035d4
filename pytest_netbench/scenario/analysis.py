"""What does a scenario do, and what does it need? Hosts, bytes, streams, time; pure.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pytest_netbench.errors import Unsupported
from pytest_netbench.scenario.findings import Finding, find
from pytest_netbench.scenario.model import (
    Client,
    ClientOp,
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
    Server,
    Sleep,
    Time,
)
from pytest_netbench.scenario.shape import Shape, shape
from pytest_netbench.scenario.walk import connects, inside, opened, times


class Feature(StrEnum):
    """What a driver must have beyond one bidirectional stream that the client opens."""

    STREAMS = "several streams a connection"
    SEND_STREAMS = "streams that one side sends on"
    SERVER_STREAMS = "streams that the server opens"


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a scenario does. Bytes are payload, None where a timed ``iterate`` decides; ``shortest_s`` is a lower bound.

    ``streams_per_connection``: the most on any connection. ``findings``: what real drivers are known to fail at.
    ``plain``: the plain transfer that it is, or why it is none.
    """

    servers: int
    clients: int
    connects: int
    streams_per_connection: int
    client_to_server_bytes: int | None
    server_to_client_bytes: int | None
    shortest_s: float
    needs: frozenset[Feature]
    findings: tuple[Finding, ...]
    plain: Shape | str = "it wasn't looked at"


def analyse(scenario: Scenario) -> Analysis:
    """Find out what a scenario does, without running it."""
    pairs = list(_pairs(scenario))
    streams = max((opened(near.ops) + opened(far.ops) for *_, near, far in pairs), default=0)
    return Analysis(
        servers=len(scenario.servers),
        clients=len(scenario.clients),
        connects=len(pairs),
        streams_per_connection=streams,
        client_to_server_bytes=_sum(_sent(near) for *_, near, _ in pairs),
        server_to_client_bytes=_sum(_sent(far) for *_, far in pairs),
        shortest_s=max((_client_ms(scenario, one, one.scenario) for one in scenario.clients), default=0) / 1000,
        needs=frozenset(_needs(pairs, streams)),
        findings=tuple(find(scenario, streams)),
        plain=_plain(scenario),
    )


def volume(scenario: Scenario | None) -> float:
    """Bytes that one round moves, both ways, as far as the scenario tells; where time decides how much, none."""
    if scenario is None:
        return 0.0
    found = analyse(scenario)
    return float((found.client_to_server_bytes or 0) + (found.server_to_client_bytes or 0))


def _plain(scenario: Scenario) -> Shape | str:
    try:
        return shape(scenario)
    except Unsupported as error:
        return str(error)


def _pairs(scenario: Scenario) -> Iterator[tuple[Client, Server, Connection, Connection]]:
    """Both ends of every connection that is dialled."""
    for client in scenario.clients:
        for one in connects(client.scenario):
            server = scenario.servers[one.server_id]
            near = client.connections[one.client_connection_id]
            yield client, server, near, server.connections[one.server_connection_id]


def _sum(parts: Iterator[int | None]) -> int | None:
    known = list(parts)
    return None if None in known else sum(one for one in known if one is not None)


def _sent(connection: Connection) -> int | None:
    return _sum(_bytes(one) for one in (connection.ops, *connection.peer_streams))


def _bytes(operations: tuple[ConnectionOp, ...]) -> int | None:
    total = 0
    for one in operations:
        if isinstance(one, Send):
            total += one.bytes
        elif within := inside(one):
            found = _bytes(within)
            if found is None or (found and isinstance(one, Iterate) and isinstance(one.value, Time)):
                return None
            total += times(one) * found
    return total


def _needs(pairs: list[tuple[Client, Server, Connection, Connection]], streams: int) -> Iterator[Feature]:
    if streams > 1:
        yield Feature.STREAMS
    if any(_has(OpenSendStream, connection.ops) for *_, near, far in pairs for connection in (near, far)):
        yield Feature.SEND_STREAMS
    if any(opened(far.ops) for *_, far in pairs):
        yield Feature.SERVER_STREAMS


def _has(kind: type, operations: tuple[ConnectionOp, ...]) -> bool:
    return any(isinstance(one, kind) or _has(kind, inside(one)) for one in operations)


# --- time: what is certain to pass ---------------------------------------------------------------


def _client_ms(scenario: Scenario, client: Client, operations: tuple[ClientOp, ...]) -> int:
    total = 0
    for one in operations:
        if isinstance(one, ClientSleep):
            total += one.timeout_ms
        elif isinstance(one, Connect):
            near = client.connections[one.client_connection_id]
            far = scenario.servers[one.server_id].connections[one.server_connection_id]
            total += max(_connection_ms(near), _connection_ms(far))
        elif isinstance(one, ClientScope):
            total += max((_client_ms(scenario, client, thread) for thread in one.threads), default=0)
    return total


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
                total += value.amount_ms if isinstance(value, Time) else value.amount * each
            case Scope(threads):
                total += max((_program_ms(thread, rates) for thread in threads), default=0)
    return total
