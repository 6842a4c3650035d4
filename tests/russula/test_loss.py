"""What is left of a conversation when its connections break? All of it, up to the lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.protocols import CLIENT, SERVER, NetbenchClient, NetbenchServer
from russula import Conversation, Credentials, DeadlineExceeded
from russula.bulk import Piece
from russula.codec import MAX_CHUNK
from russula.credentials import COORDINATOR, issue
from russula.link import HELD
from russula.messages import Chunk
from russula.reaching import PAUSE, PAUSE_MOST
from tests.russula.rooms import LEASE, Room, Wrong, dials, in_virtual_time, the_loop
from tests.russula.sides import (
    DIALS,
    SERVES,
    Act,
    Worker,
    at_once,
    clients,
    for_ever,
    listening,
    servers,
    target,
    till_the_instant,
)
from tests.russula.wires import Cutter, cutting

ISSUED = issue("r", ["w0"], timedelta(hours=1))
EACH = pytest.mark.parametrize("issued", [{}, ISSUED], ids=["unix", "tcp"])
Issued = Mapping[str, Credentials]
SERVED = ["WAIT", "READY", "STARTING", "RUNNING", "STOPPING", "STOPPED", "DONE"]
DIALLED = ["WAIT", "READY", "STARTING", "ARMED", "RUNNING", "STOPPED", "DONE"]
MB = 1_000_000


@asynccontextmanager
async def between(folder: Path, worker: Worker, cutter: Cutter, issued: Issued) -> AsyncIterator[str]:
    """The address of a cutter with this worker behind it."""
    async with listening(folder, worker, credentials=issued.get("w0")) as there:
        async with cutting(folder, there, cutter) as here:
            yield here


def with_results(size: int) -> Worker:
    """A server that leaves a file of this size."""

    async def stop(talk: Conversation) -> None:
        (talk.outbox / "result").write_bytes(b"y" * size)

    return Worker({**SERVES, NetbenchServer.STOPPING: stop})


async def a_server_goes_all_the_way(folder: Path, cutter: Cutter, issued: Issued, size: int) -> tuple[int, int]:
    """With a file of this size each way, each state entered once; bytes sent and received."""
    (folder / "file").write_bytes(b"x" * size)
    worker, files = with_results(size), {"file": folder / "file"}
    async with between(folder, worker, cutter, issued) as address:
        one = target(address, folder, files=lambda: files)
        async with servers([one], credentials=issued.get(COORDINATOR)) as group:
            await group.run_till(NetbenchServer.RUNNING, deadline=30)
            assert (worker.talks[0].inbox / "file").read_bytes() == b"x" * size
            await group.run_till(NetbenchServer.DONE, deadline=30)
            view = group.snapshot().workers["w0"]
    assert [state.name for state in view.history] == SERVED
    assert len(worker.talks) == 1
    assert (folder / "results/w0/result").read_bytes() == b"y" * size
    return view.bytes_sent, view.bytes_received


def lasting(stopped: list[float]) -> Act:
    """An action that lasts until it is stopped, and says when that was."""

    async def act(talk: Conversation) -> None:
        try:
            await for_ever(talk)
        finally:
            stopped.append(the_loop().time())

    return act


@EACH
@pytest.mark.parametrize("after", [0, 1, 100, 300, 3000, 200_000])
@pytest.mark.parametrize("way", ["to_worker", "to_coordinator"])
async def test_a_connection_cut_anywhere_is_resumed(tmp_path: Path, way: str, after: int, issued: Issued) -> None:
    """In a handshake, a hello, a message, a file: the same conversation goes on, and nothing is lost or taken twice."""
    cutter = Cutter(way, after)
    await a_server_goes_all_the_way(tmp_path, cutter, issued, size=300_000)
    assert cutter.connections == 2


@EACH
@pytest.mark.parametrize("way", ["to_worker", "to_coordinator"])
async def test_a_file_is_resumed_in_its_middle(tmp_path: Path, way: str, issued: Issued) -> None:
    """What arrived isn't sent again: only what was under way is."""
    cutter = Cutter(way, 6 * MB)
    for carried in await a_server_goes_all_the_way(tmp_path, cutter, issued, size=8 * MB):
        assert carried < 12 * MB
    assert cutter.connections == 2


