"""How do both sides of a round get from ready to done? The clients run as long as the servers serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from pytest_netbench.drivers.job import Reason
from pytest_netbench.protocols import NetbenchClient, NetbenchServer
from russula import Coordinator, WorkerFailed

START_DEADLINE = 30.0
STOP_DEADLINE = 30.0
SLACK = 30.0
"""Seconds: for drivers to come up, drivers to go down, and beyond the scenario's own duration."""

CAUSE = 0.5
"""Seconds after a client's failure within which that of a server is taken for its cause."""

Servers: TypeAlias = Coordinator[NetbenchServer]


class Clients(Coordinator[NetbenchClient]):
    """The coordinator of a round's clients: what it waits for ends when a server fails.

    ``serving`` gives the servers' coordinator, once there is one.
    """

    serving: Callable[[], Servers | None] | None = None

    async def run_till(self, state: NetbenchClient, *, deadline: float | None = None) -> None:
        """As of every coordinator; a server that fails meanwhile is the cause, also where a client fails first.

        :raises RussulaError: as there; what a client came to because of its server is added as a note.
        """
        serving = None if self.serving is None else self.serving()
        reached = super().run_till(state, deadline=deadline)
        await (reached if serving is None else _served(serving, reached))


async def play(serving: Servers, dialling: Clients, longest: float) -> None:
    """Take both sides from READY to DONE; ``longest``: seconds that clients may take from the start instant on.

    :raises RussulaError: for the first worker that fails or is silent; names it, its state, its driver's last words.
    """
    await serving.run_till(NetbenchServer.RUNNING, deadline=START_DEADLINE)
    await dialling.run_till(NetbenchClient.ARMED, deadline=START_DEADLINE)
    await dialling.run_till(NetbenchClient.STOPPED, deadline=longest + SLACK)
    await serving.run_till(NetbenchServer.DONE, deadline=STOP_DEADLINE)
    await dialling.run_till(NetbenchClient.DONE, deadline=STOP_DEADLINE)


async def _served(serving: Servers, dialling: Coroutine[Any, Any, None]) -> None:
    """Await what clients do as long as no server fails."""
    clients, server = asyncio.ensure_future(dialling), asyncio.ensure_future(serving.failure())
    try:
        await asyncio.wait({clients, server}, return_when=asyncio.FIRST_COMPLETED)
        found = clients.exception() if clients.done() else None
        if isinstance(found, WorkerFailed) and found.reason != Reason.UNSUPPORTED:
            await asyncio.wait({server}, timeout=CAUSE)
        if server.done() and (not clients.done() or found is not None):
            cause = server.result()
            if found is not None:
                cause.add_note(f"then {found}")
            raise cause
        clients.result()
    finally:
        for one in (clients, server):
            one.cancel()
        await asyncio.wait({clients, server})
