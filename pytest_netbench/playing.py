"""How do both sides of a round get from ready to done? The clients run as long as the servers serve."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
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
Clients: TypeAlias = Coordinator[NetbenchClient]


async def play(serving: Servers, dialling: Clients, longest: float) -> None:
    """Take both sides from READY to DONE; ``longest``: seconds that clients may take from the start instant on.

    :raises RussulaError: for the first worker that fails or is silent; names it, its state, its driver's last words.
    """
    await serving.run_till(NetbenchServer.RUNNING, deadline=START_DEADLINE)
    await _served(serving, _dialled(dialling, longest))
    await serving.run_till(NetbenchServer.DONE, deadline=STOP_DEADLINE)
    await dialling.run_till(NetbenchClient.DONE, deadline=STOP_DEADLINE)


async def _dialled(dialling: Clients, longest: float) -> None:
    await dialling.run_till(NetbenchClient.ARMED, deadline=START_DEADLINE)
    await dialling.run_till(NetbenchClient.STOPPED, deadline=longest + SLACK)


async def _served(serving: Servers, dialling: Coroutine[Any, Any, None]) -> None:
    """Await what clients do. A server that fails meanwhile ends it, and is the cause, also where a client fails first.

    :raises RussulaError: as ``play``; what a client came to because of its server is added as a note.
    """
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
