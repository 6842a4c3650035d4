"""Can connections carry this endpoint's programs? Duplex has one raw stream, that ends only with its connection.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from pytest_netbench.drivers.builtin.ending import Misused, Unsupported
from pytest_netbench.scenario import extensions as x
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.walk import inside, times

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
        if twice := [number for number, times in Counter(_opened_once(connection.ops)).items() if times > 1]:
            raise Misused(f"{where}.ops: stream {twice[0]} is opened more than once")
        _check_names(f"{where}.ops", connection.ops, set())
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
        else:
            timed = isinstance(one, m.Iterate) and isinstance(one.value, m.Time)
            total += _opened(inside(one)) * (2 if timed else times(one))
    return total


def _walk(operations: Sequence[Any]) -> Iterator[Any]:
    for one in operations:
        yield one
        yield from _walk(inside(one))


def _opens(operations: Sequence[Any]) -> Iterator[int]:
    """The streams that are opened."""
    return (one.stream_id for one in _walk(operations) if isinstance(one, m.OpenBidirectionalStream | m.OpenSendStream))


def _opened_once(operations: Sequence[Any]) -> Iterator[int]:
    """The streams that aren't opened afresh; one that is opened again and again all the same comes twice."""
    for one in operations:
        if isinstance(one, m.OpenBidirectionalStream | m.OpenSendStream):
            if not one.fresh:
                yield one.stream_id
        else:
            repeated = 2 if _opened((one,)) > _opened(inside(one)) else 1
            yield from (number for number in _opened_once(inside(one)) for _ in range(repeated))


def _check_names(path: str, operations: Sequence[Any], known: set[int]) -> None:
    """Operations name a stream that their side has, after it was opened, and rates let something through."""
    every = {*known, *_opens(operations)}
    _check_order(path, operations, set(known), every)
    for one in _walk(operations):
        if isinstance(one, m.SendRate | m.ReceiveRate) and not one.bytes:
            raise Misused(f"{path}: a rate of 0 bytes a period never lets anything through")


def _check_order(path: str, operations: Sequence[Any], known: set[int], every: set[int]) -> set[int]:
    """What is open after these operations, each of which uses only what is open before it."""
    for one in operations:
        if isinstance(one, m.OpenBidirectionalStream | m.OpenSendStream):
            known = known | {one.stream_id}
        elif isinstance(one, _USES) and one.stream_id not in known:
            when = "when it is used" if one.stream_id in every else "there"
            raise Misused(f"{path}: stream {one.stream_id} isn't opened {when}")
        elif isinstance(one, m.Profile | m.Iterate | x.Schedule):
            known = _check_order(path, one.operations, known, every)
        elif isinstance(one, m.Scope):
            known = known.union(*(_check_order(path, thread, known, every) for thread in one.threads))
    return known


_USES = (m.Send, m.SendFinish, m.Receive, m.ReceiveAll, m.ReceiveFinish)


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
        if isinstance(one, m.Iterate | x.Schedule):
            _check_end(path, (*one.operations, *one.operations) if _both(one.operations) else ())


def _both(operations: Sequence[Any]) -> bool:
    kinds = {type(one) for one in _walk(operations)}
    return {m.ReceiveAll, m.Send} <= kinds
