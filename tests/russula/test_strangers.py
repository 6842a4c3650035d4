"""Does whoever has no business here get nothing, cost nothing, and hold nobody up?"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.protocols import CLIENT, SERVER, NetbenchServer
from russula import Coordinator, Credentials, Target
from russula import worker as worker_module
from russula.bulk import MAX_FILE, Piece
from russula.codec import Decoder, encode
from russula.credentials import COORDINATOR, issue
from russula.errors import WorkerLost
from russula.link import hello
from russula.messages import Chunk, Entered, Fetch, Fetched, File, Frame, Hello, Message, Ping, Refused
from russula.talk import CLOSING
from russula.tls import for_workers
from russula.transport import listen, parse
from russula.worker import FIRST_MESSAGE, STRANGERS, Reception
from tests.russula.enemy import Sink, speak
from tests.russula.rooms import Room, Wrong, dials, in_virtual_time, the_loop
from tests.russula.sides import SERVES, Worker

HOUR = timedelta(hours=1)
RUN, OTHER = issue("run", ["w0"], HOUR), issue("other", ["w0"], HOUR)
MANY = 1000
HELLO = encode(Frame(None, hello(SERVER, "r", "w0", "c", attempt=1, lease_ms=1000)))


@asynccontextmanager
async def receiving(folder: Path) -> AsyncIterator[tuple[str, Reception, Worker]]:
    """A worker of RUN over TCP, and what it has inside."""
    worker = Worker(SERVES)
    reception = Reception({SERVER: worker.service}, folder)
    async with listen("tcp://127.0.0.1:0", reception.accept, for_workers(RUN["w0"])) as address:
        try:
            yield address, reception, worker
        finally:
            await reception.end()


async def drive(address: str, folder: Path) -> None:
    """The rightful coordinator's way, to the end."""
    target = Target("w0", address, folder / "results", pin=RUN["w0"].fingerprint)
    connecting = Coordinator[NetbenchServer].connect(
        SERVER, [target], run="r", deadline=20, credentials=RUN[COORDINATOR]
    )
    async with connecting as group:
        await group.run_till(NetbenchServer.DONE)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  only how many


