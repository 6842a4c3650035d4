"""How is a scenario gone through? Every operation, every program, every dial; what others ask is built on these.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_netbench.scenario.model import (
    ClientOp,
    ClientScope,
    Connect,
    ConnectionOp,
    Count,
    Iterate,
    OpenBidirectionalStream,
    OpenSendStream,
    Profile,
    Scenario,
    Scope,
)


def walk(operations: tuple[Any, ...], path: str) -> Iterator[tuple[Any, str]]:
    """Every operation of a list and of those inside, with the path of its element."""
    for index, one in enumerate(operations):
        here = f"{path}[{index}]"
        yield one, here
        if isinstance(one, Scope | ClientScope):
            for number, thread in enumerate(one.threads):
                yield from walk(thread, f"{here}.scope.threads[{number}]")
        elif isinstance(one, Profile | Iterate):
            word = type(one).__name__.lower()
            yield from walk(one.operations, f"{here}.{word}.operations")


def programs(scenario: Scenario) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Every list of connection operations, with its path."""
    for side in ("clients", "servers"):
        for number, endpoint in enumerate(getattr(scenario, side)):
            for index, connection in enumerate(endpoint.connections):
                here = f"{side}[{number}].connections[{index}]"
                yield connection.ops, f"{here}.ops"
                for stream, operations in enumerate(connection.peer_streams):
                    yield operations, f"{here}.peer_streams[{stream}]"


def connects(operations: tuple[ClientOp, ...]) -> Iterator[Connect]:
    """Every dial of a client."""
    for one in operations:
        if isinstance(one, Connect):
            yield one
        elif isinstance(one, ClientScope):
            for thread in one.threads:
                yield from connects(thread)


def opened(operations: tuple[ConnectionOp, ...]) -> int:
    """How many streams a program opens."""
    return sum(
        times(one) * opened(within) if within else isinstance(one, OpenBidirectionalStream | OpenSendStream)
        for one in operations
        for within in (inside(one),)
    )


def inside(one: ConnectionOp) -> tuple[ConnectionOp, ...]:
    """The operations in an operation, one after another or beside each other."""
    if isinstance(one, Profile | Iterate):
        return one.operations
    if isinstance(one, Scope):
        return tuple(each for thread in one.threads for each in thread)
    return ()


def times(one: ConnectionOp) -> int:
    """How often the body runs; a real driver runs it once for a count of 0."""
    return max(one.value.amount, 1) if isinstance(one, Iterate) and isinstance(one.value, Count) else 1
