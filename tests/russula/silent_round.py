"""What crosses a network while a benchmark runs? One round over TCP and TLS, alone in a network of its own.

``python -m tests.russula.silent_round FOLDER SECONDS hushed|probed``: to be run in a namespace of its own. Prints what
crossed ``lo``, packets and bytes by the kernel's counters, before the silent window, in it, and after it; and which
sockets had keepalive on. ``probed``: silence is kept by the coordinator and the worker, and not by the kernel.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from pytest_netbench.hosts import namespace
from pytest_netbench.protocols import CLIENT, SERVER, NetbenchClient, NetbenchServer
from russula import Conversation, Coordinator, Protocol, Target, silence
from russula.credentials import COORDINATOR, issue
from tests.russula.sides import DIALS, SERVES, Worker, listening, till_the_instant

LEAD = 0.8
"""Seconds: less than until the first probe."""
ISSUED = issue("r", ["w0"], timedelta(hours=1))


def crossed() -> tuple[int, int]:
    """Packets and bytes that ``lo`` has carried."""
    line = next(one for one in Path("/proc/self/net/dev").read_text().splitlines() if one.strip().startswith("lo:"))
    fields = [int(one) for one in line.partition(":")[2].split()]
    return fields[1], fields[0]


def since(before: tuple[int, int]) -> list[int]:
    return [now - then for now, then in zip(crossed(), before, strict=True)]


def probing() -> list[bool]:
    """Whether keepalive is on: each established TCP connection's, both ends, which all are in this process."""
    sockets = [one for one in gc.get_objects() if isinstance(one, socket.socket) and one.fileno() >= 0]
    return [bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) for one in sockets if _is_connected(one)]


def _is_connected(sock: socket.socket) -> bool:
    if sock.family != socket.AF_INET:
        return False
    try:
        return bool(sock.getpeername())
    except OSError:
        return False


async def window(seen: dict[str, Any], seconds: float, talk: Conversation) -> Mapping[str, Any]:
    """What a client's driver does: from the agreed instant it watches the network, and sends nothing."""
    seen["accepted_s"] = time.monotonic()
    began = await till_the_instant(talk)
    seen["waiting"] = since(seen.pop("accepted", crossed()))
    seen["probing_in"], before = probing(), crossed()
    await asyncio.sleep(seconds)
    seen["in"] = since(before)
    return began


async def main(folder: Path, seconds: float) -> dict[str, Any]:
    """A server and a client, as in a round of a benchmark."""
    seen: dict[str, Any] = {}
    client = Worker({**DIALS, NetbenchClient.RUNNING: partial(window, seen, seconds)})

    async with AsyncExitStack() as opened:

        async def connected(protocol: Protocol, worker: Worker, name: str) -> Coordinator[Any]:
            address = await opened.enter_async_context(listening(folder, worker, name, ISSUED["w0"]))
            target = Target(name, address, folder / "results" / name, certificate="w0")
            driving = Coordinator[Enum].connect(
                protocol, [target], run="r", deadline=20, credentials=ISSUED[COORDINATOR], lead=LEAD
            )
            return await opened.enter_async_context(driving)

        before = crossed()
        serving = await connected(SERVER, Worker(SERVES), "server")
        calling = await connected(CLIENT, client, "client")
        await calling.run_till(NetbenchClient.ARMED)
        seen["probing_before"] = probing()
        await serving.run_till(NetbenchServer.RUNNING)
        seen["probing_served"] = probing()
        await calling.run_till(NetbenchClient.RUNNING)
        seen["accepted"], seen["before"] = crossed(), since(before)
        seen["known_s"] = time.monotonic() - seen["accepted_s"]
        await calling.run_till(NetbenchClient.STOPPED)
        seen["silent_bytes"] = [calling.silent_bytes, serving.silent_bytes]
        before = crossed()
        await serving.run_till(NetbenchServer.STOPPED)
        seen["probing_after"] = probing()
        await serving.run_till(NetbenchServer.DONE)
        await calling.run_till(NetbenchClient.DONE)
        seen["after"] = since(before)
    return seen


if __name__ == "__main__":
    namespace.bring_up()
    silence.probe = partial(silence.probe, idle_s=1)
    if sys.argv[3] == "probed":
        silence.hush = lambda sock: None
    sys.stdout.write(json.dumps(asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))))
