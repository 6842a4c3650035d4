"""Which plain transfer is a scenario? A download, an upload, or handshakes: what any performance tool can do; pure.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from pytest_netbench.errors import Unsupported
from pytest_netbench.scenario.model import (
    Client,
    ClientOp,
    ClientScope,
    Connect,
    Connection,
    ConnectionOp,
    OpenBidirectionalStream,
    Profile,
    Receive,
    ReceiveFinish,
    Scenario,
    Scope,
    Send,
    SendFinish,
    Trace,
)

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
    ``seconds``: how long, of a transfer that a time ends.
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
    """What one stream carries: bytes of the client, then bytes of the server."""

    there: int
    back: int


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
    parallel = first.parallel or connections == 1
    if not parallel and kind is not Kind.CONNECT:
        raise Unsupported(f"its {connections} connections come one after another, those of a {kind.value} all at once")
    return Shape(kind, size, streams, connections, parallel, len(scenario.servers), len(scenario.clients))


def _kind(exchange: _Exchange) -> tuple[Kind, int]:
    there, back = exchange
    if max(there, back) <= 1:
        return Kind.CONNECT, max(there, back)
    if there * _SMALL <= back:
        return Kind.DOWNLOAD, back
    if back * _SMALL <= there:
        return Kind.UPLOAD, there
    raise Unsupported(f"{there:,} bytes there and {back:,} back are neither a download nor an upload")


class _Dials(NamedTuple):
    """Whom a client dials, and whether all at once."""

    servers: tuple[int, ...]
    parallel: bool


def _dials(client: Client) -> _Dials:
    if len(client.scenario) == 1 and isinstance(client.scenario[0], ClientScope):
        threads = client.scenario[0].threads
        if all(len(thread) == 1 for thread in threads):
            return _Dials(tuple(_connect(thread[0]).server_id for thread in threads), parallel=True)
        raise Unsupported("it dials one after another within a scope, a plain transfer all at once or in one row")
    return _Dials(tuple(_connect(one).server_id for one in client.scenario), parallel=False)


def _connect(one: ClientOp) -> Connect:
    if not isinstance(one, Connect) or one.router_id is not None:
        raise Unsupported(f"a plain transfer has no {_word(one)} of clients")
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
        else:
            yield _connect(one)


def _exchange(near: Connection, far: Connection) -> tuple[_Exchange, int]:
    """What each stream of a connection carries, and how many there are."""
    if near.peer_streams or far.ops:
        raise Unsupported("a plain transfer has no streams that the server opens")
    threads = near.ops[0].threads if len(near.ops) == 1 and isinstance(near.ops[0], Scope) else (near.ops,)
    ours = {_stream(thread, first=Send) for thread in threads}
    theirs = {_stream(thread, first=Receive) for thread in far.peer_streams}
    if len(threads) != len(far.peer_streams) or len(ours) != 1 or ours != theirs:
        raise Unsupported("its streams differ, or its two ends do")
    return ours.pop(), len(threads)


def _stream(operations: tuple[ConnectionOp, ...], *, first: type[Send | Receive]) -> _Exchange:
    """The client's bytes and the server's on one stream, seen from the end that begins with ``first``."""
    moved = [one for one in _flat(operations) if isinstance(one, (Send, Receive))]
    opened = sum(isinstance(one, OpenBidirectionalStream) for one in _flat(operations))
    if [type(one) for one in moved] != [first, Receive if first is Send else Send] or opened != (first is Send):
        raise Unsupported("a plain transfer is one request and one response on each stream")
    return _Exchange(moved[0].bytes, moved[1].bytes)


_PLAIN = (OpenBidirectionalStream, Send, Receive, SendFinish, ReceiveFinish, Trace)


def _flat(operations: tuple[ConnectionOp, ...]) -> Iterator[ConnectionOp]:
    for one in operations:
        if isinstance(one, Profile):
            yield from _flat(one.operations)
        elif isinstance(one, _PLAIN):
            yield one
        else:
            raise Unsupported(f"a plain transfer has no `{_word(one)}`")


def _word(one: object) -> str:
    """An operation's name as the format has it."""
    name = type(one).__name__.removeprefix("Client")
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
