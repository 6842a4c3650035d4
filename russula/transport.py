"""How do bytes get from one side to the other? The only file that knows sockets and addresses."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from russula.errors import AddressError
from russula.stream import READ, Stream

BACKLOG = 1024
"""Connections that wait to be accepted."""
HANDSHAKE = 10.0
"""Seconds that whoever connects may take to show its certificate."""

Handler: TypeAlias = Callable[[Stream], Awaitable[None]]
Securing: TypeAlias = Callable[[Stream], Awaitable[Stream]]
"""Makes a stream secret and certain of its other end; what TCP is never used without."""


class SocketStream:
    """A stream over a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        """Some bytes; none at the end."""
        return await self._reader.read(READ)

    async def write(self, data: bytes) -> None:
        """Give bytes away, with backpressure."""
        self._writer.write(data)
        await self._writer.drain()

    async def aclose(self) -> None:
        """Close the socket."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


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


async def connect(address: str, securing: Securing | None = None) -> Stream:
    """Connect once.

    :raises AddressError: if the address makes no sense, or is TCP without credentials.
    :raises OSError: if nobody listens, or the other side isn't of this run.
    """
    where = parse(address)
    if isinstance(where, Path):
        return SocketStream(*await asyncio.open_unix_connection(str(where)))
    securing = _secure(address, securing)
    wire = SocketStream(*await asyncio.open_connection(*where))
    try:
        return await securing(wire)
    except BaseException:
        await wire.aclose()
        raise


def listen(address: str, handler: Handler, securing: Securing | None = None) -> AbstractAsyncContextManager[str]:
    """Serve connections until left, then end them; yields the address, with the port that the kernel chose for 0.

    Over a unix socket, this user's; over TCP, those of this run.

    :raises AddressError: if it makes no sense, is TCP without credentials, or others may enter the socket's folder.
    :raises OSError: if the kernel refuses it.
    """
    where = parse(address)
    if isinstance(where, Path):
        return _listen_unix(where, handler)
    return _listen_tcp(*where, handler, _secure(address, securing))


@asynccontextmanager
async def _listen_unix(path: Path, handler: Handler) -> AsyncIterator[str]:
    _free(path)

    async def accepted(stream: SocketStream, sock: socket.socket) -> None:
        if peer_uid(sock) == os.getuid():
            await handler(stream)

    serving = _Serving(accepted)
    server = await asyncio.start_unix_server(serving.accept, str(path), backlog=BACKLOG)
    try:
        yield f"unix:{path}"
    finally:
        server.close()
        _free(path)
        await serving.end()


def _free(path: Path) -> None:
    """Remove a socket of ours, in a folder that nobody else may enter."""
    mode = stat.S_IMODE(path.parent.stat().st_mode)
    if mode & 0o077:
        raise AddressError(f"{path.parent} has mode {mode:o}: a control socket's folder must have 700")
    path.unlink(missing_ok=True)


@asynccontextmanager
async def _listen_tcp(host: str, port: int, handler: Handler, securing: Securing) -> AsyncIterator[str]:
    async def accepted(wire: SocketStream, _: socket.socket) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE):
                stream = await securing(wire)
        except OSError:  # not of this run, or too slow: it costs no more than this, not even a line in the log
            return
        await handler(stream)

    serving = _Serving(accepted)
    server = await asyncio.start_server(serving.accept, host, port, backlog=BACKLOG)
    try:
        found = server.sockets[0].getsockname()
        yield f"tcp://[{found[0]}]:{found[1]}" if ":" in found[0] else f"tcp://{found[0]}:{found[1]}"
    finally:
        server.close()
        await serving.end()


class _Serving:
    """The connections of a listener: each a task, all ended with it."""

    def __init__(self, accepted: Callable[[SocketStream, socket.socket], Awaitable[None]]) -> None:
        self._accepted = accepted
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream, task = SocketStream(reader, writer), asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._accepted(stream, writer.get_extra_info("socket"))
            await stream.aclose()
        except asyncio.CancelledError:
            writer.close()  # the listener ends; asyncio logs a connection whose task ends as cancelled
        finally:
            self._tasks.discard(task)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


def peer_uid(sock: socket.socket) -> int:
    """The user at the other end of a unix socket, as the kernel has it."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", credentials)[1]
    return uid
