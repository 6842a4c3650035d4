"""What does coordinating many workers cost, beside a bare program that connects and speaks as often?

The workers play: they stand in helper processes, at most 4,000 in each, and finish every action at once. The floors are
bare programs on asyncio's streams, over the same transport, with as many connections and messages of the same size.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import ssl
import struct
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from figures import Better, Figure, main, median, ratio

from pytest_netbench.protocols import SERVER, NetbenchServer
from russula import Coordinator, Credentials, Target, issue, serve
from russula.by_hand import playing
from russula.credentials import COORDINATOR
from russula.tls import context

HELPER = 4000
LEAF = "worker"
TO_WORKER, FROM_WORKER = 9, 10
"""Messages of one whole conversation, hello and fetching included."""
MESSAGE = b"x" * 60
DEADLINE = 120.0
TOTALS = {10: 0.1, 100: 0.3, 1000: 2.0, 10_000: 25.0}
"""Seconds that a whole conversation may take."""
MEMORY = {False: 24_576, True: 81_920}
"""Bytes of the coordinator's process for each worker, plain and with TLS."""

WHY = "each announcement is JSON that is checked, looked up in two tables, and answered, in Python, at both ends"

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


# --- helpers: who answers ----------------------------------------------------------------------


def address(folder: str, number: int, *, tls: bool) -> str:
    """Where a worker listens."""
    return "tcp://127.0.0.1:0" if tls else f"unix:{folder}/{number}"


async def workers(share: range, folder: str, credentials: Credentials | None) -> list[str]:
    """Workers of russula."""
    loop, found = asyncio.get_running_loop(), []
    for number in share:
        ready: asyncio.Future[str] = loop.create_future()
        where = address(folder, number, tls=credentials is not None)
        services = {SERVER: playing(SERVER, 0)}
        task = serve(where, services, directory=Path(folder), credentials=credentials, ready=ready.set_result)
        _KEPT.append(asyncio.create_task(task))
        found.append(await ready)
    return found


