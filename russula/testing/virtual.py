"""How does a test wait for an hour without waiting? An event loop whose time jumps to the next thing that is due."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class DeadlockError(RuntimeError):
    """Nothing is due, and nothing can come from outside: everybody waits for somebody."""


class _Selector(selectors.SelectSelector):
    """Looks at what is open, and instead of sleeping moves the time on."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found:
            return found
        if timeout is None:
            raise DeadlockError("everybody waits, and no timer runs")
        self.now += max(timeout, 0.0)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time in it is made of timers alone: whatever lasts, lasts no time."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Seconds since the loop was made, as its timers count them."""
        return self._virtual.now

    def clock(self, offset_s: float = 0.0, drift: float = 0.0) -> int:
        """Nanoseconds of a clock that is so far off, and gains so many seconds a second."""
        return round((self.time() * (1 + drift) + offset_s) * 1e9)


def run(main: Coroutine[Any, Any, T]) -> T:
    """As ``asyncio.run``, in virtual time.

    :raises DeadlockError: if nothing can happen any more.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
