"""How do bytes get from one side to the other? The only file that knows sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

from russula.errors import AddressError

READ = 1 << 16
"""Bytes of one read."""
BACKLOG = 1024
"""Connections that wait to be accepted."""


class Stream(Protocol):
    """A connection: bytes in order, both ways."""

    async def read(self) -> bytes:
        """Some bytes; none at the end of the stream.

        :raises OSError: if the connection broke.
        """

    async def write(self, data: bytes) -> None:
        """Give bytes away; returns when there is room for more.

        :raises OSError: if the connection broke.
        """

    async def aclose(self) -> None:
        """End it; never raises for a connection that broke."""


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


Handler = Callable[[Stream], Awaitable[None]]


def unix_path(address: str) -> Path:
    """The path of an address ``unix:PATH``.

    :raises AddressError: for any other address.
    """
    scheme, _, rest = address.partition(":")
    if scheme == "unix" and rest:
        return Path(rest)
    if scheme == "tcp":
        raise AddressError(f"{address}: TCP needs credentials, and there are none; use unix:PATH on one machine")
    raise AddressError(f"{address!r}: expected unix:PATH")


async def connect(address: str) -> Stream:
    """Connect once.

    :raises AddressError: if the address makes no sense.
    :raises OSError: if nobody listens.
    """
    return SocketStream(*await asyncio.open_unix_connection(str(unix_path(address))))


@asynccontextmanager
async def listen(address: str, handler: Handler) -> AsyncIterator[str]:
    """Serve connections of this user until left, then end them; yields the address.

    :raises AddressError: if the folder of the socket may be entered by others.
    """
    path = unix_path(address)
    mode = stat.S_IMODE(path.parent.stat().st_mode)
    if mode & 0o077:
        raise AddressError(f"{path.parent} has mode {mode:o}: a control socket's folder must have 700")

    serving: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream, task = SocketStream(reader, writer), asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            if peer_uid(writer.get_extra_info("socket")) == os.getuid():
                await handler(stream)
            await stream.aclose()
        except asyncio.CancelledError:
            writer.close()  # the listener ends; asyncio logs a connection whose task ends as cancelled
        finally:
            serving.discard(task)

    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(accepted, str(path), backlog=BACKLOG)
    try:
        yield address
    finally:
        server.close()
        path.unlink(missing_ok=True)
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving)


def peer_uid(sock: socket.socket) -> int:
    """The user at the other end, as the kernel has it."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", credentials)[1]
    return uid
