"""How is a protocol tried without writing a program? A worker that only plays, and a coordinator that drives it."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import Enum
from functools import partial
from pathlib import Path

from russula.coordinator import Coordinator
from russula.credentials import COORDINATOR, Credentials, issue
from russula.errors import LocalProtocolError
from russula.member import Target
from russula.messages import JSON
from russula.protocol import Finished, Protocol
from russula.talk import BEGAN, Action, Conversation, Service
from russula.worker import serve

WORKER = "worker"
"""The name on the leaf that all workers started by hand share."""
VALID = timedelta(days=1)
"""How long credentials made by hand are good for."""
LEAD = 0.3
"""Seconds from the announcement of the agreed start to it: enough on a busy machine, too."""


def write_credentials(folder: Path) -> None:
    """Make an authority for one run, and write its leaves: the coordinator's, and one for the workers."""
    for one in issue(folder.name or "by hand", [WORKER], VALID).values():
        one.write(folder)


def playing(protocol: Protocol, seconds: float) -> Service:
    """A service that plays a driver: after the agreed start it takes so long, before it nothing.

    Actions that the table gives no end only watch, until their state is left.
    """

    async def play(conversation: Conversation, state: Enum) -> Mapping[str, JSON] | None:
        if Finished() not in protocol.worker.table[state]:
            await asyncio.get_running_loop().create_future()
        if conversation.instant_ns is None:
            return None
        await asyncio.sleep(max(0.0, (conversation.instant_ns - time.monotonic_ns()) / 1e9))
        began = time.monotonic_ns()
        await asyncio.sleep(seconds)
        return {BEGAN: began}

    @asynccontextmanager
    async def service(conversation: Conversation) -> AsyncIterator[Mapping[Enum, Action]]:
        yield {state: partial(play, conversation, state) for state in protocol.worker.acts}

    return service


async def work(protocol: Protocol, address: str, credentials: Path | None, seconds: float) -> None:
    """Be a worker that plays, until cancelled; prints its address as a JSON line once it listens."""
    mine = Credentials.read(credentials, WORKER) if credentials else None

    def ready(at: str) -> None:
        print(json.dumps({"address": at}), flush=True)  # noqa: T201  a command prints

    with tempfile.TemporaryDirectory(prefix="russula-") as folder:
        services = {protocol: playing(protocol, seconds)}
        await serve(address, services, directory=Path(folder), credentials=mine, ready=ready)


async def drive(
    protocol: Protocol, addresses: Sequence[str], credentials: Path | None, till: str | None, deadline: float
) -> str:
    """Drive workers to a state, to the end if none is named; returns that state's name.

    :raises LocalProtocolError: if the protocol has no such state; names those that it has.
    :raises RussulaError: as ``run_till``.
    """
    goal = state_of(protocol, till)
    mine = Credentials.read(credentials, COORDINATOR) if credentials else None
    with tempfile.TemporaryDirectory(prefix="russula-") as folder:
        targets = [
            Target(f"w{index}", address, Path(folder) / f"w{index}", certificate=WORKER)
            for index, address in enumerate(addresses)
        ]
        async with Coordinator[Enum].connect(
            protocol, targets, run="by hand", deadline=deadline, credentials=mine, lead=LEAD
        ) as coordinator:
            await coordinator.run_till(goal, deadline=deadline)
    return goal.name


def state_of(protocol: Protocol, name: str | None) -> Enum:
    """A worker's state by its name; without one, the end of its table."""
    table: Mapping[Enum, object] = protocol.worker.table
    if name is None:
        return next(state for state, row in table.items() if not row)
    for state in table:
        if state.name == name:
            return state
    raise LocalProtocolError(f"{protocol.name} has no state {name!r}: {', '.join(state.name for state in table)}")
