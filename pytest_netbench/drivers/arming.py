"""How does a driver that is ready learn when to begin? Two pipes: it says that it is armed, it is told the instant.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

_LAUNCHER = Path(__file__).parent / "launcher.py"
ARMED = b"armed"


class Arm:
    """The worker's ends of both pipes, and the driver's until it is started."""

    def __init__(self) -> None:
        self.reader, self._release = os.pipe2(os.O_CLOEXEC)
        self._said, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.writer, True)
        self._loop = asyncio.get_running_loop()
        self._text = b""
        self._grown = asyncio.Event()
        self._ended = False
        self._theirs = True
        self._loop.add_reader(self._said, self._read)

    @property
    def descriptors(self) -> str:
        """The driver's ends, as ``NETBENCH_ARM`` has them."""
        return f"{self.reader},{self.writer}"

    def waiting_child(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """The command line of the child that waits in the place of a driver that can't."""
        return (sys.executable, "-I", "-S", str(_LAUNCHER), self.descriptors, *argv)

    def started(self) -> None:
        """The driver has its ends: close them here."""
        if self._theirs:
            os.close(self.reader)
            os.close(self.writer)
            self._theirs = False

    async def armed(self) -> bool:
        """Wait until the driver says so; False if it closed the pipe without."""
        while b"\n" not in self._text and not self._ended:
            await self._grown.wait()
            self._grown.clear()
        return self._text.partition(b"\n")[0] == ARMED

    def release(self, instant_ns: int) -> None:
        """Tell the driver when to begin.

        :raises BrokenPipeError: if it has ended.
        """
        os.write(self._release, b"%d\n" % instant_ns)

    @property
    def executed_ns(self) -> int | None:
        """When a waiting child executed its driver, or None."""
        lines = self._text.split(b"\n")
        return int(lines[1]) if len(lines) > 2 and lines[1].isdigit() else None  # noqa: PLR2004 - two whole lines

    def _read(self) -> None:
        more = os.read(self._said, 4096)
        self._text += more[: max(0, 4096 - len(self._text))]
        self._ended = not more
        if self._ended:
            self._loop.remove_reader(self._said)
        self._grown.set()

    def close(self) -> None:
        """Close what is open; a driver that still waits then ends."""
        self.started()
        self._loop.remove_reader(self._said)
        os.close(self._said)
        os.close(self._release)
