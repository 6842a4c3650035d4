"""Where do bytes land that are read? In one buffer a thread: asyncio would map and unmap 256 KiB for each read."""

from __future__ import annotations

import asyncio
import threading

SIZE = 1 << 16
"""Bytes of one read."""

_buffers = threading.local()


class Buffered(asyncio.BufferedProtocol, asyncio.Protocol):
    """A protocol whose ``data_received`` gets what was read into the shared buffer, as bytes of its own."""

    def get_buffer(self, sizehint: int) -> memoryview:
        """The buffer; it is read from before anybody else can be given it."""
        del sizehint
        view: memoryview | None = getattr(_buffers, "view", None)
        if view is None:
            view = _buffers.view = memoryview(bytearray(SIZE))
        return view

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes were read."""
        self.data_received(bytes(self.get_buffer(0)[:nbytes]))
