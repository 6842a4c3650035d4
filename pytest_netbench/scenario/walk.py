"""How is a scenario gone through? Every operation, every program, every dial; what others ask is built on these.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pytest_netbench.scenario.extensions import Repeat, Schedule
from pytest_netbench.scenario.model import (
    ClientOp,
    ClientScope,
    Connect,
    Connection,
    ConnectionOp,
    Count,
    Iterate,
    OpenBidirectionalStream,
    OpenSendStream,
    Profile,
    Scenario,
    Scope,
    Time,
)


def walk(operations: tuple[Any, ...], path: str) -> Iterator[tuple[Any, str]]:
    """Every operation of a list and of those inside, with the path of its element."""
    for index, one in enumerate(operations):
        here = f"{path}[{index}]"
        yield one, here
        if isinstance(one, Scope | ClientScope):
            for number, thread in enumerate(one.threads):
                yield from walk(thread, f"{here}.scope.threads[{number}]")
        elif isinstance(one, Profile | Iterate | Repeat | Schedule):
            word = type(one).__name__.lower()
            yield from walk(one.operations, f"{here}.{word}.operations")


def programs(scenario: Scenario) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Every list of connection operations, with its path."""
    for side in ("clients", "servers"):
        for number, endpoint in enumerate(getattr(scenario, side)):
            yield from endpoint_programs(endpoint.connections, f"{side}[{number}]")


def endpoint_programs(connections: Sequence[Connection], endpoint: str) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Every list of connection operations of an endpoint, whose path is given, with its path."""
    for index, connection in enumerate(connections):
        here = f"{endpoint}.connections[{index}]"
        yield connection.ops, f"{here}.ops"
        for stream, operations in enumerate(connection.peer_streams):
            yield operations, f"{here}.peer_streams[{stream}]"


def connects(operations: Sequence[ClientOp]) -> Iterator[Connect]:
    """Every dial of a client, once where it stands."""
    return (one for one, _ in dials(operations))


def dials(operations: Sequence[Any], often: int | None = 1) -> Iterator[tuple[Connect, int | None]]:
    """Every dial of a client, and how often it is made; None where a time decides."""
    for one in operations:
        if isinstance(one, Connect):
            yield one, often
        elif isinstance(one, ClientScope):
            for thread in one.threads:
                yield from dials(thread, often)
        elif isinstance(one, Repeat | Schedule):
            unknown = often is None or (isinstance(one, Repeat) and isinstance(one.value, Time))
            yield from dials(one.operations, None if unknown else (often or 0) * times(one))


def one_at_a_time(scenario: Scenario, server: int) -> bool:
    """Whether no two connections to a server are ever there beside each other."""
    return sum(_beside(one.scenario, server) for one in scenario.clients) <= 1


def _beside(operations: Sequence[Any], server: int) -> int:
    """The most connections to a server that operations of a client have at once; two stand for more."""
    return max((_held(one, server) for one in operations), default=0)


def _held(one: Any, server: int) -> int:  # noqa: ANN401  any operation of a client
    match one:
        case Connect():
            return one.server_id == server
        case ClientScope(threads):
            return sum(_beside(thread, server) for thread in threads)
        case Repeat():
            return _beside(one.operations, server)
        case Schedule():
            return 2 * _beside(one.operations, server)  # they arrive whether or not the one before has ended
        case _:
            return 0


def opened(operations: tuple[ConnectionOp, ...]) -> int:
    """How many streams a program opens; where a time decides, two stand for as many as there are."""
    return sum(
        (2 if _timed(one) and opens_afresh(within) else times(one)) * opened(within)
        if within
        else isinstance(one, OpenBidirectionalStream | OpenSendStream)
        for one in operations
        for within in (inside(one),)
    )


def inside(one: Any) -> tuple[Any, ...]:  # noqa: ANN401  any operation
    """The operations in an operation of a connection, one after another or beside each other."""
    if isinstance(one, Profile | Iterate | Schedule):
        return one.operations
    if isinstance(one, Scope):
        return tuple(each for thread in one.threads for each in thread)
    return ()


def times(one: Any) -> int:  # noqa: ANN401  any operation
    """How often the body runs; a real driver runs it once for a count of 0."""
    if isinstance(one, Schedule):
        return one.count
    return max(one.value.amount, 1) if isinstance(one, Iterate | Repeat) and isinstance(one.value, Count) else 1


def cut_by_time(scenario: Scenario) -> bool:
    """Whether a time ends anything in the middle: then one end may send what the other doesn't take any more."""
    return any(_timed(one) for operations, path in programs(scenario) for one, _ in walk(operations, path))


def _timed(one: ConnectionOp) -> bool:
    return isinstance(one, Iterate) and isinstance(one.value, Time)


def reopened_by_clients(scenario: Scenario, server: int) -> tuple[frozenset[int], ...]:
    """For each connection of a server, the streams that a client of it opens afresh."""
    found: list[frozenset[int]] = [frozenset() for _ in scenario.servers[server].connections]
    for client in scenario.clients:
        for one in connects(client.scenario):
            if one.server_id == server:
                found[one.server_connection_id] |= _reopened(client.connections[one.client_connection_id].ops)
    return tuple(found)


def reopened_by_servers(scenario: Scenario, client: int) -> tuple[frozenset[int], ...]:
    """For each connection of a client, the streams that a server of it opens afresh."""
    found: list[frozenset[int]] = [frozenset() for _ in scenario.clients[client].connections]
    for one in connects(scenario.clients[client].scenario):
        far = scenario.servers[one.server_id].connections[one.server_connection_id]
        found[one.client_connection_id] |= _reopened(far.ops)
    return tuple(found)


def _reopened(operations: Sequence[Any]) -> frozenset[int]:
    inner = frozenset[int]().union(*(_reopened(inside(one)) for one in operations))
    return inner | {one.stream_id for one in operations if fresh(one)}


def fresh(one: Any) -> bool:  # noqa: ANN401  any operation
    """Whether an operation opens another stream each time."""
    return isinstance(one, OpenBidirectionalStream | OpenSendStream) and one.fresh


def opens_afresh(operations: Sequence[Any]) -> bool:
    """Whether any of these operations of a connection, or of those inside, does."""
    return any(fresh(one) or opens_afresh(inside(one)) for one in operations)
