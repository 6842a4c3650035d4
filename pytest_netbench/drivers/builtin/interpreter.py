"""What does a program of operations do? Each operation becomes a step, prepared once and run without input or output.

A step is called with its thread. It does what it can at once and returns None, or a generator for the rest, which
yields what it waits for to the engine. This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_netbench.drivers.builtin.ending import Ended
from pytest_netbench.drivers.builtin.engine import AGAIN, PAUSE, Checkpoints, Engine, TimeUp, Waits
from pytest_netbench.drivers.builtin.thread import MS, TURN, Compiler, Side, Step, Thread
from pytest_netbench.drivers.builtin.transfers import TRANSFERS
from pytest_netbench.scenario import model as m

_ENDLESS = 1 << 62


def compile_operations(operations: Sequence[Any], more: Mapping[type, Compiler] | None = None) -> tuple[Step, ...]:
    """Prepare a list of operations; ``more``: steps for operations beyond a connection's."""
    compilers = {**_COMPILERS, **more} if more else _COMPILERS
    return tuple(_compile(one, compilers) for one in operations)


def _compile(operation: Any, compilers: Mapping[type, Compiler]) -> Step:  # noqa: ANN401 - any operation
    match operation:
        case m.Profile():
            return _profile(operation.trace_id, _compile_all(operation.operations, compilers))
        case m.Iterate():
            return _iterate(operation, _compile_all(operation.operations, compilers))
        case m.Scope() | m.ClientScope():
            return _scope(tuple(_compile_all(thread, compilers) for thread in operation.threads))
        case _:
            return compilers[type(operation)](operation)


def _compile_all(operations: Sequence[Any], compilers: Mapping[type, Compiler]) -> tuple[Step, ...]:
    return tuple(_compile(one, compilers) for one in operations)


def run(thread: Thread, steps: Sequence[Step]) -> Waits:
    """Carry out steps, one after another."""
    for step in steps:
        rest = step(thread)
        if rest is not None:
            yield from rest


# --- time, checkpoints, traces -----------------------------------------------------------------


def _sleep(duration: int) -> Step:
    def step(thread: Thread) -> Waits:
        thread.paced_until = 0  # a thread has one timer: to sleep sets it anew
        engine: Engine = thread.context.engine
        return engine.sleep_until(engine.clock() + duration, thread)

    return step


def _park(operation: m.Park) -> Step:
    checkpoint = operation.checkpoint

    def step(thread: Thread) -> Waits | None:
        checkpoints: Checkpoints = thread.context.checkpoints
        return None if checkpoints.take(checkpoint) else checkpoints.park(checkpoint, thread)

    return step


def _unpark(operation: m.Unpark) -> Step:
    checkpoint = operation.checkpoint

    def step(thread: Thread) -> None:
        thread.context.checkpoints.unpark(checkpoint)

    return step


def _trace(operation: m.Trace) -> Step:
    trace = operation.trace_id

    def step(thread: Thread) -> None:
        context = thread.context
        context.recorder.marks[trace].append(context.engine.clock())

    return step


def _profile(trace: int, steps: tuple[Step, ...]) -> Step:
    def step(thread: Thread) -> Waits | None:
        context = thread.context
        clock = context.engine.clock
        began = clock()
        for done, each in enumerate(steps, 1):
            if (rest := each(thread)) is not None:
                return _profile_rest(thread, began, trace, rest, steps[done:])
        context.recorder.samples[trace].append(clock() - began)
        return None

    return step


def _profile_rest(thread: Thread, began: int, trace: int, rest: Waits, steps: Sequence[Step]) -> Waits:
    """Go on with a profile whose body has to wait."""
    yield from rest
    for each in steps:
        if (more := each(thread)) is not None:
            yield from more
    context = thread.context
    context.recorder.samples[trace].append(context.engine.clock() - began)


# --- repetition and threads --------------------------------------------------------------------


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
        elif isinstance(one, m.Profile | m.Iterate):
            yield from streams_used(one.operations)
        elif isinstance(one, m.Scope):
            for thread in one.threads:
                yield from streams_used(thread)


def _repeat(thread: Thread, steps: tuple[Step, ...], trace: int | None, count: int, until: int | None) -> Waits:
    """Run a body ``count`` times, or until the clock shows ``until`` between two of its runs."""
    clock = thread.context.engine.clock
    append = thread.context.recorder.samples[trace].append if trace is not None else None
    turns = TURN
    before = clock()
    while count:
        count -= 1
        for step in steps:
            rest = step(thread)
            if rest is not None:
                yield from rest
        if append is not None or until is not None:
            now = clock()
            if append is not None:
                append(now - before)
            if until is not None and now >= until:
                return
            before = now
        turns -= 1
        if not turns:
            turns = TURN
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


def _scope(threads: tuple[tuple[Step, ...], ...]) -> Step:
    return lambda thread: beside(thread, tuple((thread.side, steps) for steps in threads)) if threads else None


def beside(thread: Thread, threads: Sequence[tuple[Side, Sequence[Step]]]) -> Waits:
    """Run lists of steps beside each other, in threads of their own, until all are done; one that fails ends all."""
    engine: Engine = thread.context.engine
    thread.pending = 0
    children = []
    for side, steps in threads:
        child = Thread(thread.context, side, link=thread.link, parent=thread)
        children.append(child)
        engine.spawn(child, run(child, steps))
    try:
        while thread.pending:
            yield PAUSE
    finally:
        for child in children:
            engine.cancel(child)


_COMPILERS: Mapping[type, Compiler] = {
    **TRANSFERS,
    m.Sleep: lambda one: _sleep(one.amount_ms * MS),
    m.ClientSleep: lambda one: _sleep(one.timeout_ms * MS),
    m.Park: _park,
    m.Unpark: _unpark,
    m.Trace: _trace,
}