LEAD = 1.0
"""Seconds in which a worker hears of the start instant, also on a busy machine."""


@EACH
@pytest.mark.parametrize("rest", [NetbenchClient.READY, NetbenchClient.ARMED, NetbenchClient.STOPPED], ids=str)
async def test_a_cut_between_commands_is_not_noticed(tmp_path: Path, rest: NetbenchClient, issued: Issued) -> None:
    """The next command goes over the next connection; silence was kept."""
    cutter = Cutter()
    async with between(tmp_path, Worker(DIALS), cutter, issued) as address:
        async with clients([target(address, tmp_path)], credentials=issued.get(COORDINATOR), lead=LEAD) as group:
            await group.run_till(rest)
            cutter.cut()
            await asyncio.wait_for(cutter.again.wait(), 10)
            await group.run_till(NetbenchClient.DONE)
            view = group.snapshot().workers["w0"]
    assert [state.name for state in view.history] == DIALLED
    assert (view.resumed, view.silent_bytes) == (1, 0)


@EACH
async def test_a_cut_in_the_silent_window_is_resumed_and_counted(tmp_path: Path, issued: Issued) -> None:
    """The round goes on to its end, and says that its silence was broken."""
    cutter = Cutter()

    async def run(talk: Conversation) -> Mapping[str, Any]:
        began = await till_the_instant(talk)
        cutter.cut()
        await asyncio.wait_for(cutter.again.wait(), 10)
        return began

    worker = Worker({**DIALS, NetbenchClient.RUNNING: run})
    async with between(tmp_path, worker, cutter, issued) as address:
        async with clients([target(address, tmp_path)], credentials=issued.get(COORDINATOR), lead=LEAD) as group:
            await group.run_till(NetbenchClient.DONE)
            view = group.snapshot().workers["w0"]
    assert [state.name for state in view.history] == DIALLED
    assert view.resumed == 1
    assert view.silent_bytes > 0


@pytest.mark.parametrize("acting", [NetbenchServer.STARTING, NetbenchServer.RUNNING], ids=str)
def test_a_worker_goes_on_for_as_long_as_the_lease(tmp_path: Path, acting: NetbenchServer) -> None:
    """Without its coordinator it stops its driver when the lease, counted from the connection's end, is over: then."""

    async def main() -> None:
        room, stopped = Room(tmp_path), list[float]()
        worker = Worker({**SERVES, acting: lasting(stopped)})
        room.worker(SERVER, worker)
        async with room.drive(SERVER, room.target()) as group:
            driving = asyncio.ensure_future(group.run_till(NetbenchServer.RUNNING, deadline=3600))
            await asyncio.sleep(10)
            room.network.isolate()
            await asyncio.sleep(LEASE - 0.001)
            assert not stopped
            await asyncio.sleep(0.002)
            assert stopped == [10 + LEASE]
            driving.cancel()
        assert worker.left == 1
        assert room.lines[-1]["detail"] == f"lease: no connection for {LEASE:g} s"

    in_virtual_time(main)


def test_whoever_comes_back_within_the_lease_finds_it_running(tmp_path: Path) -> None:
    """Nothing is stopped, and nothing begun again."""

    async def main() -> None:
        room, stopped = Room(tmp_path), list[float]()
        room.worker(SERVER, Worker({**SERVES, NetbenchServer.RUNNING: lasting(stopped)}))
        async with room.drive(SERVER, room.target()) as group:
            await group.run_till(NetbenchServer.RUNNING)
            room.cut_off("w0", LEASE - 0.6)
            await asyncio.sleep(100)
            assert not stopped
            await group.run_till(NetbenchServer.DONE)
            assert group.snapshot().workers["w0"].resumed == 1
        assert stopped == [100]
        assert room.entered() == SERVED

    in_virtual_time(main)