async def answerers(share: range, folder: str, credentials: Credentials | None) -> list[str]:
    """Bare servers that answer a message with a message, until the other side ends."""

    async def answer(reader: Reader, writer: Writer) -> None:
        try:
            while True:
                size = struct.unpack(">I", await reader.readexactly(4))[0]
                await reader.readexactly(size)
                writer.write(struct.pack(">I", len(MESSAGE)) + MESSAGE)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    found = []
    for number in share:
        if credentials is None:
            _KEPT.append(await asyncio.start_unix_server(answer, f"{folder}/floor{number}"))
            found.append(f"unix:{folder}/floor{number}")
        else:
            server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context(credentials))
            _KEPT.append(server)
            found.append(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    return found


_KEPT: list[object] = []
Answering = Callable[[range, str, Credentials | None], Awaitable[list[str]]]


def _helper(told: Connection, answering: Answering, share: range, folder: str, credentials: Credentials | None) -> None:
    async def stand() -> None:
        told.send(await answering(share, folder, credentials))
        await asyncio.get_running_loop().run_in_executor(None, _until_closed, told)

    try:
        asyncio.run(asyncio.wait_for(stand(), 3600))
    finally:
        os._exit(0)


def _until_closed(told: Connection) -> None:
    try:
        told.recv()
    except EOFError:
        return


@contextmanager
def standing(count: int, answering: Answering, folder: str, credentials: Credentials | None) -> Iterable[list[str]]:
    """So many that answer, in helper processes; their addresses."""
    fork = multiprocessing.get_context("fork")
    found, helpers = [], []
    for first in range(0, count, HELPER):
        here, there = fork.Pipe()
        share = range(first, min(first + HELPER, count))
        process = fork.Process(target=_helper, args=(there, answering, share, folder, credentials), daemon=True)
        process.start()
        there.close()
        helpers.append((here, process))
        found += here.recv()
    try:
        yield found
    finally:
        for here, process in helpers:
            process.terminate()
            process.join()
            here.close()


# --- what is measured ----------------------------------------------------------------------------


async def conversation(addresses: list[str], folder: str, mine: Credentials | None) -> dict[str, float]:
    """One whole conversation: seconds to READY, of one transition, and in all; bytes held for each worker."""
    targets = [Target(f"w{n}", one, Path(folder) / "out", certificate=LEAF) for n, one in enumerate(addresses)]
    before, began = _resident(), time.perf_counter()
    async with Coordinator[NetbenchServer].connect(
        SERVER, targets, run="r", deadline=DEADLINE, credentials=mine
    ) as group:
        await group.run_till(NetbenchServer.READY, deadline=DEADLINE)
        ready, held = time.perf_counter(), _resident() - before
        await group.run_till(NetbenchServer.RUNNING, deadline=DEADLINE)
        running = time.perf_counter()
        await group.run_till(NetbenchServer.DONE, deadline=DEADLINE)
    total = time.perf_counter() - began
    memory = held / len(addresses)
    return {"ready": ready - began, "transition": running - ready, "total": total, "memory": memory}


async def floor(addresses: list[str], mine: Credentials | None) -> dict[str, float]:
    """The same by a bare program: all connect, then each message is sent to all and answered by all."""
    tls = context(mine) if mine else None
    began = time.perf_counter()
    streams = await asyncio.gather(*(_dialled(one, tls) for one in addresses))
    connected = time.perf_counter()
    await asyncio.gather(*(_echo(*one) for one in streams))
    echoed = time.perf_counter()
    for _ in range(max(TO_WORKER, FROM_WORKER) - 1):
        await asyncio.gather(*(_echo(*one) for one in streams))
    for _, writer in streams:
        writer.close()
    total = time.perf_counter() - began
    return {"ready": connected - began, "transition": echoed - connected, "total": total}


async def _dialled(where: str, tls: ssl.SSLContext | None) -> tuple[Reader, Writer]:
    if tls is None:
        return await asyncio.open_unix_connection(where.removeprefix("unix:"))
    return await asyncio.open_connection("127.0.0.1", int(where.rpartition(":")[2]), ssl=tls, server_hostname=LEAF)


async def _echo(reader: Reader, writer: Writer) -> None:
    writer.write(struct.pack(">I", len(MESSAGE)) + MESSAGE)
    await reader.readexactly(4 + len(MESSAGE))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def pairs(count: int, repeats: int, *, tls: bool) -> list[tuple[dict[str, float], dict[str, float]]]:
    """Conversations and floors, one beside the other, after one of each that isn't counted."""
    credentials = issue("bench", [LEAF], timedelta(hours=2)) if tls else {}
    theirs, mine = credentials.get(LEAF), credentials.get(COORDINATOR)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nbc-"))
        ours = stack.enter_context(standing(count, workers, folder, theirs))
        bare = stack.enter_context(standing(count, answerers, folder, theirs))
        found = []
        for _ in range(repeats + 1):
            talk = asyncio.run(conversation(ours, folder, mine))
            found.append((talk, asyncio.run(floor(bare, mine))))
        return found[1:] if repeats > 1 else found


def measure(quick: bool, workers: int = 100, tls: bool = False) -> list[Figure]:
    """All figures for so many workers."""
    repeats = max(2, (600 if quick else 6000) // max(workers, 20))
    found = pairs(workers, min(repeats, 30), tls=tls)
    ours = {name: [one[name] for one, _ in found] for name in found[0][0]}
    bare = {name: [one[name] for _, one in found] for name in found[0][1]}
    figures = [
        ratio("total_over_floor", ours["total"], bare["total"], reach=1.5, better=Better.LOWER, why=WHY),
        median("total_s", ours["total"], "s", reach=TOTALS.get(workers), better=Better.LOWER),
        ratio("transition_over_echo", ours["transition"], bare["transition"], reach=1.0, better=Better.LOWER, why=WHY),
        Figure("memory_per_worker_bytes", max(ours["memory"]), "B", len(found), MEMORY[tls], Better.LOWER),
    ]
    if tls:
        figures.append(
            ratio("ready_over_handshakes", ours["ready"], bare["ready"], reach=1.3, better=Better.LOWER, why=WHY)
        )
    return figures


if __name__ == "__main__":
    import argparse
    import sys

    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--tls", action="store_true")
    given, sys.argv[1:] = parser.parse_known_args()
    main("coordination", partial(measure, workers=given.workers, tls=given.tls))
