"""How much memory do large files take on their way? A worker and a coordinator, each in a process of its own.

``python -m tests.russula.heavy worker FOLDER``, then ``python -m tests.russula.heavy coordinator FOLDER ADDRESS N``:
a file of 10 MB goes to each of N workers, and one comes back from each, over TCP and TLS. The coordinator prints by how
many bytes its memory grew at most, sending and receiving. Both read their credentials from the folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from enum import Enum
from pathlib import Path

from pytest_netbench.protocols import SERVER, NetbenchServer
from russula import Conversation, Coordinator, Credentials, Target
from russula.credentials import COORDINATOR
from tests.russula.sides import SERVES, Worker, listening

SIZE = 10_000_000
FILE = "file.bin"


def memory(name: str) -> int:
    """``VmRSS`` or ``VmHWM`` (the most it was) of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(one.split()[1]) for one in lines if one.startswith(name))


def forget_the_most() -> int:
    """Let the kernel begin anew with what it calls the most; what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


async def work(folder: Path) -> None:
    """Serve until the input ends; what each leaves is what it was sent."""

    async def stop(talk: Conversation) -> None:
        os.link(talk.inbox / FILE, talk.outbox / FILE)

    worker = Worker({**SERVES, NetbenchServer.STOPPING: stop})
    async with listening(folder, worker, "worker", Credentials.read(folder, "w0")) as address:
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


async def coordinate(folder: Path, address: str, number: int) -> dict[str, int]:
    """Send to all, receive from all; each file is looked at, and removed."""
    names = [f"w{one}" for one in range(number)]
    targets = [
        Target(one, address, folder / "results" / one, files=lambda: {FILE: folder / FILE}, certificate="w0")
        for one in names
    ]
    before = forget_the_most()
    mine = Credentials.read(folder, COORDINATOR)
    connecting = Coordinator[Enum].connect(SERVER, targets, run="r", deadline=60, credentials=mine)
    async with connecting as group:
        await group.run_till(NetbenchServer.RUNNING, deadline=300)
        sending = memory("VmHWM") - before
        forget_the_most()
        await group.run_till(NetbenchServer.DONE, deadline=300)
        receiving = memory("VmHWM") - before
    return {"sending": sending, "receiving": receiving}


if __name__ == "__main__":
    what, where = sys.argv[1], Path(sys.argv[2])
    if what == "worker":
        asyncio.run(work(where))
    else:
        sys.stdout.write(json.dumps(asyncio.run(coordinate(where, sys.argv[3], int(sys.argv[4])))))
