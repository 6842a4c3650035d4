"""What does coordinating many workers cost, beside a bare program that connects and speaks as often?

The workers play: they stand in helper processes, at most 4,000 in each. The floors are bare programs on asyncio's
streams, over the same transport, with as many connections and messages of the same size.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from figures import Better, Figure, main, median, ratio
from standing import LEAF, Standing, answerers, echo, floor, standing, workers

from pytest_netbench.protocols import CLIENT, SERVER, NetbenchClient, NetbenchServer
from russula import Coordinator, Credentials, DeadlineExceeded, Protocol, Target, issue
from russula.credentials import COORDINATOR

T = TypeVar("T")

DEADLINE = 240.0
TOTALS = {10: 0.1, 100: 0.3, 1000: 2.0, 10_000: 25.0}
"""Seconds that a whole conversation may take."""
MEMORY = {False: 24_576, True: 81_920}
"""Bytes of the coordinator's process for each worker, plain and with TLS."""
BESIDE_STALLED, PAIRS_STALLED = 50, 200
"""Workers beside a stalled one, and pairs with and without one."""
RUN_S = 0.3
"""Seconds of the run in which silence is counted."""
SHORT_DEADLINE = 0.5
"""Seconds until a stalled worker is to be named."""
GROWTH = (1000, 10_000)
"""Numbers of workers between which the growth of a whole conversation is measured."""

WHY = (
    "each announcement is checked, looked up in two tables, and answered, in Python, at both ends, about 34 us of the "
    "coordinator; the bare program takes 35 us where the kernel keeps both its sides on one processor, 19 us on two"
)
WHY_READY = "a handshake ends here before the other end has checked our certificate; READY waits for that and an answer"


def coordinated(
    protocol: Protocol, at: list[str], folder: str, mine: Credentials | None, *, run: str = "at once"
) -> Any:
    """A coordinator of the workers at these addresses; ``run`` tells them how to play."""
    results = Path(folder) / "out"
    targets = [Target(f"w{n}", one, results, certificate=LEAF) for n, one in enumerate(at)]
    return Coordinator.connect(protocol, targets, run=run, deadline=DEADLINE, credentials=mine, patience=DEADLINE)


async def conversation(at: list[str], folder: str, mine: Credentials | None) -> dict[str, float]:
    """Seconds of a whole conversation, and until READY."""
    began = time.perf_counter()
    async with coordinated(SERVER, at, folder, mine) as group:
        await group.run_till(NetbenchServer.READY)
        ready = time.perf_counter()
        await group.run_till(NetbenchServer.DONE)
    return {"ready": ready - began, "total": time.perf_counter() - began}


async def transition(at: list[str], folder: str, mine: Credentials | None) -> float:
    """Seconds from a command until all workers entered the next state."""
    async with coordinated(SERVER, at, folder, mine, run="slow start") as group:
        await group.run_till(NetbenchServer.READY)
        began = time.perf_counter()
        await group.run_till(NetbenchServer.STARTING)
        return time.perf_counter() - began


async def silence(at: list[str], folder: str, mine: Credentials | None) -> int:
    """Bytes on all control connections between the acceptance of the start and the end."""
    async with coordinated(CLIENT, at, folder, mine, run=f"run {RUN_S}") as group:
        await group.run_till(NetbenchClient.DONE)
        found: int = group.silent_bytes
        return found


async def held(at: list[str], folder: str, mine: Credentials | None) -> float:
    """Bytes of this process for each worker at READY, once what all share is there."""
    async with coordinated(SERVER, at[:1], folder, mine) as group:
        await group.run_till(NetbenchServer.READY)
    before = _resident()
    async with coordinated(SERVER, at, folder, mine) as group:
        await group.run_till(NetbenchServer.READY)
        return (_resident() - before) / len(at)


async def others(at: list[str], folder: str, stalled: int | None) -> float:
    """Seconds until all workers but the last are RUNNING; the last one's process stands still, if it is given."""
    async with coordinated(SERVER, at, folder, None) as group:
        await group.run_till(NetbenchServer.READY)
        if stalled is not None:
            os.kill(stalled, signal.SIGSTOP)
        try:
            running, began = 0, time.perf_counter()
            task = asyncio.create_task(group.run_till(NetbenchServer.RUNNING))
            async for change in group.events():
                running += change.state is NetbenchServer.RUNNING and change.worker != f"w{len(at) - 1}"
                if running == len(at) - 1:
                    break
            took = time.perf_counter() - began
        finally:
            if stalled is not None:
                os.kill(stalled, signal.SIGCONT)
        await task
        return took


