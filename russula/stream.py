"""What does russula ask of a connection? Three methods, whatever carries the bytes."""

from __future__ import annotations

from typing import Protocol

READ = 1 << 16
"""Bytes of one read."""


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
