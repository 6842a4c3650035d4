"""How do tests drive a worker? One server and one client through the real protocols, over a unix socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_netbench.drivers.driver import Driver
from pytest_netbench.drivers.job import Job
from pytest_netbench.protocols import CLIENT, SERVER, NetbenchClient, NetbenchServer
from pytest_netbench.roles import Role
from pytest_netbench.worker import work
from russula import Coordinator, Target

LEAD = 0.3
"""Seconds in which a worker hears of the start instant, also on a busy machine."""


@asynccontextmanager
async def serving(rows: Mapping[str, Driver], folder: Path) -> AsyncIterator[str]:
    """The address at which a worker with these drivers listens."""
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    (folder / "w").mkdir(mode=0o700)
    task = asyncio.create_task(work(f"unix:{folder}/w/w", rows, folder, listening.set_result))
    try:
        yield await asyncio.wait_for(listening, 30)
    finally:
        task.cancel()
        await asyncio.wait([task])


class Round:
    """Both sides of one round on one worker."""

    def __init__(self, address: str, scenario: Path, results: Path, driver: str, **job: Any) -> None:
        self.address, self.scenario, self.results = address, scenario, results
        self.job = Job(Role.SERVER, 0, driver, bind="127.0.0.1", **job)
        self.peers: tuple[str, ...] = ()
        self.of: dict[Role, dict[str, Any]] = {}

    def target(self, role: Role) -> Target:
        def order() -> Mapping[str, Any]:
            return replace(self.job, role=role, peers=self.peers, **self.of.get(role, {})).to_order()

        results = self.results / role.value
        files = {"scenario.json": self.scenario}
        return Target(name=role.value, address=self.address, results=results, order=order, files=lambda: files)

    @asynccontextmanager
    async def server(self) -> AsyncIterator[Coordinator[NetbenchServer]]:
        async with Coordinator[NetbenchServer].connect(
            SERVER, [self.target(Role.SERVER)], run="r", deadline=30
        ) as server:
            await server.run_till(NetbenchServer.RUNNING)
            self.peers = (str(server.said("server", NetbenchServer.RUNNING)["address"]),)
            yield server

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Coordinator[NetbenchClient]]:
        async with Coordinator[NetbenchClient].connect(
            CLIENT, [self.target(Role.CLIENT)], run="r", deadline=30, lead=LEAD
        ) as client:
            yield client

    def record(self, role: Role) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.results / role.value / "host.json").read_text())
        return found

    async def play(self) -> None:
        """The whole of it."""
        async with self.server() as server, self.client() as client:
            await client.run_till(NetbenchClient.STOPPED)
            await server.run_till(NetbenchServer.DONE)
            await client.run_till(NetbenchClient.DONE)