async def named(at: list[str], folder: str, stalled: int) -> float:
    """Seconds beyond the deadline until the last worker, whose process stands still, is named."""
    async with coordinated(SERVER, at, folder, None) as group:
        await group.run_till(NetbenchServer.READY)
        os.kill(stalled, signal.SIGSTOP)
        said, began = "", time.perf_counter()
        try:
            await group.run_till(NetbenchServer.RUNNING, deadline=SHORT_DEADLINE)
        except DeadlineExceeded as error:
            said = str(error)
        finally:
            took = time.perf_counter() - began
            os.kill(stalled, signal.SIGCONT)
    assert f"1 of {len(at)} workers aren't RUNNING: w{len(at) - 1} is READY" in said
    return took - SHORT_DEADLINE


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def apart(of: Callable[[], Coroutine[Any, Any, float]]) -> float:
    """The result of a coroutine in a process of its own, whose memory nothing else has touched."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()

    def child() -> None:
        there.send(asyncio.run(of()))
        os._exit(0)

    process = fork.Process(target=child)
    process.start()
    found: float = here.recv()
    process.join()
    return found


# --- figures -----------------------------------------------------------------------------------------


def measure(quick: bool, count: int = 100, tls: bool = False) -> list[Figure]:
    """All figures for so many workers."""
    repeats = min(30, max(2 if quick else 6, (600 if quick else 6000) // max(count, 20)))
    credentials = issue("bench", [LEAF], timedelta(hours=2)) if tls else {}
    theirs, mine = credentials.get(LEAF), credentials.get(COORDINATOR)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nbc-"))
        ours = stack.enter_context(standing(count, workers, folder, theirs))
        bare = stack.enter_context(standing(count, answerers, folder, theirs))
        memory = apart(partial(held, ours.addresses, folder, mine))
        found = _pairs(ours, bare, folder, mine, repeats)
        figures = [
            ratio("total_over_floor", found["total"], found["floor"], reach=1.5, better=Better.LOWER, why=WHY),
            median("total_s", found["total"], "s", reach=TOTALS.get(count), better=Better.LOWER),
            ratio("transition_over_echo", found["transition"], found["echo"], reach=1.0, better=Better.LOWER, why=WHY),
            Figure("memory_per_worker_bytes", memory, "B", 1, MEMORY[tls], Better.LOWER),
        ]
        if tls:
            figures.append(
                ratio(
                    "ready_over_handshakes",
                    found["ready"],
                    found["dial"],
                    reach=1.3,
                    better=Better.LOWER,
                    why=WHY_READY,
                )
            )
            some = ours.addresses[:1000]
            silent = [asyncio.run(silence(some, folder, mine)) for _ in range(2 if quick else 5)]
            figures.append(Figure("silent_bytes", max(silent), "B", len(silent), 0, Better.LOWER))
        else:
            figures += stalling(ours, stack, folder, quick=quick)
        if count == GROWTH[1]:
            figures.append(growth(ours, folder, mine, found["total"]))
        return figures


def _pairs(
    ours: Standing, bare: Standing, folder: str, mine: Credentials | None, repeats: int
) -> dict[str, list[float]]:
    """Conversations and floors, one beside the other, after one of each that isn't counted."""
    found: dict[str, list[float]] = {name: [] for name in ("ready", "total", "dial", "floor", "transition", "echo")}
    for number in range(repeats + 1):
        talk = _timed(conversation(ours.addresses, folder, mine))
        bottom = _timed(floor(bare.addresses, mine))
        step = _timed(transition(ours.addresses, folder, mine))
        echoed = _timed(echo(bare.addresses, mine))
        if number:
            for name, value in {**talk, **bottom, "transition": step, "echo": echoed}.items():
                found[name].append(value)
    return found


def _timed(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run one of a pair; what the other left isn't collected at its cost."""
    gc.collect()
    return asyncio.run(coroutine)


def stalling(ours: Standing, stack: ExitStack, folder: str, *, quick: bool) -> list[Figure]:
    """By how much one worker that stands still slows the others down, and how late it is named."""
    alone = stack.enter_context(standing(1, workers, folder + "/", None, first=1_000_000))
    at = [*ours.addresses[:BESIDE_STALLED], *alone.addresses]
    pairs = 60 if quick else PAIRS_STALLED
    still, moving = [], []
    for number in range(pairs + 1):
        order = (alone.pids[0], None) if number % 2 else (None, alone.pids[0])
        for stalled in order:
            took = asyncio.run(others(at, folder, stalled))
            if number:
                (moving if stalled is None else still).append(took)
    found = ratio("stalled_effect", still, moving, reach=None, better=Better.LOWER)
    low, high = found.ci or (found.value, found.value)
    late = [asyncio.run(named(at, folder, alone.pids[0])) for _ in range(3 if quick else 10)]
    return [
        Figure("stalled_effect", low - 1, "1", pairs, 0.05, Better.LOWER, ci=(low - 1, high - 1)),
        Figure("stalled_named_after_deadline_s", max(late), "s", len(late), 1.0, Better.LOWER),
    ]


def growth(ours: Standing, folder: str, mine: Credentials | None, totals: list[float]) -> Figure:
    """How much longer a conversation of ten times as many workers takes."""
    few, many = GROWTH
    some = [asyncio.run(conversation(ours.addresses[:few], folder, mine))["total"] for _ in range(len(totals) + 1)][1:]
    name = f"growth_{few}_to_{many}"
    why = "not known: this wasn't profiled"
    return ratio(name, totals, some, reach=11, better=Better.LOWER, why=why)


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(16_000, hard), hard))
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--tls", action="store_true")
    given, sys.argv[1:] = parser.parse_known_args()
    main("coordination", partial(measure, count=given.workers, tls=given.tls))
