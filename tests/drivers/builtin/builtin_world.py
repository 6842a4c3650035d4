"""In which world do interpreter tests run? Streams and a poller of lists, a clock that moves only when all wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.engine import READ, WRITE, Checkpoints, Engine, Gathering, Link, Task
from pytest_netbench.drivers.builtin.interpreter import compile_operations, run
from pytest_netbench.drivers.builtin.recorder import Recorder
from pytest_netbench.drivers.builtin.thread import END, MS, Side, Thread
from pytest_netbench.scenario import model as m

CHUNK = 1 << 16


class World:
    """A clock in milliseconds, and the poller that moves it: to the next arrival, or to the end of its timeout."""

    def __init__(self) -> None:
        self.now = 0
        self.links: dict[int, Link] = {}
        self.engine = Engine(self, lambda: self.now)
        self.gathering = Gathering(self.engine)
        self.recorder = Recorder(("outer", "inner"))
        self.polls = 0

    @property
    def ms(self) -> float:
        return self.now / MS

    def register(self, link: Link) -> None:
        link.interest = 0
        for task in link.tasks:
            link.interest |= task.awaited
        self.links[link.fd] = link

    def closed(self, link: Link) -> None:
        del self.links[link.fd]

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        self.polls += 1
        assert self.polls < 1_000_000, "it spins"
        ready = self._ready()
        if ready or not timeout:
            return ready
        coming = [one.next_arrival() for one in self.links.values() if isinstance(one, FakeStream)]
        arrivals = [one for one in coming if one is not None and one > self.now]
        until = None if timeout < 0 else self.now + round(timeout * 1e9)
        assert arrivals or until is not None, "nothing would ever happen"
        self.now = min([*arrivals, *([] if until is None else [until])])
        return self._ready()

    def _ready(self) -> list[tuple[int, int]]:
        found = [(fd, link.can() & link.interest) for fd, link in self.links.items() if isinstance(link, FakeStream)]
        return [(fd, mask) for fd, mask in found if mask]


class FakeStream:
    """A stream and its link. ``arrivals``: at which ms come how many bytes, ``END`` or an error.

    ``room``: how many bytes can be sent, None if there is no limit.
    """

    def __init__(
        self, world: World, arrivals: Sequence[tuple[float, int | OSError]] = (), room: int | None = None
    ) -> None:
        self.fd = len(world.links)
        world.links[self.fd] = self
        self.tasks: list[Task] = []
        self.interest = 0
        self.cut = self.full = self.idle = self.patient = False
        self.number = 0
        self.sent: list[tuple[float, int]] = []
        self.received: list[tuple[float, int]] = []
        self.room = room
        self.fails: OSError | None = None
        self._world = world
        self._arrivals = [(round(at * MS), what) for at, what in arrivals]

    def next_arrival(self) -> int | None:
        return self._arrivals[0][0] if self._arrivals else None

    def can(self) -> int:
        readable = bool(self._arrivals) and self._arrivals[0][0] <= self._world.now
        return (READ if readable else 0) | (WRITE if self.room is None or self.room or self.fails else 0)

    def send(self, limit: int) -> int:
        if self.fails is not None:
            raise self.fails
        sent = min(limit, CHUNK) if self.room is None else min(limit, CHUNK, self.room)
        self.full = not sent
        if self.room is not None:
            self.room -= sent
        if sent:
            self.sent.append((self._world.ms, sent))
        return sent

    def receive(self, limit: int, wait: bool) -> int:
        assert not wait, "not patient"
        self.idle = not self._arrivals or self._arrivals[0][0] > self._world.now
        if self.idle:
            return 0
        at, what = self._arrivals[0]
        if isinstance(what, OSError):
            raise what
        if what == END:
            return END
        taken = min(limit, what)
        self._arrivals[:1] = [(at, what - taken)] if what > taken else []
        self.received.append((self._world.ms, taken))
        return taken

    def finish(self) -> None:
        pass

    def refuse(self) -> bool:
        return True

    @property
    def total_sent(self) -> int:
        return sum(amount for _, amount in self.sent)

    @property
    def total_received(self) -> int:
        return sum(amount for _, amount in self.received)


class FakeContext:
    """What threads share; its one stream is opened by whoever asks."""

    def __init__(self, world: World, stream: Any = None, checkpoints: Checkpoints | None = None) -> None:
        self.engine = world.engine
        self.recorder = world.recorder
        self.checkpoints = checkpoints or Checkpoints(world.engine)
        self.gathering = world.gathering
        self.number = 0
        self.stream = stream

    title = "connection 0"

    def open(self, thread: Thread, number: int, both_ways: bool) -> None:
        self.stream.number = number
        thread.side.streams[number] = self.stream

    def failure(self, stream: Any, operation: str, reason: str) -> Failed:
        return Failed(f"stream {stream.number}, {operation}: {reason}")


def start(world: World, operations: Sequence[m.ConnectionOp], context: FakeContext) -> Thread:
    """Let operations be carried out from the next turn on; stream 0 is open already."""
    side = Side()
    if context.stream is not None:
        side.streams[0] = context.stream
    thread = Thread(context, side, link=context.stream)
    world.engine.spawn(thread, run(thread, compile_operations(operations, world)))
    return thread


def carry_out(world: World, *operations: Any, stream: FakeStream | None = None) -> FakeContext:
    """Carry operations out to their end."""
    context = FakeContext(world, stream)
    start(world, operations, context)
    world.engine.run()
    return context
