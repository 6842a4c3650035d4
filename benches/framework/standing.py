"""Who answers in the coordination benches? Workers of russula, and bare servers, in helper processes."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from pytest_netbench.protocols import CLIENT, SERVER, NetbenchServer
from russula import Action, Conversation, Credentials, serve
from russula.by_hand import playing
from russula.tls import context

HELPER = 4000
"""Workers in one process."""
LEAF = "worker"
MESSAGES = 10
"""Messages of one whole conversation each way, hello and fetching included."""
MESSAGE = b"x" * 60
SLOW_START = 0.5
"""Seconds that a driver takes to start where one transition is measured, so that the next doesn't run into it."""

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
_KEPT: list[object] = []
"""What a helper process holds until it ends."""
Answering = Callable[[range, str, Credentials | None], Awaitable[list[str]]]


@dataclass(frozen=True)
class Standing:
    """Who answers where: addresses, and the processes behind them."""

    addresses: list[str]
    pids: list[int]


def keep(serving: Coroutine[object, object, None]) -> None:
    """Serve until the helper process ends."""
    _KEPT.append(asyncio.create_task(serving))


@asynccontextmanager
async def _service(conversation: Conversation) -> AsyncIterator[Mapping[Enum, Action]]:
    """Plays as the run's name says."""
    how = conversation.run
    seconds = float(how.removeprefix("run ")) if how.startswith("run ") else 0.0
    async with playing(SERVER if how in {"at once", "slow start"} else CLIENT, seconds)(conversation) as actions:
        if how == "slow start":
            yield {**actions, NetbenchServer.STARTING: partial(asyncio.sleep, SLOW_START)}
        else:
            yield actions


async def workers(share: range, folder: str, credentials: Credentials | None) -> list[str]:
    """Workers of russula."""
    loop, found = asyncio.get_running_loop(), []
    for number in share:
        ready: asyncio.Future[str] = loop.create_future()
        where = "tcp://127.0.0.1:0" if credentials else f"unix:{folder}/{number}"
        services = {SERVER: _service, CLIENT: _service}
        keep(serve(where, services, directory=Path(folder), credentials=credentials, ready=ready.set_result))
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


def _helper(told: Connection, answering: Answering, share: range, folder: str, credentials: Credentials | None) -> None:
    async def stand() -> None:
        found = await answering(share, folder, credentials)
        gc.collect()
        gc.freeze()  # thousands stand in one process here: what stands isn't searched for garbage over and over
        told.send(found)
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
def standing(
    count: int, answering: Answering, folder: str, credentials: Credentials | None, *, first: int = 0
) -> Iterator[Standing]:
    """So many that answer, in helper processes, numbered from ``first``."""
    fork = multiprocessing.get_context("fork")
    found, helpers = [], []
    for begin in range(first, first + count, HELPER):
        here, there = fork.Pipe()
        share = range(begin, min(begin + HELPER, first + count))
        process = fork.Process(target=_helper, args=(there, answering, share, folder, credentials), daemon=True)
        process.start()
        there.close()
        helpers.append((here, process))
        found += here.recv()
    try:
        yield Standing(found, [process.pid or 0 for _, process in helpers])
    finally:
        for here, process in helpers:
            process.terminate()
            process.join()
            here.close()


# --- the bare program on the other side ----------------------------------------------------------------


async def floor(addresses: list[str], mine: Credentials | None) -> dict[str, float]:
    """All connect, then each message is sent to all and answered by all: seconds to connect, and in all."""
    tls = context(mine) if mine else None
    began = time.perf_counter()
    streams = await asyncio.gather(*(_dialled(one, tls) for one in addresses))
    connected = time.perf_counter()
    for _ in range(MESSAGES):
        await asyncio.gather(*(_echo(*one) for one in streams))
    for _, writer in streams:
        writer.close()
    return {"dial": connected - began, "floor": time.perf_counter() - began}


async def echo(addresses: list[str], mine: Credentials | None) -> float:
    """Seconds of one message to all, answered by all."""
    tls = context(mine) if mine else None
    streams = await asyncio.gather(*(_dialled(one, tls) for one in addresses))
    began = time.perf_counter()
    await asyncio.gather(*(_echo(*one) for one in streams))
    took = time.perf_counter() - began
    for _, writer in streams:
        writer.close()
    return took


async def _dialled(where: str, tls: ssl.SSLContext | None) -> tuple[Reader, Writer]:
    if tls is None:
        return await asyncio.open_unix_connection(where.removeprefix("unix:"))
    return await asyncio.open_connection("127.0.0.1", int(where.rpartition(":")[2]), ssl=tls, server_hostname=LEAF)


async def _echo(reader: Reader, writer: Writer) -> None:
    writer.write(struct.pack(">I", len(MESSAGE)) + MESSAGE)
    await reader.readexactly(4 + len(MESSAGE))
