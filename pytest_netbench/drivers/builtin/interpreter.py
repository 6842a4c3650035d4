"""What does a program of operations do? Each operation becomes a step, prepared once and run without input or output.

A step is called with its thread. It does what it can at once and returns None, or a generator for the rest, which
yields what it waits for to the engine. This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from pytest_netbench.drivers.builtin.datagrams import DATAGRAMS
from pytest_netbench.drivers.builtin.engine import PAUSE, Checkpoints, Clock, Engine, Gathering, Waits
from pytest_netbench.drivers.builtin.loops import loop
from pytest_netbench.drivers.builtin.thread import MS, Compiler, Shared, Side, Step, Thread
from pytest_netbench.drivers.builtin.transfers import TRANSFERS
from pytest_netbench.scenario import extensions as x
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.walk import opens_afresh

Taker: TypeAlias = Callable[[int], None]
"""Keeps nanoseconds."""


def compile_operations(
    operations: Sequence[Any], shared: Shared, more: Mapping[type, Compiler] | None = None
) -> tuple[Step, ...]:
    """Prepare a list of operations for one process; ``more``: steps for operations beyond a connection's."""
    return _Compiling({**_COMPILERS, **more} if more else _COMPILERS, shared).all(operations)


class _Compiling:
    """One list that is being prepared. An operation that stands in several places is one step in all of them."""

    def __init__(self, compilers: Mapping[type, Compiler], shared: Shared) -> None:
        self._compilers = compilers
        self._clock = shared.engine.clock
        self._recorder = shared.recorder
        self._known: dict[int, Step] = {}

    def all(self, operations: Sequence[Any]) -> tuple[Step, ...]:
        return tuple(self._one(each) for each in operations)

    def _one(self, operation: Any) -> Step:  # noqa: ANN401 - any operation
        if id(operation) not in self._known:
            self._known[id(operation)] = self._step(operation)
        return self._known[id(operation)]

    def _step(self, operation: Any) -> Step:  # noqa: ANN401 - the same
        match operation:
            case m.Profile():
                take = self._recorder.samples[operation.trace_id].append
                return _profile(self._clock, take, _in_one(self.all(operation.operations)))
            case m.Trace():
                return _trace(self._clock, self._recorder.marks[operation.trace_id].append)
            case m.Iterate(value, (m.Profile(trace, (_, *_) as body),), None) if not opens_afresh(body):
                return self._step(m.Iterate(value, body, trace))  # the same samples for half the price
            case m.Iterate() | x.Repeat() | x.Schedule():
                return loop(operation, self.all(operation.operations))
            case m.Scope() | m.ClientScope():
                return _scope(tuple(self.all(thread) for thread in operation.threads))
            case _:
                return self._compilers[type(operation)](operation)


def run(thread: Thread, steps: Iterable[Step]) -> Waits:
    """Carry out steps, one after another."""
    for step in steps:
        rest = step(thread)
        if rest is not None:
            yield from rest


def _in_one(steps: tuple[Step, ...]) -> Step:
    """One step that carries out these."""
    if len(steps) == 1:
        return steps[0]

    def step(thread: Thread) -> Waits | None:
        left = iter(steps)
        for each in left:
            if (rest := each(thread)) is not None:
                return _go_on(thread, rest, left)
        return None

    return step


def _go_on(thread: Thread, rest: Waits, left: Iterator[Step]) -> Waits:
    """Go on where a step has to wait."""
    yield from rest
    yield from run(thread, left)


# --- time, checkpoints, traces -----------------------------------------------------------------


def _sleep(duration: int) -> Step:
    def step(thread: Thread) -> Waits:
        thread.paced_until = 0  # a thread has one timer: to sleep sets it anew
        engine: Engine = thread.context.engine
        return engine.sleep_until(engine.clock() + duration, thread)

    return step


def _hold(connections: int, duration: int) -> Step:
    def step(thread: Thread) -> Waits:
        thread.paced_until = 0
        gathering: Gathering = thread.context.gathering
        return gathering.hold(connections, duration, thread)

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


def _trace(clock: Clock, take: Taker) -> Step:
    return lambda _: take(clock())


def _profile(clock: Clock, take: Taker, body: Step) -> Step:
    def step(thread: Thread) -> Waits | None:
        began = clock()
        if (rest := body(thread)) is not None:
            return rest_of(rest, began)
        take(clock() - began)
        return None

    def rest_of(rest: Waits, began: int) -> Waits:
        yield from rest
        take(clock() - began)

    return step


# --- threads -----------------------------------------------------------------------------------


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
    **DATAGRAMS,
    m.Sleep: lambda one: _sleep(one.amount_ms * MS) if one.hold is None else _hold(one.hold, one.amount_ms * MS),
    m.ClientSleep: lambda one: _sleep(one.timeout_ms * MS),
    m.Park: _park,
    m.Unpark: _unpark,
}
