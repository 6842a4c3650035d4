"""How are operations repeated? So often, for so long, or as they arrive; pure but for the engine's clock.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pytest_netbench.drivers.builtin.ending import Ended
from pytest_netbench.drivers.builtin.engine import AGAIN, PAUSE, Engine, Task, TimeUp, Waits
from pytest_netbench.drivers.builtin.recorder import Recorder, Tally
from pytest_netbench.drivers.builtin.thread import MS, TURN, Side, Step, Thread
from pytest_netbench.scenario import extensions as x
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.walk import inside, opens_afresh

_ENDLESS = 1 << 62


def loop(operation: m.Iterate | x.Repeat | x.Schedule, steps: tuple[Step, ...]) -> Step:
    """The step of a loop around these steps."""
    match operation:
        case x.Schedule():
            own = opens_afresh(operation.operations) or _dials(operation.operations)
            return lambda thread: (_as_they_arrive if own else _in_turn)(thread, operation, steps)
        case m.Iterate() if not opens_afresh(operation.operations):
            return _iterate(operation, steps)
        case _:
            return lambda thread: _whole(thread, operation.value, steps, operation.trace_id)


def _dials(operations: Sequence[Any]) -> bool:
    """Whether these are operations of a client."""
    return any(isinstance(one, m.Connect | m.ClientScope | m.ClientSleep | x.Repeat) for one in operations)


# --- so often, or for so long ------------------------------------------------------------------


def _iterate(operation: m.Iterate, steps: tuple[Step, ...]) -> Step:
    trace, value = operation.trace_id, operation.value
    if isinstance(value, m.Count):
        count = max(value.amount, 1)  # the real drivers look at the count after the body
        return lambda thread: _repeat(thread, steps, trace, count, None)
    duration = value.amount_ms * MS
    touched = frozenset(streams_used(operation.operations))
    return lambda thread: _repeat_timed(thread, steps, trace, duration, touched)


def streams_used(operations: Sequence[Any]) -> Iterator[int]:
    """The streams that operations send or receive on."""
    for one in operations:
        if isinstance(one, m.Send | m.Receive | m.ReceiveAll):
            yield one.stream_id
        else:
            yield from streams_used(inside(one))


def _repeat(thread: Thread, steps: tuple[Step, ...], trace: int | None, count: int, until: int | None) -> Waits:
    """Run a body ``count`` times, or until the clock shows ``until`` between two of its runs.

    The end of one is the beginning of the next: each reads the clock once. Others' turns belong to neither.
    """
    clock = thread.context.engine.clock
    take = thread.context.recorder.samples[trace].append if trace is not None else None
    watched = take is not None or until is not None
    while True:
        before = clock()
        for _ in range(min(count, TURN)):
            for step in steps:
                rest = step(thread)
                if rest is not None:
                    yield from rest
            if watched:
                now = clock()
                if take is not None:
                    take(now - before)
                if until is not None and now >= until:
                    return
                before = now
        count -= TURN
        if count <= 0:
            return
        yield AGAIN


def _repeat_timed(
    thread: Thread, steps: tuple[Step, ...], trace: int | None, duration: int, touched: frozenset[int]
) -> Waits:
    """Run a body for so long; it ends in the middle of the body when the time is up, or when the peer is gone."""
    engine: Engine = thread.context.engine
    until = engine.clock() + duration
    if not steps:
        yield from engine.sleep_until(until, thread)
        return
    timer = engine.timer(until, thread, interrupts=True)
    thread.timed += 1
    try:
        yield from _repeat(thread, steps, trace, _ENDLESS, until)
    except TimeUp as up:
        if up.timer is not timer:
            raise
        _cut(thread.side, touched)
    except Ended:
        _cut(thread.side, touched)
    finally:
        timer.live = False
        thread.timed -= 1


def _cut(side: Side, touched: frozenset[int]) -> None:
    """Note that a time ended in the middle of what these streams carry."""
    for number in touched:
        if number in side.streams:
            side.streams[number].cut = True


def _whole(thread: Thread, value: m.Time | m.Count, steps: tuple[Step, ...], trace: int | None) -> Waits:
    """Repeat what begins a connection or a stream of its own: a repetition that has begun comes to its end."""
    clock, recorder = thread.context.engine.clock, thread.context.recorder
    samples = recorder.samples[trace] if trace is not None else None
    done = Tally()
    now = clock()
    count = value.amount if isinstance(value, m.Count) else _ENDLESS
    until = now + value.amount_ms * MS if isinstance(value, m.Time) else None
    turns = TURN
    try:
        while done.events < count:
            before = now
            for step in steps:
                rest = step(thread)
                if rest is not None:
                    yield from rest
            now = clock()
            done.add(now)
            if samples is not None:
                samples.append(now - before)
            if until is not None and now >= until:
                return
            turns -= 1
            if not turns:
                turns = TURN
                yield AGAIN
    finally:
        if trace is not None:
            recorder.load(trace, done)


# --- as they arrive ----------------------------------------------------------------------------


def due(arrivals: x.Arrivals, count: int, salt: object) -> Iterator[int]:
    """The intended instants, in nanoseconds from the beginning; ``salt`` tells one user of a seed from another."""
    period = arrivals.period_ms * MS
    if isinstance(arrivals, x.Fixed):
        yield from (number * period // arrivals.amount for number in range(count))
        return
    from random import Random

    draw, mean, at = Random(f"{arrivals.seed} {salt}"), period / arrivals.amount, 0.0  # noqa: S311 - no secret
    for _ in range(count):
        at += draw.expovariate(1.0) * mean
        yield round(at)


class _Arriving:
    """One schedule that is carried out."""

    def __init__(self, thread: Thread, operation: x.Schedule) -> None:
        self.engine: Engine = thread.context.engine
        self.recorder: Recorder = thread.context.recorder
        self._operation = operation
        self._samples = self.recorder.samples[operation.trace_id]
        self._due, self._done = Tally(), Tally()
        self._salt = (self.recorder.index, thread.context.number)

    def instants(self, thread: Thread) -> Iterator[tuple[int, Waits]]:
        """Each intended instant, and the wait until it is there."""
        begin = self.engine.clock()
        for offset in due(self._operation.arrivals, self._operation.count, self._salt):
            yield begin + offset, self.engine.sleep_until(begin + offset, thread)

    def begun(self, intended: int) -> None:
        """The instant is there."""
        self._due.add(intended)

    def ended(self, intended: int) -> None:
        """What was to begin then has ended."""
        now = self.engine.clock()
        self._samples.append(now - intended)
        self._done.add(now)

    def over(self) -> None:
        """Record what it came to."""
        self.recorder.load(self._operation.trace_id, self._done, self._due)


def _in_turn(thread: Thread, operation: x.Schedule, steps: tuple[Step, ...]) -> Waits:
    """On streams that all share: one after another, however late that is."""
    arriving, turns = _Arriving(thread, operation), TURN
    try:
        for intended, wait in arriving.instants(thread):
            yield from wait
            arriving.begun(intended)
            for step in steps:
                rest = step(thread)
                if rest is not None:
                    yield from rest
            arriving.ended(intended)
            turns -= 1
            if not turns:
                turns = TURN
                yield AGAIN
    finally:
        arriving.over()


def _as_they_arrive(thread: Thread, operation: x.Schedule, steps: tuple[Step, ...]) -> Waits:
    """Each in a thread of its own, beside those that haven't ended."""
    arriving, children = _Arriving(thread, operation), set[Task]()
    engine = arriving.engine
    thread.pending = 0

    def one(child: Thread, intended: int) -> Waits:
        for step in steps:
            rest = step(child)
            if rest is not None:
                yield from rest
        arriving.ended(intended)
        children.discard(child)

    try:
        for intended, wait in arriving.instants(thread):
            yield from wait
            arriving.begun(intended)
            child = Thread(thread.context, Side(thread.side), link=thread.link, parent=thread)
            children.add(engine.spawn(child, one(child, intended)))
        while thread.pending:
            yield PAUSE
    finally:
        for left in children:
            engine.cancel(left)
        arriving.over()
