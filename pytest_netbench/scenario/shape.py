"""Which plain transfer is a scenario? A download, an upload, or handshakes: what any performance tool can do; pure.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeVar

from pytest_netbench.errors import Unsupported
from pytest_netbench.scenario.extensions import Repeat
from pytest_netbench.scenario.model import (
    Client,
    ClientOp,
    ClientScope,
    Connect,
    Connection,
    ConnectionOp,
    Count,
    Iterate,
    OpenBidirectionalStream,
    Profile,
    Receive,
    ReceiveAll,
    ReceiveFinish,
    Scenario,
    Scope,
    Send,
    SendFinish,
    Time,
    Trace,
)
from pytest_netbench.scenario.walk import inside

T = TypeVar("T")

_SMALL = 10
"""The other direction of a download or an upload carries at most one part in so many."""


class Kind(Enum):
    """What is done on each connection."""

    DOWNLOAD = "download"
    UPLOAD = "upload"
    CONNECT = "connect"


@dataclass(frozen=True, slots=True)
class Shape:
    """A plain transfer, the same between every client and every server.

    ``bytes``: payload of one stream in the direction of the kind. ``streams``: of one connection, all at once.
    ``connections``: of one client to one server; ``parallel``: all at once, else one after another.
    ``seconds``: how long, of what a time ends; a download or an upload then has 0 bytes.
    """

    kind: Kind
    bytes: int
    streams: int
    connections: int
    parallel: bool
    servers: int
    clients: int
    seconds: float | None = None

    @property
    def total_bytes(self) -> int:
        """Payload between one client and one server."""
        return self.bytes * self.streams * self.connections


class _Exchange(NamedTuple):
    """What one stream carries: bytes of the client, then bytes of the server; None for as many as a time allows.

    ``seconds``: that time, as the client has it.
    """

    there: int | None
    back: int | None
    seconds: float | None = None


def shape(scenario: Scenario) -> Shape:
    """The plain transfer that a scenario is.

    :raises Unsupported: if it is none; names the operation, or what differs, that a plain transfer doesn't have.
    """
    dials = [_dials(client) for client in scenario.clients]
    if not dials or not dials[0].servers:
        raise Unsupported("a plain transfer has clients that dial")
    first = dials[0]
    if any(one != first for one in dials):
        raise Unsupported("its clients differ, a plain transfer is the same for all")
    counts = {first.servers.count(server) for server in range(len(scenario.servers))}
    if len(counts) != 1 or 0 in counts:
        raise Unsupported("its clients don't dial every server equally often")
    exchanges = {one for client in scenario.clients for one in _exchanges(scenario, client)}
    if len(exchanges) != 1:
        raise Unsupported("its connections differ, in a plain transfer all carry the same")
    ((exchange, streams),) = exchanges
    (connections,) = counts
    kind, size = _kind(exchange)
    connections *= first.times
    parallel = first.parallel or connections == 1
    if kind is not Kind.CONNECT and (not parallel or first.seconds is not None):
        raise Unsupported(f"its {connections} connections come one after another, those of a {kind.value} all at once")
    seconds = first.seconds if exchange.seconds is None else exchange.seconds
    return Shape(kind, size, streams, connections, parallel, len(scenario.servers), len(scenario.clients), seconds)


def _kind(exchange: _Exchange) -> tuple[Kind, int]:
    there, back, _ = exchange
    if there is None or back is None:
        return Kind.UPLOAD if there is None else Kind.DOWNLOAD, 0
    if max(there, back) <= 1:
        return Kind.CONNECT, max(there, back)
    if there * _SMALL <= back:
        return Kind.DOWNLOAD, back
    if back * _SMALL <= there:
        return Kind.UPLOAD, there
    raise Unsupported(f"{there:,} bytes there and {back:,} back are neither a download nor an upload")


class _Dials(NamedTuple):
    """Whom a client dials, and whether all at once; again and again so many times, or for so many seconds."""

    servers: tuple[int, ...]
    parallel: bool
    times: int = 1
    seconds: float | None = None


def _dials(client: Client) -> _Dials:
    if len(client.scenario) == 1 and isinstance(client.scenario[0], ClientScope):
        threads = client.scenario[0].threads
        if not threads:
            raise Unsupported("it dials nothing")
        if any(len(thread) != 1 for thread in threads):
            raise Unsupported("it dials one after another within a scope, a plain transfer all at once or in one row")
        ends = [_repeated(thread[0]) for thread in threads]
        if len({(one.times, one.seconds) for one in ends}) > 1 or any(one.times > 1 for one in ends):
            raise Unsupported("it dials one after another within a scope, a plain transfer all at once or in one row")
        return _Dials(sum((one.servers for one in ends), ()), parallel=True, seconds=ends[0].seconds)
    if len(client.scenario) == 1:
        return _repeated(client.scenario[0])
    return _Dials(tuple(_connect(one).server_id for one in client.scenario), parallel=False)


def _repeated(one: ClientOp) -> _Dials:
    """One dial, or a loop of one."""
    value, inside = _loop(one)
    if value is None:
        return _Dials((_connect(one).server_id,), parallel=False)
    if len(inside) != 1:
        raise Unsupported("a plain transfer has one dial in a loop")
    servers = (_connect(inside[0]).server_id,)
    if isinstance(value, Time):
        return _Dials(servers, parallel=True, seconds=value.amount_ms / 1000)
    return _Dials(servers, parallel=False, times=value.amount)


def _loop(one: ClientOp) -> tuple[Count | Time | None, tuple[ClientOp, ...]]:
    """How often or how long a loop of dials goes on, and what is in it; None for what is no loop."""
    return (one.value, one.operations) if isinstance(one, Repeat) else (None, ())


_MORE = ("resume", "early_data", "fresh")
"""Fields of extensions that no plain transfer has."""


def _connect(one: ClientOp) -> Connect:
    if not isinstance(one, Connect) or one.router_id is not None:
        raise Unsupported(f"a plain transfer has no {_word(one)} of clients")
    return _bare(one)


def _bare(one: T) -> T:
    for name in _MORE:
        if getattr(one, name, False):
            raise Unsupported(f"a plain transfer has no `{name}`")
    return one


def _exchanges(scenario: Scenario, client: Client) -> Iterator[tuple[_Exchange, int]]:
    pairs = {
        (one.client_connection_id, one.server_id, one.server_connection_id) for one in _all_connects(client.scenario)
    }
    for near, server, far in pairs:
        yield _exchange(client.connections[near], scenario.servers[server].connections[far])


def _all_connects(operations: tuple[ClientOp, ...]) -> Iterator[Connect]:
    for one in operations:
        if isinstance(one, ClientScope):
            for thread in one.threads:
                yield from _all_connects(thread)
        elif (found := _loop(one))[0] is not None:
            yield from _all_connects(found[1])
        else:
            yield _connect(one)


def _exchange(near: Connection, far: Connection) -> tuple[_Exchange, int]:
    """What each stream of a connection carries, and how many there are."""
    if near.peer_streams or far.ops:
        raise Unsupported("a plain transfer has no streams that the server opens")
    threads = near.ops[0].threads if len(near.ops) == 1 and isinstance(near.ops[0], Scope) else (near.ops,)
    ours = {_stream(thread, first=Send) for thread in threads}
    theirs = {_stream(thread, first=Receive) for thread in far.peer_streams}
    same = {one._replace(seconds=None) for one in ours} == theirs
    if len(threads) != len(far.peer_streams) or len(ours) != 1 or not same:
        raise Unsupported("its streams differ, or its two ends do")
    return ours.pop(), len(threads)


def _stream(operations: tuple[ConnectionOp, ...], *, first: type[Send | Receive]) -> _Exchange:
    """The client's bytes and the server's on one stream, seen from the end that begins with ``first``."""
    flat = list(_flat(operations))
    moved = [_Moved.of(one) for one in flat if isinstance(one, _TRANSFERS)]
    opened = sum(isinstance(one, OpenBidirectionalStream) for one in flat)
    if len(moved) == 1 and moved[0].bytes is None:  # nothing is said when the time is over
        moved.append(_Moved(_other(moved[0].way), 0))
    if [one.way for one in moved] != [first, _other(first)] or opened != (first is Send):
        raise Unsupported("a plain transfer is one request and one response on each stream")
    there, back = moved
    seconds = there.seconds if there.bytes is None else back.seconds
    return _Exchange(there.bytes, back.bytes, seconds if first is Send else None)


def _other(way: type[Send | Receive]) -> type[Send | Receive]:
    return Receive if way is Send else Send


class _Moved(NamedTuple):
    """One way of a stream: how many bytes, or None for as many as a time allows, and that time in seconds."""

    way: type[Send | Receive]
    bytes: int | None
    seconds: float | None = None

    @classmethod
    def of(cls, one: ConnectionOp) -> _Moved:
        if isinstance(one, Iterate) and isinstance(one.value, Time):
            way = Send if isinstance(one.operations[0], Send) else Receive
            return cls(way, None, one.value.amount_ms / 1000)
        if isinstance(one, ReceiveAll):
            return cls(Receive, None)
        assert isinstance(one, Send | Receive)
        return cls(type(one), one.bytes)


_TRANSFERS = (Send, Receive, ReceiveAll, Iterate)
_PLAIN = (OpenBidirectionalStream, Send, Receive, ReceiveAll, SendFinish, ReceiveFinish, Trace)


def _flat(operations: tuple[ConnectionOp, ...]) -> Iterator[ConnectionOp]:
    for one in operations:
        if isinstance(one, Profile):
            yield from _flat(one.operations)
        elif isinstance(one, _PLAIN):
            yield _bare(one)
        elif _goes_on(one):
            yield one
        else:
            raise Unsupported(f"a plain transfer has no `{_word(one)}`")


def _goes_on(one: ConnectionOp) -> bool:
    """Whether it sends, or receives, for a time."""
    timed = isinstance(one, Iterate) and isinstance(one.value, Time)
    return timed and len(inside(one)) == 1 and isinstance(inside(one)[0], Send | Receive | ReceiveAll)


def _word(one: object) -> str:
    """An operation's name as the format has it."""
    name = type(one).__name__.removeprefix("Client")
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
