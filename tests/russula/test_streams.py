"""Does every stream keep the same promises? One suite for memory, unix sockets, and TLS over both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from russula.credentials import COORDINATOR, issue
from russula.link import Link
from russula.messages import Chunk, Entered, Fetch, Message
from russula.stream import Stream
from russula.testing import memory_pair
from russula.tls import for_coordinators, for_workers
from russula.transport import Securing, connect, listen

RUN = issue("run", ["worker"], timedelta(hours=1))
HERE: Securing = for_coordinators(RUN[COORDINATOR])("worker", RUN["worker"].fingerprint)
THERE: Securing = for_workers(RUN["worker"])

Pair = AbstractAsyncContextManager[tuple[Stream, Stream]]


@asynccontextmanager
async def in_memory(_: Path, chunk: int = 1 << 16) -> AsyncIterator[tuple[Stream, Stream]]:
    one, other = memory_pair(chunk)
    yield one, other
    await one.aclose()
    await other.aclose()


@asynccontextmanager
async def in_memory_with_tls(folder: Path) -> AsyncIterator[tuple[Stream, Stream]]:
    async with in_memory(folder, 1) as (one, other):
        here, there = await asyncio.gather(HERE(one), THERE(other))
        yield here, there
        await here.aclose()
        await there.aclose()


@asynccontextmanager
async def over(address: str, near: Securing | None, far: Securing | None) -> AsyncIterator[tuple[Stream, Stream]]:
    """Both ends of one connection to an address."""
    accepted: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def handle(stream: Stream) -> None:
        accepted.set_result(stream)
        await done.wait()
        await stream.aclose()

    async with listen(address, handle, far) as at:
        stream = await connect(at, near)
        yield stream, await accepted
        await stream.aclose()
        done.set()


def over_unix(folder: Path) -> Pair:
    return over(f"unix:{folder}/s", None, None)


def over_tcp_with_tls(_: Path) -> Pair:
    return over("tcp://127.0.0.1:0", HERE, THERE)


EACH = pytest.mark.parametrize(
    "pair", [in_memory, in_memory_with_tls, over_unix, over_tcp_with_tls], ids=lambda one: one.__name__
)
Make = Callable[[Path], Pair]


async def everything(stream: Stream, size: int) -> bytes:
    """So many bytes of a stream."""
    found = b""
    while len(found) < size and (data := await stream.read()):
        found += data
    return found


@EACH
async def test_bytes_arrive_in_order_both_ways(pair: Make, tmp_path: Path) -> None:
    """Whatever the pieces are."""
    async with pair(tmp_path) as (here, there):
        for one, other in ((here, there), (there, here)):
            for piece in (b"a", b"bc" * 500, b"d"):
                await one.write(piece)
            assert await everything(other, 1002) == b"a" + b"bc" * 500 + b"d"


@EACH
async def test_messages_survive(pair: Make, tmp_path: Path) -> None:
    """Frames that are cut anywhere come out whole."""
    said: list[Message] = [Entered(0, "READY", {"a": [1, 2]}), Chunk(0, 5, b"12345"), Fetch()]
    async with pair(tmp_path) as (here, there):
        for message in said:
            await Link(here).send(message)
        heard = []
        async for message in Link(there).messages():
            heard.append(message)
            if len(heard) == len(said):
                break
    assert heard == said


@EACH
async def test_the_end_is_no_bytes(pair: Make, tmp_path: Path) -> None:
    """What was written before it still comes."""
    async with pair(tmp_path) as (here, there):
        await here.write(b"last")
        await here.aclose()
        assert await everything(there, 4) == b"last"
        assert await there.read() == b""


@EACH
async def test_a_writer_waits_for_its_reader(pair: Make, tmp_path: Path) -> None:
    """Much more than the buffers hold arrives whole once it is read."""
    size = 3_000_000 if pair in {over_unix, over_tcp_with_tls} else 20_000
    async with pair(tmp_path) as (here, there):
        found, _ = await asyncio.gather(everything(there, size), here.write(b"x" * size))
    assert len(found) == size


@EACH
async def test_closing_twice_is_closing_once(pair: Make, tmp_path: Path) -> None:
    """Also when the other end is gone already."""
    async with pair(tmp_path) as (here, there):
        await there.aclose()
        await here.aclose()
        await here.aclose()
