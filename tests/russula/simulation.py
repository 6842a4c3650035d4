"""What happens to coordinator and workers in one seed's world? Real code, in memory, in virtual time."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from pytest_netbench.protocols import CLIENT, SERVER, NetbenchClient, NetbenchServer
from russula import BEGAN, ActionFailed, Conversation, Coordinator, Protocol, RussulaError, Target, WorkerView
from russula.protocol import Finished
from russula.testing import Faults, Network, VirtualLoop, run
from russula.worker import Reception

LEASE, DEADLINE = 5.0, 60.0
Clock = Callable[[], int]


@dataclass(frozen=True)
class World:
    """What a seed decides."""

    seed: int
    protocol: Protocol
    workers: int
    faults: Faults
    offsets: tuple[float, ...]
    drifts: tuple[float, ...]
    crash_of_worker: float | None
    crash_of_coordinator: float | None
    failing: float
    kind: str

    @property
    def is_rough(self) -> bool:
        """Whether asking all workers for their clocks may take longer than clocks stay as they were."""
        faults = self.faults
        return faults.stalled > 1 or faults.notice > 1 or (faults.lost > 0.5 and faults.refuse > 0)

    @classmethod
    def of(cls, seed: int) -> World:
        chance = random.Random(seed)
        workers = chance.randint(1, 4)
        rough = chance.random() < 0.8
        faults = Faults(
            delay=chance.choice([0, 0.001, 0.05]),
            chunk=chance.choice([1 << 16, 50]),
            lost=chance.choice([0, 0.3, 0.9]) * rough,
            life=chance.choice([0.05, 0.5, 3]),
            notice=chance.choice([0, 0.5, 4]),
            stall=0.02 * rough,
            stalled=chance.choice([0.1, 8]),
            refuse=chance.choice([0, 0.5]) * rough,
            ghost=0.2 * rough,
        )
        return cls(
            seed=seed,
            protocol=chance.choice([SERVER, CLIENT]),
            workers=workers,
            faults=faults,
            offsets=tuple(100 + chance.uniform(-10, 10) for _ in range(workers)),
            drifts=tuple(chance.uniform(-200e-6, 200e-6) for _ in range(workers)),
            crash_of_worker=chance.uniform(0, 2) if chance.random() < 0.15 else None,
            crash_of_coordinator=chance.uniform(0, 2) if chance.random() < 0.1 else None,
            failing=chance.choice([0, 0, 0.1]),
            kind=chance.choice(["unix", "memory"]),  # at a unix socket where nobody listens nobody ever will
        )


@dataclass
class Outcome:
    """What came of it. Times are the world's own, in seconds; histories are names of states."""

    error: Exception | None = None
    took: float = 0.0
    views: Mapping[str, WorkerView] = field(default_factory=dict)
    entered: dict[str, list[list[str]]] = field(default_factory=lambda: defaultdict(list))
    opened: int = 0
    closed: int = 0
    acting: int = 0
    overlapped: bool = False
    began: dict[str, float] = field(default_factory=dict)
    begins: Mapping[str, int] = field(default_factory=dict)
    instant_ns: int | None = None
    crashed: set[str] = field(default_factory=set)
    left_over: list[str] = field(default_factory=list)


class _Lines(logging.Handler):
    """The workers' logs, as they are written."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self._outcome = outcome

    def emit(self, record: logging.LogRecord) -> None:
        line = json.loads(record.getMessage())
        histories = self._outcome.entered[line["worker"]]
        if line["event"] == "entered" and line["state"] == "WAIT":
            histories.append([])
        if line["event"] in {"entered", "failed"}:
            histories[-1].append(line["state"])


def simulate(seed: int, folder: Path) -> Outcome:
    """One seed's world, to its end."""
    random.seed(seed)  # the pauses between tries to connect
    return run(_simulate(World.of(seed), folder))