def within(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def presenting(mine: Credentials | None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """Who shows this certificate, and takes any."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode, made.maximum_version = False, ssl.CERT_NONE, newest
    if mine is not None:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(mine.key + mine.chain)
            file.flush()
            made.load_cert_chain(file.name)
    return made


STRANGE = {
    "none": presenting(None),
    "another run's": presenting(OTHER[COORDINATOR]),
    "another run's worker": presenting(OTHER["w0"]),
    "a worker's, as a coordinator": presenting(RUN["w0"]),
    "right, but TLS 1.2": presenting(RUN[COORDINATOR], ssl.TLSVersion.TLSv1_2),
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
async def test_without_a_coordinators_certificate_of_this_run_nothing_is_heard(
    strange: ssl.SSLContext, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A closed connection, even for who says hello at once: no line, no conversation, no folder, no descriptor."""
    caplog.set_level(logging.DEBUG)
    async with receiving(tmp_path) as (address, reception, worker):
        await drive(address, tmp_path)
        caplog.clear()
        before, folders = descriptors(), within(tmp_path)
        host, port = parse_tcp(address)
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(host, port, ssl=strange)
            writer.write(HELLO)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
        await drive(address, tmp_path)
        assert not reception._strangers
        assert len(worker.talks) == 2
        assert within(tmp_path) == folders
        assert descriptors() == before
    assert not [one for one in caplog.records if one.levelno > logging.INFO]


async def test_the_same_hello_is_heard_from_the_rightful(tmp_path: Path) -> None:
    """What the test above says and isn't heard is answered where the certificate is right."""
    async with receiving(tmp_path) as (address, _, worker):
        reader, writer = await asyncio.open_connection(*parse_tcp(address), ssl=presenting(RUN[COORDINATOR]))
        writer.write(HELLO)
        assert b"hello" in await reader.read(100)
        assert len(worker.talks) == 1
        writer.close()


def parse_tcp(address: str) -> tuple[str, int]:
    where = parse(address)
    assert isinstance(where, tuple)
    return where


@pytest.fixture
def _room() -> Iterator[None]:
    """Descriptors for many connections, both ends in this process, where its limit may be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, 2 * MANY) if soft != resource.RLIM_INFINITY else soft
    if hard != resource.RLIM_INFINITY and wanted > hard:
        pytest.skip(f"no more than {hard} descriptors for a process here (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_room")
async def test_a_thousand_half_open_connections_hold_nobody_up(tmp_path: Path) -> None:
    """Beside them the rightful coordinator is served; no more than the limit is kept, and in the end nothing."""
    async with receiving(tmp_path) as (address, reception, worker):
        await drive(address, tmp_path)
        before = descriptors()
        with ExitStack() as opened:
            for _ in range(MANY):
                one = opened.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(parse_tcp(address))
                await asyncio.sleep(0)
            await drive(address, tmp_path)
            assert len(reception._strangers) <= STRANGERS
            assert len(worker.talks) == 2
        await drive(address, tmp_path)
        for link in list(reception._strangers):
            reception._turn_away(link)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert descriptors() == before


async def test_who_has_a_certificate_and_says_nothing_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same behind the handshake, which only this run's can pass."""
    monkeypatch.setattr(worker_module, "STRANGERS", 5)
    rightful = presenting(RUN[COORDINATOR])
    async with receiving(tmp_path) as (address, reception, worker):
        silent = [await asyncio.open_connection(*parse_tcp(address), ssl=rightful) for _ in range(12)]
        await drive(address, tmp_path)
        assert len(reception._strangers) <= 5
        assert len(worker.talks) == 1
        for _, writer in silent:
            writer.close()


def test_a_byte_a_second_is_ended_in_time(tmp_path: Path) -> None:
    """Who takes longer than it may for its hello is ended, however busy it seems; others are served meanwhile."""

    async def main() -> None:
        room, worker = Room(tmp_path), Worker(SERVES)
        room.worker(SERVER, worker)
        wire = Sink()
        link = room.receptions["w0"].accept(wire)
        link.connection_made(wire)
        for number, byte in enumerate(HELLO):
            if wire.closed:
                break
            link.data_received(bytes([byte]))
            await asyncio.sleep(1)
            if number == 3:
                async with room.drive(SERVER, room.target()) as group:
                    await group.run_till(NetbenchServer.DONE)
        assert the_loop().time() == FIRST_MESSAGE
        assert not room.receptions["w0"]._strangers
        assert len(worker.talks) == 1

    in_virtual_time(main)


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_nothing_but_tls_ends_a_handshake_quietly(said: list[bytes]) -> None:
    """Any bytes in place of one are taken without an error of our own, and reach nobody."""

    class Never(asyncio.Protocol):
        def connection_made(self, _: asyncio.BaseTransport) -> None:
            raise AssertionError("it was let in")

    wire, secret = Sink(), for_workers(RUN["w0"])(Never())
    secret.connection_made(wire)
    for piece in said:
        if not wire.closed:
            secret.data_received(piece)
    secret.connection_lost(None)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (File("../x", 1, ""), "file '../x' of 1 bytes refused"),
        (File("x", MAX_FILE + 1, ""), f"file 'x' of {MAX_FILE + 1} bytes refused"),
        (Chunk(0, 1, b"x"), "a chunk at 0 that belongs to no file"),
        (Entered("GO", {}), "netbench-server has no state 'GO'"),
        (Entered("STOP", {}), "the peer announced STOP after CHECK"),
        (Fetched(0), "Fetched isn't for a worker"),
        (hello(SERVER, "r", "w0", "c", attempt=2), "Hello isn't for a worker here"),
        (Refused("no"), "Refused isn't for a worker here"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_a_coordinator_may_not_ask_is_refused_by_name(tmp_path: Path, message: Message, words: str) -> None:
    """It is told why, its conversation is ended, and nothing is written anywhere."""

    async def main() -> None:
        room, worker, wire = Room(tmp_path), Worker(SERVES), Sink()
        room.worker(SERVER, worker)
        link = room.receptions["w0"].accept(wire)
        link.connection_made(wire)
        link.data_received(HELLO)
        await asyncio.sleep(1)
        seq = None if isinstance(message, Hello | Refused) else 1
        link.data_received(encode(Frame(0, Entered("CHECK", {}))))
        link.data_received(encode(Frame(seq, message)))
        await asyncio.sleep(1)
        told = [one.message for one in Decoder().feed(bytes(wire.said))]
        assert [one.reason for one in told if isinstance(one, Refused)] == [words]
        assert wire.closed
        assert worker.left == 1
        assert [line["detail"] for line in room.lines if line["event"] == "refused"] == [words]

    in_virtual_time(main)
    assert within(tmp_path) == []


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Entered("ASLEEP", {}), "netbench-server has no state 'ASLEEP'"),
        (Entered("DONE", {}), "the peer announced DONE after WAIT"),
        (Chunk(0, 1, b"x"), "a chunk at 0 that belongs to no file"),
        (Fetched(1), "0 of 1 files came"),
        (Fetch(), "Fetch isn't for a coordinator"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_a_worker_may_not_say_is_refused_by_name(tmp_path: Path, message: Message, words: str) -> None:
    """Its coordinator gives it up, and says which worker it was and what it did."""

    async def main() -> None:
        room, speaking = Room(tmp_path), []

        async def dial(_: str, link: Any, __: Any) -> asyncio.BaseTransport:
            wire = Sink()
            said = hello(SERVER, "r", "w0", link.owner.conversation, attempt=link.owner._reach.tries)
            pieces = [encode(Frame(None, said)), encode(Frame(0, message))]
            speaking.append(asyncio.ensure_future(speak(link, wire, iter(pieces))))
            return wire

        with pytest.raises(WorkerLost, match=f"w0.*{words}"):
            async with room.drive(SERVER, room.target(), dial=dial, deadline=3, lease=1) as group:
                await group.run_till(NetbenchServer.DONE, deadline=3)
        await asyncio.gather(*speaking)

    in_virtual_time(main)


@pytest.mark.parametrize("data", [{}, {"instant_ns": "soon"}, {"instant_ns": True}, {"instant_ns": 0.5}], ids=str)
def test_an_instant_is_a_whole_number(tmp_path: Path, data: dict[str, Any]) -> None:
    """A client that is told to begin at anything else refuses, and says so."""

    async def main() -> None:
        room, wire = Room(tmp_path), Sink()
        room.worker(CLIENT, Worker(dials(Wrong(), {})))
        link = room.receptions["w0"].accept(wire)
        link.connection_made(wire)
        link.data_received(encode(Frame(None, hello(CLIENT, "r", "w0", "c", attempt=1, lease_ms=1000))))
        await asyncio.sleep(1)
        link.data_received(encode(Frame(0, Entered("GO", data))))
        assert b"GO without an instant" in wire.said
        assert wire.closed

    in_virtual_time(main)


def test_a_replayed_message_is_refused(tmp_path: Path) -> None:
    """Each number comes once."""

    async def main() -> None:
        room, wire = Room(tmp_path), Sink()
        room.worker(SERVER, Worker(SERVES))
        link = room.receptions["w0"].accept(wire)
        link.connection_made(wire)
        check = encode(Frame(0, Entered("CHECK", {})))
        link.data_received(HELLO)
        await asyncio.sleep(1)
        link.data_received(check + check)
        assert b"message 0 came where 1 was due" in wire.said
        await asyncio.sleep(1)
        assert room.entered() == ["WAIT", "READY", "FAILED"]

    in_virtual_time(main)


def test_who_asks_and_does_not_read_is_refused(tmp_path: Path) -> None:
    """Answers that nobody takes aren't kept without end."""

    async def main() -> None:
        room, wire = Room(tmp_path), Sink()
        room.worker(SERVER, Worker(SERVES))
        link = room.receptions["w0"].accept(wire)
        link.connection_made(wire)
        link.data_received(HELLO)
        link.pause_writing()
        ping = encode(Frame(None, Ping(1)))
        for _ in range(1000):
            if not wire.closed:
                link.data_received(ping * 100)
        assert wire.closed
        assert len(wire.said) < 10_000
        assert b"doesn't read" in wire.said
        await asyncio.sleep(CLOSING)
        assert wire.aborted  # else its last words would wait for ever, and the descriptor with them
        assert not room.receptions["w0"]._talks

    in_virtual_time(main)


def test_a_file_that_can_not_be_read_ends_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its coordinator is told, and the worker doesn't wait for it to hang up."""

    def torn(_: Piece) -> Chunk:
        raise OSError(5, "Input/output error")

    async def main() -> None:
        room, worker, wire = Room(tmp_path), Worker(SERVES), Sink()
        room.worker(SERVER, worker)
        link = room.receptions["w0"].accept(wire)
        link.connection_made(wire)
        link.data_received(HELLO)
        await asyncio.sleep(1)
        (worker.talks[0].outbox / "result").write_bytes(b"x")
        link.data_received(encode(Frame(0, Entered("CHECK", {}))) + encode(Frame(1, Fetch())))
        await asyncio.sleep(1)
        assert b"a file can't be sent: [Errno 5] Input/output error" in wire.said
        assert wire.closed
        assert not room.receptions["w0"]._talks

    monkeypatch.setattr(Piece, "load", torn)
    in_virtual_time(main)


def test_a_strangers_link_is_forgotten_however_it_ends(tmp_path: Path) -> None:
    """Reset, closed, or with a half hello: nothing of it stays."""

    async def main() -> None:
        room = Room(tmp_path)
        room.worker(SERVER, Worker(SERVES))
        reception = room.receptions["w0"]
        for said, end in ((b"", None), (HELLO[:9], None), (HELLO[:9], ConnectionResetError("reset"))):
            wire = Sink()
            link = reception.accept(wire)
            link.connection_made(wire)
            link.data_received(said)
            link.connection_lost(end)
        assert not reception._strangers
        assert len(asyncio.all_tasks()) == 1

    in_virtual_time(main)
