"""How far apart do clients begin, beside bare processes that sleep to the same instant?

Each of eight workers stands in a process of its own, with an armed driver in another: it sleeps to the instant that its
worker accepted, and notes when it woke. The floor is eight such drivers that are told the instant by nobody but this
script. Rounds of both are run in turn.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from enum import Enum
from functools import partial
from pathlib import Path

from figures import Better, Figure, main, median, ratio
from standing import Standing, keep, standing

from pytest_netbench.protocols import CLIENT, NetbenchClient
from russula import BEGAN, Action, Conversation, Coordinator, Credentials, Target, serve

WORKERS = 8
ROUNDS, ROUNDS_QUICK = 400, 150
LEAD_NS = 40_000_000
"""Nanoseconds between telling the bare drivers the instant and the instant."""
DRIVER = """
import sys, time
for line in sys.stdin:
    while (rest := int(line) - time.monotonic_ns()) > 0:
        time.sleep(rest / 1e9)
    woke = time.monotonic_ns()
    time.sleep(0.02)
    print(woke, flush=True)
"""
"""It runs for longer than the others take to wake, as any benchmark does: who reports at once would disturb them."""


class Driver:
    """An armed driver: it sleeps to each instant that it is told, and answers when it woke."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", "-c", DRIVER]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def release(self, instant_ns: int) -> None:
        self._process.stdin.write(f"{instant_ns}\n")

    def woke(self) -> int:
        return int(self._process.stdout.readline())

    async def began(self, instant_ns: int) -> int:
        self.release(instant_ns)
        loop, said = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.stdout, said.set)
        await said.wait()
        loop.remove_reader(self._process.stdout)
        return self.woke()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


async def armed_worker(share: range, folder: str, credentials: Credentials | None) -> list[str]:
    """A worker whose driver is armed for every conversation."""
    driver = Driver()

    @asynccontextmanager
    async def service(conversation: Conversation) -> AsyncIterator[Mapping[Enum, Action]]:
        async def start() -> None:
            return

        async def wait() -> None:
            await asyncio.get_running_loop().create_future()

        async def run() -> Mapping[str, int]:
            return {BEGAN: await driver.began(conversation.instant_ns or 0)}

        yield {NetbenchClient.STARTING: start, NetbenchClient.ARMED: wait, NetbenchClient.RUNNING: run}

    found = []
    for number in share:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        where = f"unix:{folder}/{number}"
        keep(serve(where, {CLIENT: service}, directory=Path(folder), credentials=credentials, ready=ready.set_result))
        found.append(await ready)
    return found


async def _round(at: Sequence[str], folder: str) -> float:
    """Seconds between the first beginning and the last, of a whole conversation."""
    targets = [Target(f"w{n}", one, Path(folder) / "out") for n, one in enumerate(at)]
    async with Coordinator.connect(CLIENT, targets, run="skew", deadline=20) as group:
        await group.run_till(NetbenchClient.DONE)
        return _apart(list(group.begins().values()))


def _bare(drivers: Sequence[Driver]) -> float:
    """The same of drivers that this script tells the instant."""
    instant = time.monotonic_ns() + LEAD_NS
    for one in drivers:
        one.release(instant)
    return _apart([one.woke() for one in drivers])


def _apart(begins: Sequence[int]) -> float:
    assert len(begins) == WORKERS
    return (max(begins) - min(begins)) / 1e9


def measure(quick: bool) -> list[Figure]:
    """Skew with and without coordination."""
    ours, bare = [], []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nbs-"))
        each: list[Standing] = [
            stack.enter_context(standing(1, armed_worker, folder, None, first=number)) for number in range(WORKERS)
        ]
        drivers = [Driver() for _ in range(WORKERS)]
        for one in drivers:
            stack.callback(one.close)
        once = partial(_round, [address for one in each for address in one.addresses], folder)
        for _ in range(ROUNDS_QUICK if quick else ROUNDS):
            ours.append(asyncio.run(once()))
            bare.append(_bare(drivers))
    cpus = len(os.sched_getaffinity(0))
    why = f"{WORKERS} processes wake one after another on {cpus} processors"
    return [
        median("skew_p50_s", ours, "s", reach=0.001, better=Better.LOWER, why=why),
        ratio("skew_p50_over_floor", ours, bare, reach=1.2, better=Better.LOWER),
        Figure("skew_p99_s", _p99(ours), "s", len(ours)),
        Figure("floor_p50_s", statistics.median(bare), "s", len(bare)),
        Figure("floor_p99_s", _p99(bare), "s", len(bare)),
    ]


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[-1]


if __name__ == "__main__":
    main("skew", measure)