def test_who_refuses_at_first_is_tried_again_with_growing_pauses(tmp_path: Path) -> None:
    """From a few milliseconds to half a second, each shortened by chance; and is served in the end."""

    async def main() -> None:
        room, tried = Room(tmp_path), []
        room.worker(SERVER, Worker(SERVES))

        async def dial(*given: Any) -> asyncio.BaseTransport:
            tried.append(the_loop().time())
            if len(tried) < 20:
                raise ConnectionRefusedError("not yet")
            return await room.network.dial(*given)

        async with room.drive(SERVER, room.target(), dial=dial) as group:
            await group.run_till(NetbenchServer.DONE)
        pauses = [after - before for before, after in pairwise(tried)]
        due = [min(PAUSE * 2**number, PAUSE_MOST) for number in range(19)]
        assert len(pauses) == 19
        assert all(most / 2 <= pause <= most + 1e-9 for pause, most in zip(pauses, due, strict=True))
        assert len({pause / most for pause, most in zip(pauses, due, strict=True)}) > 10

    in_virtual_time(main)


def test_who_ends_every_connection_is_not_tried_without_end(tmp_path: Path) -> None:
    """A worker that greets and hangs up is tried with the same pauses, up to the deadline, and is named."""

    async def main() -> None:
        room = Room(tmp_path)
        room.worker(SERVER, Worker({**SERVES, NetbenchServer.STARTING: for_ever}))
        with pytest.raises(DeadlineExceeded, match="w0 is STARTING"):
            async with room.drive(SERVER, room.target()) as group:
                driving = asyncio.ensure_future(group.run_till(NetbenchServer.RUNNING, deadline=60))
                while not driving.done():
                    room.cut_off("w0", 0)
                    await asyncio.sleep(0.001)
                await driving
        assert room.network.connections < 60 / (PAUSE_MOST / 2) + 20

    in_virtual_time(main)


def test_a_reader_that_stalls_holds_a_file_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a worker doesn't read, hardly more of its file is read than a connection holds; the rest comes later."""
    loads, load = list[int](), Piece.load

    def noted(piece: Piece) -> Chunk:
        loads.append(piece.offset)
        return load(piece)

    monkeypatch.setattr(Piece, "load", noted)
    (tmp_path / "file").write_bytes(b"z" * 10 * MB)

    async def main() -> None:
        room, worker = Room(tmp_path), Worker({**SERVES, NetbenchServer.STARTING: at_once})
        room.worker(SERVER, worker)
        async with room.drive(SERVER, room.target(files=lambda: {"file": tmp_path / "file"})) as group:
            await group.run_till(NetbenchServer.READY)
            (end,) = room.network._listeners["memory:w0"][1]
            end.pause_reading()
            driving = asyncio.ensure_future(group.run_till(NetbenchServer.RUNNING, deadline=3600))
            await asyncio.sleep(600)
            assert len(loads) * MAX_CHUNK <= 2 * HELD
            end.resume_reading()
            await driving
            assert (worker.talks[0].inbox / "file").read_bytes() == b"z" * 10 * MB
        assert len(loads) == -(-10 * MB // MAX_CHUNK)

    in_virtual_time(main)


def test_agreed_starts_survive_a_lossy_network(tmp_path: Path) -> None:
    """A connection that breaks between measuring and the instant changes nothing about when they begin."""

    async def main() -> None:
        room, began = Room(tmp_path), dict[str, int]()
        for name in ("w0", "w1"):
            room.worker(CLIENT, Worker(dials(Wrong(), began)), name)
        async with room.drive(CLIENT, *map(room.target, ("w0", "w1")), lead=3) as group:
            await group.run_till(NetbenchClient.RUNNING)
            room.cut_off("w0", 0.5)
            await group.run_till(NetbenchClient.DONE)
            assert set(began.values()) == {group.instant_ns}
            assert group.silent_bytes > 0

    in_virtual_time(main)
