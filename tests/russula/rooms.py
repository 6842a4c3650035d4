"""How do coordinators and workers meet in virtual time? In memory, each with a clock of its own."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pytest_netbench.protocols import NetbenchClient
from russula import Conversation, Coordinator, Protocol, Target
from russula.testing import Faults, Network, VirtualLoop, run
from russula.testing.network import MemoryTransport
from russula.worker import Reception
from tests.russula.sides import DIALS, Worker

T = TypeVar("T")
LEASE = 5.0
BEGIN = 100.0
"""What a right clock shows when the loop begins: those that are wrong by less never show less than nothing."""


def the_loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


@dataclass(frozen=True)
class Wrong:
    """A clock that is so many seconds off, and gains so many in each."""

    offset: float = 0.0
    drift: float = 0.0

    def __call__(self) -> int:
        return the_loop().clock(BEGIN + self.offset, self.drift)

    async def until(self, instant_ns: int) -> None:
        """Till this clock shows the instant; not when it can't be told that it drifts."""
        due = (instant_ns / 1e9 - BEGIN - self.offset) / (1 + self.drift)
        await asyncio.sleep(due - the_loop().time())


def dials(clock: Wrong, began: dict[str, int]) -> Mapping[Enum, Callable[[Conversation], Awaitable[Any]]]:
    """A client's acts, which note when it really began."""

    async def go(talk: Conversation) -> Mapping[str, Any]:
        assert talk.instant_ns is not None
        await clock.until(talk.instant_ns)
        began[talk.worker] = Wrong()()
        return {"began_ns": clock()}

    return {**DIALS, NetbenchClient.RUNNING: go}


class Room:
    """A network in memory. ``lines``: what the workers' log says."""

    def __init__(self, folder: Path, faults: Faults | None = None, seed: int = 0) -> None:
        self.folder, self.network = folder, Network(faults, seed)
        self.receptions: dict[str, Reception] = {}
        self.lines: list[dict[str, Any]] = []
        self._log = logging.Logger("in memory", logging.INFO)  # noqa: LOG001  one of its own, that nobody else hears
        self._log.addHandler(_Lines(self.lines))

    def worker(self, protocol: Protocol, worker: Worker, name: str = "w0", clock: Wrong | None = None) -> str:
        """Let a worker listen; its address."""
        reception = Reception({protocol: worker.service}, self.folder, self._log, clock or Wrong())
        self.receptions[name] = reception
        self.network.listen(f"memory:{name}", reception.accept)
        return f"memory:{name}"

    def target(self, name: str = "w0", **more: Any) -> Target:
        return Target(name, f"memory:{name}", self.folder / "results" / name, **more)

    def drive(
        self, protocol: Protocol, *targets: Target, deadline: float = 60, **more: Any
    ) -> AbstractAsyncContextManager[Coordinator[Any]]:
        """Drive them in virtual time."""
        given = {"lease": LEASE, "clock": Wrong(), "dial": self.network.dial, **more}
        return Coordinator[Any].connect(protocol, targets, run="r", deadline=deadline, **given)

    def stall(self, name: str) -> None:
        """From now on nothing that a worker says arrives."""
        for end in self._ends(name):
            end.pause_reading()

    def delay(self, name: str, words: bytes, seconds: float) -> None:
        """What its coordinator says with these words in it arrives so much later."""
        for end in self._ends(name):
            end.write = partial(_late, end.write, words, seconds)  # type: ignore[method-assign]

    def cut_off(self, name: str, seconds: float) -> None:
        """A worker's connections end now, and for so long there are no others."""
        accept, ends = self.network._listeners.pop(f"memory:{name}")
        for end in ends:
            end.abort()
        the_loop().call_later(seconds, self.network.listen, f"memory:{name}", accept)

    def _ends(self, name: str) -> list[MemoryTransport]:
        """The coordinator's ends of a worker's connections."""
        return [end.peer for end in self.network._listeners[f"memory:{name}"][1] if end.peer is not None]

    def entered(self, worker: str = "w0") -> list[str]:
        """The states that a worker entered, by its log."""
        return [
            line["state"] for line in self.lines if line["worker"] == worker and line["event"] in {"entered", "failed"}
        ]


def _late(write: Callable[[bytes], None], words: bytes, seconds: float, data: bytes) -> None:
    if words in data:
        the_loop().call_later(seconds, write, data)
    else:
        write(data)


class _Lines(logging.Handler):
    def __init__(self, lines: list[dict[str, Any]]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(json.loads(record.getMessage()))


def in_virtual_time(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it; an hour lasts no time."""
    return run(main())