async def _simulate(world: World, folder: Path) -> Outcome:
    outcome, network, loop = Outcome(), Network(world.faults, world.seed), asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    log = logging.Logger("simulated", logging.INFO)  # noqa: LOG001  one of its own, that nobody else hears
    log.addHandler(_Lines(outcome))
    receptions = []
    for number in range(world.workers):
        clock = partial(loop.clock, world.offsets[number], world.drifts[number])
        service = partial(_service, world, outcome, f"w{number}", clock)
        receptions.append(Reception({world.protocol: service}, folder, log, clock))
        network.listen(f"{world.kind}:{number}", receptions[-1].accept)
    driving = asyncio.create_task(_drive(world, network, folder, outcome))
    if world.crash_of_worker is not None:
        loop.call_later(world.crash_of_worker, _crash, world, network, outcome)
    if world.crash_of_coordinator is not None:
        await asyncio.wait([driving], timeout=world.crash_of_coordinator)
        network.isolate()
        driving.cancel()
    await asyncio.wait([driving])
    outcome.took = loop.time()
    await asyncio.sleep(LEASE + 30)
    for number, one in enumerate(receptions):
        if f"w{number}" not in outcome.crashed and (one._talks or one._strangers):
            outcome.left_over.append(f"w{number}: {list(one._talks)}")
        await one.end()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    outcome.left_over += [f"task {task.get_name()}" for task in others]
    return outcome


def _crash(world: World, network: Network, outcome: Outcome) -> None:
    network.crash(f"{world.kind}:0")
    outcome.crashed.add("w0")


async def _drive(world: World, network: Network, folder: Path, outcome: Outcome) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    states = NetbenchServer if world.protocol is SERVER else NetbenchClient
    (folder / "file").write_bytes(b"x" * 100_000)
    targets = [
        Target(f"w{n}", f"{world.kind}:{n}", folder / "results" / f"w{n}", files=lambda: {"file": folder / "file"})
        for n in range(world.workers)
    ]
    connecting = Coordinator[Enum].connect(
        world.protocol, targets, run="r", deadline=DEADLINE, lease=LEASE, lead=0.2, clock=loop.clock, dial=network.dial
    )
    group = None
    try:
        async with connecting as group:
            for state in list(states)[1:-1]:
                await group.run_till(state, deadline=DEADLINE)
            outcome.begins, outcome.instant_ns = group.begins(), group.instant_ns
    except RussulaError as error:
        outcome.error = error
    finally:
        if group is not None:
            outcome.views = group.snapshot().workers


@asynccontextmanager
async def _service(
    world: World, outcome: Outcome, name: str, clock: Clock, talk: Conversation
) -> AsyncIterator[Mapping[Enum, Callable[[], Awaitable[Mapping[str, Any] | None]]]]:
    chance = random.Random(f"{world.seed} {name}")
    running = 0

    async def act(state: Enum) -> Mapping[str, Any] | None:
        nonlocal running
        outcome.acting += 1
        running += 1
        outcome.overlapped |= running > 1
        try:
            return await play(state)
        finally:
            try:
                if state is not NetbenchClient.ARMED:  # what ends slowly there begins late
                    await asyncio.sleep(chance.uniform(0, 0.05))
            finally:
                outcome.acting -= 1
                running -= 1

    async def play(state: Enum) -> Mapping[str, Any] | None:
        if Finished() not in world.protocol.worker.table[state]:
            await asyncio.get_running_loop().create_future()
        if talk.instant_ns is not None:
            await asyncio.sleep((talk.instant_ns - clock()) / 1e9)
            outcome.began[name] = asyncio.get_running_loop().time()
        began = clock()
        await asyncio.sleep(chance.uniform(0, 0.5))
        if chance.random() < world.failing:
            raise ActionFailed("ended", "as the seed wills")
        (talk.outbox / "out").write_bytes(b"y" * chance.choice([10, 100_000]))
        return {BEGAN: began}

    outcome.opened += 1
    try:
        yield {state: partial(act, state) for state in world.protocol.worker.acts}
    finally:
        outcome.closed += 1
