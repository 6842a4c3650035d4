"""How do bytes get from one side to the other? The only file that knows sockets and addresses.

Connections are asyncio's own transports, told to asyncio's own protocols: no task, no queue, and no buffer but theirs.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

from russula.errors import AddressError

BACKLOG = 1024
"""Connections that wait to be accepted."""

Securing: TypeAlias = Callable[[asyncio.Protocol], asyncio.Protocol]
"""Puts TLS between a transport and a protocol; what TCP is never used without."""
Accept: TypeAlias = Callable[[asyncio.Transport], asyncio.Protocol]
"""Who is to be told of a connection that came; it may end the transport before that."""

Address: TypeAlias = "Path | tuple[str, int]"


def parse(address: str) -> Address:
    """The path of ``unix:PATH``, or host and port of ``tcp://HOST:PORT`` (an IPv6 host in brackets).

    :raises AddressError: for anything else.
    """
    scheme, _, rest = address.partition(":")
    if scheme == "unix" and rest:
        return Path(rest)
    host, _, port = rest.removeprefix("//").rpartition(":")
    if scheme == "tcp" and rest.startswith("//") and host and port.isdigit() and int(port) < 1 << 16:
        return host.strip("[]"), int(port)
    raise AddressError(f"{address!r}: expected unix:PATH or tcp://HOST:PORT")


def _secure(address: str, securing: Securing | None) -> Securing:
    if securing is None:
        raise AddressError(f"{address}: TCP needs credentials, and there are none; on one machine use unix:PATH")
    return securing


async def connect(address: str, protocol: asyncio.Protocol, securing: Securing | None = None) -> asyncio.BaseTransport:
    """Connect once; the protocol is told of it, over TCP when it is secret. Returns what may be ended before that.

    :raises AddressError: if the address makes no sense, or is TCP without credentials.
    :raises OSError: if nobody listens, or another user does.
    """
    where, loop = parse(address), asyncio.get_running_loop()
    if isinstance(where, Path):
        wire, _ = await loop.create_unix_connection(lambda: _OfThisUser(lambda _: protocol), str(where))
        if wire.get_protocol() is not protocol:
            raise PermissionError(f"{address}: another user's process listens there")
        return wire
    secret = _secure(address, securing)(protocol)
    wire, _ = await loop.create_connection(lambda: secret, *where)
    return wire


def listen(address: str, accept: Accept, securing: Securing | None = None) -> AbstractAsyncContextManager[str]:
    """Accept connections until left; yields the address, with the port that the kernel chose for 0.

    Over a unix socket, this user's; over TCP, those of this run. Whoever accepted them ends them.

    :raises AddressError: if it makes no sense, is TCP without credentials, others may enter the socket's folder, or
        somebody listens there.
    :raises OSError: if the kernel refuses it.
    """
    where = parse(address)
    if isinstance(where, Path):
        return _listen_unix(where, accept)
    return _listen_tcp(*where, accept, _secure(address, securing))


class _Chooses(asyncio.Protocol):
    """Decides who is told of a connection, and steps aside."""

    def __init__(self, who: Accept) -> None:
        self._who = who

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        told = self._who(transport)
        transport.set_protocol(told)
        told.connection_made(transport)


class _OfThisUser(_Chooses):
    """The same, if this user is at the other end; else the connection is ended, and nobody is told."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if peer_uid(transport.get_extra_info("socket")) == os.getuid():
            super().connection_made(transport)
        else:
            transport.abort()


@asynccontextmanager
async def _listen_unix(path: Path, accept: Accept) -> AsyncIterator[str]:
    _free(path)
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: _OfThisUser(accept), str(path), backlog=BACKLOG)
    try:
        yield f"unix:{path}"
    finally:
        server.close()
        path.unlink(missing_ok=True)  # noqa: ASYNC240  it takes no time


def _free(path: Path) -> None:
    """Remove what a worker that is gone left behind, in a folder that nobody else may enter."""
    mode = stat.S_IMODE(path.parent.stat().st_mode)
    if mode & 0o077:
        raise AddressError(f"{path.parent} has mode {mode:o}: a control socket's folder must have 700")
    if not path.exists():
        return
    if not path.is_socket():
        raise AddressError(f"{path} is no socket: it isn't replaced by one")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(0)
        if sock.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise AddressError(f"somebody listens at {path}")
    path.unlink()


@asynccontextmanager
async def _listen_tcp(host: str, port: int, accept: Accept, securing: Securing) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Chooses(lambda transport: securing(accept(transport))), host, port, backlog=BACKLOG
    )
    try:
        found = server.sockets[0].getsockname()
        yield f"tcp://[{found[0]}]:{found[1]}" if ":" in found[0] else f"tcp://{found[0]}:{found[1]}"
    finally:
        server.close()


def peer_uid(sock: socket.socket) -> int:
    """The user at the other end of a unix socket, as the kernel has it."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", credentials)[1]
    return uid
