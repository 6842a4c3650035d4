"""Does every transport keep the same promises? One suite for memory, unix sockets, and TLS over memory and TCP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from russula.credentials import COORDINATOR, issue
from russula.dialogue import Dialogue
from russula.link import Link
from russula.messages import Bye, Chunk, Entered, Fetch, Frame, Message
from russula.testing import Faults, memory_pair
from russula.tls import Tls, for_coordinators, for_workers
from russula.transport import Securing, connect, listen

RUN = issue("run", ["worker"], timedelta(hours=1))
HERE: Securing = for_coordinators(RUN[COORDINATOR])("worker", RUN["worker"].fingerprint)
THERE: Securing = for_workers(RUN["worker"])


class Probe(asyncio.Protocol):
    """An end that notes what it is told."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.transport: asyncio.Transport | None = None
        self.paused = False
        self.pauses = 0
        self.losses: list[Exception | None] = []
        self._changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._changed.set()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.losses.append(exc)
        self._changed.set()

    def pause_writing(self) -> None:
        self.paused = True
        self.pauses += 1

    def resume_writing(self) -> None:
        self.paused = False
        self._changed.set()

    @property
    def wire(self) -> asyncio.Transport:
        assert self.transport is not None
        return self.transport

    async def until(self, condition: Callable[[Probe], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()


Pair = AbstractAsyncContextManager[tuple[Probe, Probe]]


@asynccontextmanager
async def _in_memory(near: Securing | None, far: Securing | None, chunk: int) -> AsyncIterator[tuple[Probe, Probe]]:
    one, other = Probe(), Probe()
    memory_pair(near(one) if near else one, far(other) if far else other, Faults(chunk=chunk))
    await one.until(lambda me: me.transport is not None)
    await other.until(lambda me: me.transport is not None)
    yield one, other
    one.wire.abort()


@asynccontextmanager
async def _over(address: str, near: Securing | None, far: Securing | None) -> AsyncIterator[tuple[Probe, Probe]]:
    one, other = Probe(), Probe()
    async with listen(address, lambda _: other, far) as at:
        await connect(at, one, near)
        await one.until(lambda me: me.transport is not None)
        await other.until(lambda me: me.transport is not None)
        yield one, other
        for end in (one, other):
            end.wire.abort()
            await end.until(lambda me: bool(me.losses))


def in_memory(_: Path) -> Pair:
    return _in_memory(None, None, 1 << 16)


def a_byte_at_a_time(_: Path) -> Pair:
    return _in_memory(None, None, 1)


def tls_a_byte_at_a_time(_: Path) -> Pair:
    return _in_memory(HERE, THERE, 1)


def over_unix(folder: Path) -> Pair:
    return _over(f"unix:{folder}/s", None, None)


def over_tcp_with_tls(_: Path) -> Pair:
    return _over("tcp://127.0.0.1:0", HERE, THERE)


Make = Callable[[Path], Pair]
EACH = pytest.mark.parametrize(
    "pair",
    [in_memory, a_byte_at_a_time, tls_a_byte_at_a_time, over_unix, over_tcp_with_tls],
    ids=lambda one: one.__name__,
)


@EACH
async def test_bytes_arrive_in_order_both_ways(pair: Make, tmp_path: Path) -> None:
    """Whatever the pieces are."""
    async with pair(tmp_path) as (here, there):
        for one, other in ((here, there), (there, here)):
            for piece in (b"a", b"bc" * 500, b"d"):
                one.wire.write(piece)
            await other.until(lambda me: len(me.data) == 1002)
            assert other.data == b"a" + b"bc" * 500 + b"d"


@EACH
async def test_the_end_comes_after_all_that_was_written(pair: Make, tmp_path: Path) -> None:
    """An orderly end is no error, and told once to each side."""
    async with pair(tmp_path) as (here, there):
        here.wire.write(b"last" * 1000)
        here.wire.close()
        here.wire.close()
        await there.until(lambda me: bool(me.losses))
        await here.until(lambda me: bool(me.losses))
        assert there.data == b"last" * 1000
        assert here.losses == there.losses == [None]


@EACH
async def test_a_reset_is_told_once(pair: Make, tmp_path: Path) -> None:
    """Also while much is under way."""
    async with pair(tmp_path) as (here, there):
        there.wire.pause_reading()
        here.wire.write(b"x" * 100_000)
        here.wire.abort()
        there.wire.resume_reading()
        await there.until(lambda me: bool(me.losses))
        await here.until(lambda me: bool(me.losses))
        assert len(there.losses) == len(here.losses) == 1


@EACH
async def test_a_stalled_reader_holds_its_writer_back(pair: Make, tmp_path: Path) -> None:
    """The writer is told to pause, and to go on when the other side reads again; nothing is lost."""
    size = 5_000_000 if pair in {over_unix, over_tcp_with_tls} else 70_000
    async with pair(tmp_path) as (here, there):
        there.wire.pause_reading()
        here.wire.write(b"x" * size)
        assert here.paused
        there.wire.resume_reading()
        await there.until(lambda me: len(me.data) == size)
        await here.until(lambda me: not me.paused)
        assert here.pauses == 1


@EACH
async def test_an_end_that_is_cut_is_told(pair: Make, tmp_path: Path) -> None:
    """With TLS the end must be said in it: bytes that stop are an error."""
    async with pair(tmp_path) as (here, there):
        here.wire.abort()
        await there.until(lambda me: bool(me.losses))
        assert len(there.losses) == 1
        if pair in {tls_a_byte_at_a_time, over_tcp_with_tls}:
            assert isinstance(there.losses[0], ConnectionResetError)


@EACH
async def test_half_an_end_is_a_whole_one(pair: Make, tmp_path: Path) -> None:
    """Who says no more is ended by the other side once all is heard: a half-open connection holds nobody.

    With TLS, whose end must be said in it, that is a cut to both.
    """
    async with pair(tmp_path) as (here, there):
        here.wire.write(b"last" * 1000)
        getattr(here.wire, "_wire", here.wire).write_eof()
        await there.until(lambda me: bool(me.losses))
        await here.until(lambda me: bool(me.losses))
        assert there.data == b"last" * 1000
        kind = ConnectionResetError if pair in {tls_a_byte_at_a_time, over_tcp_with_tls} else type(None)
        assert [type(loss) for loss in (*here.losses, *there.losses)] == [kind, kind]


@pytest.mark.parametrize("pair", [tls_a_byte_at_a_time, over_tcp_with_tls], ids=lambda one: one.__name__)
async def test_half_an_end_that_is_said_in_tls_is_orderly(pair: Make, tmp_path: Path) -> None:
    """The other side answers with its own word for it, and both end without an error."""
    async with pair(tmp_path) as (here, there):
        here.wire.write(b"last" * 1000)
        tls = here.wire
        assert isinstance(tls, Tls)
        assert tls._tls is not None
        with suppress(ssl.SSLWantReadError):
            tls._tls.unwrap()
        tls._flush()
        await there.until(lambda me: bool(me.losses))
        await here.until(lambda me: bool(me.losses))
        assert there.data == b"last" * 1000
        assert here.losses == there.losses == [None]


class Listener:
    """An owner of a link that keeps what it hears."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.errors: list[Exception | None] = []

    def opened(self, link: Link) -> None:
        pass

    def ready(self, link: Link) -> None:
        pass

    def heard(self, link: Link, frame: Frame) -> None:
        self.frames.append(frame)

    def ended(self, link: Link, error: Exception | None) -> None:
        self.errors.append(error)


@pytest.mark.parametrize("chunk", [1, 7, 1 << 16])
async def test_messages_survive_split_frames(chunk: int) -> None:
    """Numbered ones and those of the connection, cut anywhere, come out whole and in order."""
    said: list[Message] = [Entered("READY", {"a": [1, 2]}), Chunk(0, 5, b"12345"), Fetch()]
    owner, dialogue = Listener(), Dialogue()
    here, there = Link(Listener()), Link(owner)
    memory_pair(here, there, Faults(chunk=chunk))
    for message in said:
        dialogue.say(message)
    here.flush(dialogue)
    here.send(Bye())
    here.close()
    await there.closed()
    assert owner.frames == [*(Frame(seq, message) for seq, message in enumerate(said)), Frame(None, Bye())]
    assert owner.errors == [None]
