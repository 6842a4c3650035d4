"""Which task goes on next? Tasks that are generators, timers, checkpoints; no socket, and the clock is an argument.

A task yields what it waits for: ``READ`` or ``WRITE`` on its link, ``AGAIN`` for its next turn after the others, or
``PAUSE`` until something wakes it. Whoever pauses checks its condition again when woken: a wake may come too early.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol, TypeAlias

AGAIN = 0
READ = 1  # the bit of epoll
WRITE = 4  # the bit of epoll
PAUSE = -1
_TROUBLE = 8 | 16  # the bits of epoll for an error, and for a connection that is closed both ways

RUNNING = -2
"""A task that goes on, waits for its turn, or has ended: nothing there to wake."""

Waits: TypeAlias = Generator[int, None, None]
Clock: TypeAlias = Callable[[], int]
"""Nanoseconds of a monotonic clock."""

_NS = 1e9

PATIENCE_NS = 20_000_000
"""A task that waits by itself in the kernel comes back after this long, with or without what it waits for."""

_LONGEST_WAIT_S = 3600.0
"""Longer waits are made of several: the kernel takes no number of seconds."""

_GUARD_NS = PATIENCE_NS + 10_000_000  # the kernel's own clock ticks coarsely


class TimeUp(BaseException):
    """Thrown into a task when a timer of its passes; the operation that set the timer catches it."""

    def __init__(self, timer: Timer) -> None:
        super().__init__()
        self.timer = timer


class Stuck(Exception):
    """Everything that is left waits for a checkpoint that nothing left can unpark."""


class Task:
    """A generator, and what it waits for on which link.

    ``weight``: 0 for one that serves others, and doesn't keep the engine running by itself.
    """

    __slots__ = ("awaited", "generator", "link", "parent", "pending", "weight")

    def __init__(self, link: Link | None = None, parent: Task | None = None, weight: int = 1) -> None:
        self.weight = weight
        self.generator: Waits | None = None
        self.link: Any = link  # whoever waits for one has one
        self.parent = parent
        self.awaited = RUNNING
        self.pending = 0


class Timer:
    """An instant at which a task is woken (``interrupts`` false), or interrupted wherever it is."""

    __slots__ = ("interrupts", "live", "task", "when")

    def __init__(self, when: int, task: Task, *, interrupts: bool) -> None:
        self.when = when
        self.task = task
        self.interrupts = interrupts
        self.live = True

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when


class Link(Protocol):
    """What tasks read and write: a descriptor. ``tasks`` wait for it; ``interest`` is what the poller looks for.

    One whose interest is always ``READ | WRITE`` isn't the poller's: whoever serves it says what it can do (``able``).
    """

    fd: int
    tasks: list[Task]
    interest: int


class Poller(Protocol):
    """What knows when links can be read and written, by their descriptors."""

    @property
    def links(self) -> Mapping[int, Link]:
        """The links that it looks at."""

    @property
    def poll(self) -> Callable[[float], list[tuple[int, int]]]:
        """Gives descriptors and the bits of what they can do; after so many seconds at most, for ever if negative."""

    def register(self, link: Link) -> None:
        """Look for what the link's tasks wait for now."""

    def closed(self, link: Link) -> None:
        """The link's descriptor is about to be closed."""


