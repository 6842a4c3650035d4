"""Can connections carry this endpoint's programs? Duplex has one raw stream, that ends only with its connection.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from pytest_netbench.drivers.builtin.ending import Misused, Unsupported
from pytest_netbench.drivers.builtin.interpreter import streams_used
from pytest_netbench.scenario import model as m

_ONE = "a duplex connection carries one, several need multiplexing"


def check(endpoint: str, connections: Sequence[m.Connection], *, many: bool) -> None:
    """Check the programs of an endpoint, named as in the file (``clients[0]``); ``many``: streams a connection.

    :raises Unsupported: if one needs more than duplex has.
    :raises Misused: if one makes no sense.
    """
    for index, connection in enumerate(connections):
        where = f"{endpoint}.connections[{index}]"
        if not many:
            _check_duplex(where, connection)
        own = list(_opens(connection.ops))
        if twice := [number for number, times in Counter(own).items() if times > 1]:
            raise Misused(f"{where}.ops: stream {twice[0]} is opened more than once")
        _check_names(f"{where}.ops", connection.ops, set(own))
        for number, program in enumerate(connection.peer_streams):
            path = f"{where}.peer_streams[{number}]"
            if _opened(program):
                raise Misused(f"{path} opens a stream: that is for ops to do")
            _check_names(path, program, {number})
        _check_directions(f"{where}.ops", connection.ops)


def _check_duplex(where: str, connection: m.Connection) -> None:
    streams = _opened(connection.ops) + len(connection.peer_streams)
    if streams > 1:
        raise Unsupported(f"{where} has {streams} streams: {_ONE}")
    _check_end(f"{where}.ops", connection.ops)
    _check_end(f"{where}.peer_streams", _all(connection))


def check_pair(path: str, near: m.Connection, far: m.Connection, *, many: bool) -> None:
    """Check both ends of a connection together.

    :raises Unsupported: if both wait for the other to close.
    :raises Misused: if one has no program for what the other opens, or waits for what it doesn't.
    """
    if many:
        for mine, peer, who in ((near, far, "server"), (far, near, "client")):
            opens = set(_opens(peer.ops))
            programs = set(range(len(mine.peer_streams)))
            if opens != programs:
                raise Misused(
                    f"{path}: the {who} opens {_numbers(opens)}, the other end has programs for {_numbers(programs)}"
                )
    elif all(any(isinstance(one, m.ReceiveAll) for one in _walk([*end.ops, *_all(end)])) for end in (near, far)):
        raise Unsupported(
            f"{path}: both ends receive all, and a duplex stream ends only when its connection is closed: neither would"
        )


def _numbers(streams: set[int]) -> str:
    most = 5
    shown = [str(one) for one in sorted(streams)[:most]]
    more = ["..."] if len(streams) > most else []
    return f"streams {', '.join([*shown, *more])}" if shown else "no streams"


def _all(connection: m.Connection) -> list[Any]:
    return [one for program in connection.peer_streams for one in program]


def _opened(operations: Sequence[Any]) -> int:
    total = 0
    for one in operations:
        if isinstance(one, m.OpenBidirectionalStream | m.OpenSendStream):
            total += 1
        elif isinstance(one, m.Iterate):
            total += _opened(one.operations) * (max(one.value.amount, 1) if isinstance(one.value, m.Count) else 2)
        else:
            total += _opened(_inside(one))
    return total


def _inside(one: Any) -> Sequence[Any]:  # noqa: ANN401 - any operation
    if isinstance(one, m.Profile | m.Iterate):
        return one.operations
    return [each for thread in one.threads for each in thread] if isinstance(one, m.Scope) else ()


def _walk(operations: Sequence[Any]) -> Iterator[Any]:
    for one in operations:
        yield one
        yield from _walk(_inside(one))


def _opens(operations: Sequence[Any]) -> Iterator[int]:
    return (one.stream_id for one in _walk(operations) if isinstance(one, m.OpenBidirectionalStream | m.OpenSendStream))


def _check_names(path: str, operations: Sequence[Any], known: set[int]) -> None:
    """Operations name a stream that their side has, after it was opened, and rates let something through."""
    finishes = (one.stream_id for one in _walk(operations) if isinstance(one, m.SendFinish | m.ReceiveFinish))
    for number in (*streams_used(operations), *finishes):
        if number not in known:
            raise Misused(f"{path}: stream {number} isn't opened there")
    for one in _walk(operations):
        if isinstance(one, m.SendRate | m.ReceiveRate) and not one.bytes:
            raise Misused(f"{path}: a rate of 0 bytes a period never lets anything through")


def _check_directions(path: str, operations: Sequence[Any]) -> None:
    """Nothing is received on a stream that was opened to send on it."""
    one_way = {one.stream_id for one in _walk(operations) if isinstance(one, m.OpenSendStream)}
    for one in _walk(operations):
        if isinstance(one, m.Receive | m.ReceiveAll) and one.stream_id in one_way:
            raise Misused(f"{path}: receives on stream {one.stream_id}, which it opened to send on it alone")


def _check_end(path: str, operations: Sequence[Any]) -> None:
    """Nothing is sent after everything was received: the peer would wait for it, and so not close."""
    drained = False
    for one in _walk(operations):
        drained = drained or isinstance(one, m.ReceiveAll)
        if drained and isinstance(one, m.Send) and one.bytes:
            raise Unsupported(
                f"{path}: receives all, then sends: a duplex stream ends only when its connection is closed"
            )
    for one in _walk(operations):
        if isinstance(one, m.Iterate):
            _check_end(path, (*one.operations, *one.operations) if _both(one.operations) else ())


def _both(operations: Sequence[Any]) -> bool:
    kinds = {type(one) for one in _walk(operations)}
    return {m.ReceiveAll, m.Send} <= kinds
