"""What does a sample cost in the built-in loop? The same program with its traces and without, where nothing waits."""

from __future__ import annotations

import statistics
import time
from types import SimpleNamespace
from typing import Any

from pytest_netbench.drivers.builtin.engine import Checkpoints, Engine
from pytest_netbench.drivers.builtin.interpreter import compile_operations, run
from pytest_netbench.drivers.builtin.recorder import Recorder
from pytest_netbench.drivers.builtin.thread import Side, Thread
from pytest_netbench.scenario import model as m

TIMES = 50_000
BODY = (m.Send(0, 1),)


def _loop(*body: m.ConnectionOp, trace: int | None = None) -> tuple[m.ConnectionOp, ...]:
    return (m.Iterate(m.Count(TIMES), body, trace),)


TRACED = {
    "iterate": (_loop(*BODY, trace=0), _loop(*BODY)),
    "profile": (_loop(m.Profile(0, BODY)), _loop(*BODY)),
    "profile_beside": (_loop(m.Profile(0, BODY), *BODY), _loop(*BODY, *BODY)),
}
"""Programs with a trace, and the same without; a profile alone in its loop, and beside what isn't profiled."""


def costs(kind: str, repeats: int) -> list[float]:
    """Nanoseconds of CPU that one sample costs, once for each repeat; ``kind``: of ``TRACED``."""
    traced, bare = TRACED[kind]
    return [(_cpu_ns(traced) - _cpu_ns(bare)) / TIMES for _ in range(repeats)]


def clock_ns(repeats: int) -> float:
    """Nanoseconds of CPU that reading the clock alone costs."""
    read, taken = time.monotonic_ns, []
    for _ in range(repeats):
        began = time.thread_time_ns()
        for _ in range(TIMES):
            read()
        taken.append((time.thread_time_ns() - began) / TIMES)
    return statistics.median(taken)


def _cpu_ns(operations: Any) -> int:
    """CPU of a whole program on a stream that takes all at once."""
    poller: Any = SimpleNamespace(links={}, poll=lambda _: [])
    engine = Engine(poller, time.monotonic_ns)
    context = SimpleNamespace(engine=engine, recorder=Recorder(("a",)), checkpoints=Checkpoints(engine))
    side = Side()
    side.streams[0] = SimpleNamespace(send=lambda limit: limit)
    thread = Thread(context, side)
    engine.spawn(thread, run(thread, compile_operations(operations, context)))
    began = time.thread_time_ns()
    engine.run()
    return time.thread_time_ns() - began