class Engine:
    """Runs tasks until none is left. A task's error goes to its parent, or out of ``run``.

    ``company``: so many tasks may be kept waiting by one that waits in the kernel by itself. ``interruptible``: nothing
    would be lost if the running task were interrupted by an error just now. ``resting``: called once, when nobody goes
    on.
    """

    def __init__(self, poller: Poller, clock: Clock) -> None:
        self.clock = clock
        self.poller = poller
        self._ready: deque[Task] = deque()
        self._timers: list[Timer] = []
        self._live = 0
        self._waiting = 0
        self._hurried = False
        self.company = 0
        self.interruptible = True
        self.resting: Callable[[], None] | None = None

    def spawn(self, task: Task, generator: Waits) -> Task:
        """Start a task; it runs for the first time when it is its turn."""
        task.generator = generator
        self._live += task.weight
        if task.parent is not None:
            task.parent.pending += 1
        self._ready.append(task)
        return task

    def start(self, task: Task, generator: Waits) -> None:
        """Start a task without a parent; it runs at once, until it waits."""
        task.generator = generator
        self._live += task.weight
        self._step(task)

    def cancel(self, task: Task) -> None:
        """End a task that isn't running now, and with it what it started."""
        generator, task.generator = task.generator, None
        if generator is not None:
            self._stop_waiting(task)
            self._live -= task.weight
            generator.close()

    def wake(self, task: Task) -> None:
        """Give a pausing task its turn."""
        if task.awaited == PAUSE:
            task.awaited = RUNNING
            self._ready.append(task)

    def nudge(self, task: Task) -> None:
        """Give a task its turn whatever it waits for; it looks again at what that is."""
        if task.awaited != RUNNING:
            self._stop_waiting(task)
            self._ready.append(task)

    def timer(self, when: int, task: Task, *, interrupts: bool = False) -> Timer:
        """Wake or interrupt the task at that instant, unless the timer's ``live`` is cleared before."""
        timer = Timer(when, task, interrupts=interrupts)
        heapq.heappush(self._timers, timer)
        return timer

    def sleep_until(self, when: int, task: Task) -> Waits:
        """Wait, in ``task``, until the clock shows that instant."""
        if self.clock() < when:
            timer = self.timer(when, task)
            try:
                while self.clock() < when:
                    yield PAUSE
            finally:
                timer.live = False

    def may_block(self) -> bool:
        """Whether the running task may wait in the kernel by itself, for ``PATIENCE_NS``: nobody else would go on."""
        timers = self._timers
        return (
            self._live <= 1 + self.company
            and (not timers or timers[0].when - self.clock() > _GUARD_NS)
            and not self._hurried
            and not self._ready
        )

    def hurry(self) -> None:
        """Let the poller be asked soon: nobody waits in the kernel by himself from now on."""
        self._hurried = True

    def run(self) -> None:
        """Run until no task is left.

        :raises Stuck: if what is left can never go on.
        """
        self.interruptible = False
        poll, links, ready, step = self.poller.poll, self.poller.links, self._ready, self._step
        while self._live:
            if ready:
                self._turn()
            timeout = self._timeout() if self._timers else -1.0
            if ready:
                timeout = 0.0
            elif timeout < 0 and not self._waiting:
                if not self._live:
                    return
                raise Stuck
            if self.resting is not None and not ready:
                rest, self.resting = self.resting, None
                rest()
            events = poll(timeout)
            if len(events) == 1:  # the usual number when two talk to each other
                fd, mask = events[0]
                tasks = links[fd].tasks
                if len(tasks) == 1 and tasks[0].awaited & mask:
                    task = tasks.pop()
                    self._waiting -= task.weight
                    task.awaited = RUNNING
                    step(task)
                    continue
            for fd, mask in events:
                self._woken(links[fd], mask)

    def _turn(self) -> None:
        """Let everybody who has a turn go on, each once."""
        ready = self._ready
        turns = len(ready)
        while turns and ready:  # one that fails takes others along
            turns -= 1
            self._step(ready.popleft())

    def _woken(self, link: Link, mask: int) -> None:
        """What the poller says of a link."""
        can = -1 if mask & _TROUBLE else mask  # whatever is waited for: trying it tells what is wrong
        if not self.able(link, can):  # nobody is interested any more
            self.poller.register(link)

    def able(self, link: Link, can: int) -> bool:
        """Give those a turn who wait for what the link can do now; in turn, since one may interrupt another.

        Whether there are any.
        """
        going = [task for task in link.tasks if task.awaited & can]
        if not going:
            return False
        link.tasks = [task for task in link.tasks if not task.awaited & can]
        for task in going:
            self._waiting -= task.weight
            task.awaited = RUNNING
        self._ready.extend(going)
        return True

    def _timeout(self) -> float:
        """Deal with the timers that are over; seconds until the next one, negative if there is none."""
        now = self.clock()
        timers = self._timers
        while timers and (not timers[0].live or timers[0].when <= now):
            timer = heapq.heappop(timers)
            if timer.live and timer.task.generator is not None:
                if timer.interrupts:
                    self._stop_waiting(timer.task)
                    self._step(timer.task, TimeUp(timer))
                else:
                    self.wake(timer.task)
        return min((timers[0].when - now) / _NS, _LONGEST_WAIT_S) if timers else -1.0

    def _stop_waiting(self, task: Task) -> None:
        if task.awaited > 0:
            self._waiting -= task.weight
            task.link.tasks.remove(task)
        elif task.awaited == RUNNING and task in self._ready:
            self._ready.remove(task)
        task.awaited = RUNNING

    def _step(self, task: Task, error: BaseException | None = None) -> None:
        """Let a task go on until it waits or ends."""
        generator = task.generator
        if generator is None:
            return
        try:
            awaited = generator.send(None) if error is None else generator.throw(error)
        except StopIteration:
            self._ended(task, None)
            return
        except Exception as failure:  # noqa: BLE001 - handed on to whoever started the task
            self._ended(task, failure)
            return
        if awaited > 0:
            task.awaited = awaited
            self._waiting += task.weight
            link = task.link
            link.tasks.append(task)
            if link.interest & awaited != awaited:
                self.poller.register(link)
        elif awaited == AGAIN:
            self._ready.append(task)
        else:
            task.awaited = PAUSE

    def _ended(self, task: Task, failure: Exception | None) -> None:
        task.generator = None
        self._live -= task.weight
        parent = task.parent
        if failure is not None:
            if parent is None or parent.generator is None:
                raise failure
            self._stop_waiting(parent)
            self._step(parent, failure)
        elif parent is not None:
            parent.pending -= 1
            if not parent.pending:
                self.wake(parent)


class Gathering:
    """Threads that wait until so many are there, in whichever connections of this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._there = 0
        self._waiting: dict[int, list[Task]] = {}

    def hold(self, wanted: int, duration: int, task: Task) -> Waits:
        """Wait, in ``task``, until ``wanted`` do, and then for so many nanoseconds."""
        self._there += 1
        try:
            for enough in [one for one in self._waiting if one <= self._there]:
                for other in self._waiting.pop(enough):
                    self._engine.wake(other)
            if self._there < wanted:
                others = self._waiting.setdefault(wanted, [])
                others.append(task)
                while self._waiting.get(wanted) is others:
                    yield PAUSE
            yield from self._engine.sleep_until(self._engine.clock() + duration, task)
        finally:
            self._there -= 1


class Checkpoints:
    """Points that threads unpark and park at: a set, so that two unparks before a park count once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._unparked: set[int] = set()
        self._parked: dict[int, list[Task]] = {}

    def unpark(self, checkpoint: int) -> None:
        """Let one who parks there go on, now or later."""
        self._unparked.add(checkpoint)
        for task in self._parked.pop(checkpoint, ()):
            self._engine.wake(task)

    def take(self, checkpoint: int) -> bool:
        """Whether it is unparked; if so it isn't any more."""
        if checkpoint in self._unparked:
            self._unparked.remove(checkpoint)
            return True
        return False

    def park(self, checkpoint: int, task: Task) -> Waits:
        """Wait, in ``task``, until the checkpoint can be taken."""
        while not self.take(checkpoint):
            self._parked.setdefault(checkpoint, []).append(task)
            yield PAUSE
