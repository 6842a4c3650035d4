"""What have connections in common that serve many streams? Who waits for a stream of the peer, and for the end.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from pytest_netbench.drivers.builtin.carrier import FRESH, Occasion
from pytest_netbench.drivers.builtin.ending import Failed, NoMore
from pytest_netbench.drivers.builtin.engine import PAUSE, READ, Engine, Task, Waits
from pytest_netbench.drivers.builtin.thread import MS, Thread

_QUIET_MS = 30_000
"""A peer that moves nothing for so long, and doesn't close, isn't waited for any longer."""


class Served:
    """The streams of one connection. ``problem``: why nothing moves any more; ``ended``: the peer has closed well."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.problem: OSError | None = None
        self.ended = False
        self.since = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.retransmits: int | None = None
        self.busy_us: int | None = None
        self._theirs: dict[int, Any] = {}
        self._accepting: defaultdict[int, Occasion] = defaultdict(Occasion)
        self._closing: Task | None = None
        self._moved = 0

    @property
    def over(self) -> str | None:
        """Why nothing more comes; None while something may."""
        if self.problem is not None:
            return (self.problem.strerror or str(self.problem)).lower()
        return "the peer closed" if self.ended else None

    def accept(self, thread: Thread, number: int) -> Waits | None:
        """Wait for a stream that the peer opens."""
        if number not in self._theirs:
            return self._accept_later(thread, number)
        thread.side.streams[number] = self._theirs[number]
        return None

    def _accept_later(self, thread: Thread, number: int) -> Waits:
        while number not in self._theirs:
            if (why := self.over) is not None:
                kind = Failed if self.problem is not None else NoMore
                raise kind(f"{thread.context.title}, stream {number % FRESH} of the peer, accept: {why}")
            thread.link = self._accepting[number]
            yield READ
        thread.side.streams[number] = self._theirs[number]

    def _opened(self, number: int, stream: Any) -> None:  # noqa: ANN401 - of either kind
        """The peer has opened this stream: whoever waits for it has it."""
        self._theirs[number] = stream
        if (occasion := self._accepting.pop(number, None)) is not None:
            self.engine.able(occasion, READ)

    def _await(self, thread: Thread, done: Callable[[], bool]) -> Waits:
        """Wait for an end of closing as long as anything moves."""
        self._closing = thread
        moved, until = self._moved, self.engine.clock() + _QUIET_MS * MS
        while not done() and self.problem is None and self.engine.clock() < until:
            timer = self.engine.timer(until, thread)
            yield PAUSE
            timer.live = False
            if self._moved != moved:
                moved, until = self._moved, self.engine.clock() + _QUIET_MS * MS
