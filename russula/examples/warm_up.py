"""How do workers warm up, each for as long as it needs, and then measure from one instant? A barrier in the middle."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path

from russula import Action, Command, Conversation, Coordinator, Finished, Peer, Protocol, Role, Target, serve

Worker = Enum("Worker", "WAIT READY WARMING WARM MEASURING DONE FAILED")
Boss = Enum("Boss", "CHECK READY HEAT BARRIER GO DONE FAILED")

WORKER: Role[Worker] = Role(
    Worker,
    {
        Worker.WAIT: {Peer(Boss.CHECK): Worker.READY},
        Worker.READY: {Peer(Boss.HEAT): Worker.WARMING},
        Worker.WARMING: {Finished(): Worker.WARM},
        Worker.WARM: {Peer(Boss.GO): Worker.MEASURING},
        Worker.MEASURING: {Finished(): Worker.DONE},
        Worker.DONE: {},
    },
    failed=Worker.FAILED,
    acts=frozenset({Worker.WARMING, Worker.MEASURING}),
    silent=frozenset({Worker.MEASURING}),
)
BOSS: Role[Boss] = Role(
    Boss,
    {
        Boss.CHECK: {Peer(Worker.READY): Boss.READY},
        Boss.READY: {Command("heat"): Boss.HEAT},
        Boss.HEAT: {Peer(Worker.WARM): Boss.BARRIER},
        Boss.BARRIER: {Command("go"): Boss.GO},  # a command waits until every worker can take it: the barrier
        Boss.GO: {Peer(Worker.DONE): Boss.DONE},
        Boss.DONE: {},
    },
    failed=Boss.FAILED,
    instants=frozenset({Boss.GO}),
)
WARM_UP = Protocol("warm-up", 1, BOSS, WORKER)


@asynccontextmanager
async def service(conversation: Conversation) -> AsyncIterator[Mapping[Enum, Action]]:
    """Warms up longer the higher the worker's number, and measures when it began after the barrier."""

    async def warm() -> None:
        await asyncio.sleep(0.02 * int(conversation.worker))

    async def measure() -> Mapping[str, int]:
        await asyncio.sleep(((conversation.instant_ns or 0) - time.monotonic_ns()) / 1e9)
        return {"began_ns": time.monotonic_ns()}

    yield {Worker.WARMING: warm, Worker.MEASURING: measure}


async def main(folder: Path, workers: int = 3) -> float:
    """Seconds between the first beginning and the last."""
    address = f"unix:{folder}/worker"
    serving = asyncio.create_task(serve(address, {WARM_UP: service}, directory=folder))
    targets = [Target(str(number), address, folder / "results") for number in range(workers)]
    async with Coordinator[Worker].connect(WARM_UP, targets, run="example", deadline=5, lead=0.3) as boss:
        await boss.run_till(Worker.DONE)
        begins = boss.begins().values()
    serving.cancel()
    return (max(begins) - min(begins)) / 1e9


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        print(f"all began within {asyncio.run(main(Path(made))) * 1e3:.2f} ms")  # noqa: T201
