"""What do tests of whole conversations share? Workers on unix sockets whose driver is a line of the test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from pytest_netbench.protocols import CLIENT, SERVER, NetbenchClient, NetbenchServer
from russula import Conversation, Coordinator, Credentials, Target, serve

Act = Callable[[Conversation], Awaitable[Mapping[str, Any] | None]]


async def for_ever(_: Conversation) -> None:
    await asyncio.get_running_loop().create_future()


async def at_once(_: Conversation) -> None:
    return


async def till_the_instant(talk: Conversation) -> Mapping[str, Any]:
    assert talk.instant_ns is not None
    await asyncio.sleep(max(0.0, (talk.instant_ns - time.monotonic_ns()) / 1e9))
    return {"began_ns": time.monotonic_ns()}


SERVES: Mapping[Enum, Act] = {
    NetbenchServer.STARTING: at_once,
    NetbenchServer.RUNNING: for_ever,
    NetbenchServer.STOPPING: at_once,
}
DIALS: Mapping[Enum, Act] = {
    NetbenchClient.STARTING: at_once,
    NetbenchClient.ARMED: for_ever,
    NetbenchClient.RUNNING: till_the_instant,
}


@dataclass
class Worker:
    """A worker with its acts; ``left`` counts conversations that were closed."""

    acts: Mapping[Enum, Act]
    left: int = 0
    talks: list[Conversation] = field(default_factory=list)

    @asynccontextmanager
    async def service(self, talk: Conversation) -> AsyncIterator[Mapping[Enum, Callable[[], Awaitable[Any]]]]:
        self.talks.append(talk)
        try:
            yield {state: partial(act, talk) for state, act in self.acts.items()}
        finally:
            self.left += 1


@asynccontextmanager
async def listening(
    folder: Path, worker: Worker, name: str = "w", credentials: Credentials | None = None
) -> AsyncIterator[str]:
    """The address of a worker: a unix socket, or with credentials a port."""
    place = folder / name
    place.mkdir(mode=0o700)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    services = {SERVER: worker.service, CLIENT: worker.service}
    at = f"unix:{place}/s" if credentials is None else "tcp://127.0.0.1:0"
    serving = serve(at, services, directory=place, credentials=credentials, ready=ready.set_result)
    task = asyncio.create_task(serving)
    try:
        yield await ready
    finally:
        task.cancel()
        await asyncio.wait([task])


def target(address: str, folder: Path, name: str = "w0", **more: Any) -> Target:
    return Target(name, address, folder / "results" / name, **more)


def servers(targets: list[Target], **more: Any) -> Any:
    return Coordinator[NetbenchServer].connect(SERVER, targets, run="r", deadline=10, **more)


def clients(targets: list[Target], lead: float = 0.3, **more: Any) -> Any:
    return Coordinator[NetbenchClient].connect(CLIENT, targets, run="r", deadline=10, lead=lead, **more)
