"""How does a test cut a connection? A program between both ends, over real sockets, that ends it when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from russula.transport import parse

PIECE = 1 << 14


@dataclass
class Cutter:
    """Forwards connections. The first is cut when so many bytes have gone one way, ``to_worker`` or ``to_coordinator``.

    ``again``: there was another.
    """

    way: str = ""
    after: int = 0
    connections: int = 0
    again: asyncio.Event = field(default_factory=asyncio.Event)
    _open: list[asyncio.StreamWriter] = field(default_factory=list)

    def cut(self) -> None:
        """End what is connected now: what is under way is lost."""
        for end in self._open:
            if not end.is_closing():
                end.transport.abort()
        self._open.clear()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        most = self.after if way == self.way and self.connections == 1 else None
        with suppress(OSError):
            while data := await reader.read(PIECE):
                if most is not None:
                    data, most = data[:most], most - len(data)
                writer.write(data)
                await writer.drain()
                if most is not None and most <= 0:
                    self.cut()
        if not writer.is_closing():
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: str) -> None:
        """One connection, with its other half."""
        self.connections += 1
        where = parse(to)
        there = asyncio.open_unix_connection(where) if isinstance(where, Path) else asyncio.open_connection(*where)
        far_reader, far_writer = await there
        self._open += [writer, far_writer]
        if self.connections > 1:
            self.again.set()
        await asyncio.gather(
            self._forward(reader, far_writer, "to_worker"), self._forward(far_reader, writer, "to_coordinator")
        )


@asynccontextmanager
async def cutting(folder: Path, to: str, cutter: Cutter) -> AsyncIterator[str]:
    """The address at which a cutter listens for connections to another."""
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(cutter.serve(reader, writer, to))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    if to.startswith("unix:"):
        address = f"unix:{folder}/cutter"
        server = await asyncio.start_unix_server(accept, f"{folder}/cutter")
    else:
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield address
    finally:
        server.close()
        cutter.cut()
        if tasks:
            await asyncio.wait(tasks)
