"""Is each fault gone that the system before this one had? Its coordination; one test a fault."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.protocols import CLIENT, SERVER, NetbenchClient, NetbenchServer
from russula import (
    ActionFailed,
    AddressError,
    Conversation,
    DeadlineExceeded,
    LocalProtocolError,
    WorkerFailed,
    WorkerLost,
    serve,
)
from russula.codec import MAX_CONTROL
from russula.coordinator import CLOSING
from russula.credentials import issue
from russula.reaching import TRY
from russula.testing import Faults
from russula.tls import for_workers
from russula.transport import listen
from tests.russula.rooms import Room, Wrong, dials, in_virtual_time, the_loop
from tests.russula.sides import DIALS, SERVES, Worker, for_ever, listening, servers, target

NAMES = ("w2", "w0", "w1")


class Mute(asyncio.Protocol):
    """Accepts, and never says anything."""


def test_connects_go_all_at_once(tmp_path: Path) -> None:
    """(18) No connection is begun after another was made: each waits here until all were begun."""

    async def main() -> None:
        room, all_began = Room(tmp_path), asyncio.Barrier(len(NAMES))
        for name in NAMES:
            room.worker(SERVER, Worker(SERVES), name)

        async def dial(*given: Any) -> asyncio.BaseTransport:
            await all_began.wait()
            return await room.network.dial(*given)

        async with room.drive(SERVER, *map(room.target, NAMES), dial=dial) as group:
            await group.run_till(NetbenchServer.READY)

    in_virtual_time(main)


def test_a_worker_that_does_not_answer_delays_nobody(tmp_path: Path) -> None:
    """(16) Every other worker is READY before the silent one is given up, and it alone is named."""

    async def main() -> None:
        room = Room(tmp_path)
        for name in ("w0", "w2"):
            room.worker(SERVER, Worker(SERVES), name)
        room.network.listen("memory:w1", lambda _: Mute())
        with pytest.raises(DeadlineExceeded) as caught:
            async with room.drive(SERVER, *map(room.target, sorted(NAMES)), deadline=60):
                pass
        heard = [line["worker"] for line in room.lines if line["event"] == "entered" and line["state"] == "READY"]
        assert sorted(heard) == ["w0", "w2"]
        assert str(caught.value).count("doesn't answer") == 1
        assert "w1 doesn't answer at memory:w1" in str(caught.value)
        assert the_loop().time() <= 61

    in_virtual_time(main)


@pytest.mark.parametrize("silent_after", ["READY", "STARTING"])
def test_a_peer_that_falls_silent_is_named_by_the_deadline(tmp_path: Path, silent_after: str) -> None:
    """(17) Whoever stops in the middle is named, with the state in which it stays; the others go on."""

    async def main() -> None:
        room = Room(tmp_path)
        for name in NAMES:
            hangs = name == "w1" and silent_after == "STARTING"
            acts = {**SERVES, NetbenchServer.STARTING: for_ever} if hangs else SERVES
            room.worker(SERVER, Worker(acts), name)
        with pytest.raises(DeadlineExceeded, match=f"1 of 3 workers aren't RUNNING: w1 is {silent_after} since"):
            async with room.drive(SERVER, *map(room.target, NAMES)) as group:
                await group.run_till(NetbenchServer.READY)
                if silent_after == "READY":
                    room.stall("w1")
                began = the_loop().time()
                try:
                    await group.run_till(NetbenchServer.RUNNING, deadline=7)
                finally:
                    assert the_loop().time() <= began + 8
                    assert {name for name in NAMES if "RUNNING" in room.entered(name)} >= {"w0", "w2"}

    in_virtual_time(main)


@pytest.mark.parametrize(
    ("protocol", "acts", "rest"),
    [
        (SERVER, SERVES, NetbenchServer.READY),
        (SERVER, SERVES, NetbenchServer.RUNNING),
        (SERVER, SERVES, NetbenchServer.STOPPED),
        (CLIENT, DIALS, NetbenchClient.ARMED),
    ],
    ids=["servers READY", "servers RUNNING", "servers STOPPED", "clients ARMED"],
)
def test_nothing_is_sent_while_nothing_changes(tmp_path: Path, protocol: Any, acts: Any, rest: Any) -> None:
    """(19) No poll, no heartbeat, nothing said again: in an hour in any state that waits, not a byte."""

    async def main() -> None:
        room = Room(tmp_path)
        room.worker(protocol, Worker(acts))
        async with room.drive(protocol, room.target()) as group:
            await group.run_till(rest)
            before = group.snapshot().workers["w0"]
            await asyncio.sleep(3600)
            assert group.snapshot().workers["w0"] == before

    in_virtual_time(main)


def test_nothing_is_sent_while_a_worker_is_busy(tmp_path: Path) -> None:
    """(24) A coordinator that waits for a state is told of it, once, and asks for nothing meanwhile."""

    async def main() -> None:
        room, seen = Room(tmp_path), []

        async def start(_: Conversation) -> None:
            await asyncio.sleep(1)
            seen.append(room_view())
            await asyncio.sleep(3600)
            seen.append(room_view())

        def room_view() -> tuple[int, int]:
            view = group.snapshot().workers["w0"]
            return view.bytes_sent, view.bytes_received

        room.worker(SERVER, Worker({**SERVES, NetbenchServer.STARTING: start}))
        async with room.drive(SERVER, room.target()) as group:
            await group.run_till(NetbenchServer.RUNNING, deadline=7200)
        assert seen[0] == seen[1]
        assert room.entered().count("RUNNING") == 1

    in_virtual_time(main)


def test_no_phase_has_a_pause(tmp_path: Path) -> None:
    """(27) Where nothing takes time, a whole conversation takes none."""

    async def main() -> None:
        room = Room(tmp_path)
        for name in NAMES:
            room.worker(SERVER, Worker(SERVES), name)
        async with room.drive(SERVER, *map(room.target, NAMES)) as group:
            await group.run_till(NetbenchServer.DONE)
            assert the_loop().time() == 0

    in_virtual_time(main)


@pytest.mark.parametrize("rest", [NetbenchServer.READY, NetbenchServer.RUNNING, NetbenchServer.DONE], ids=str)
def test_every_wait_has_a_deadline(tmp_path: Path, rest: NetbenchServer) -> None:
    """(17) With a network that carries nothing any more, every call returns, in time that was agreed on."""

    async def main() -> None:
        room = Room(tmp_path)
        room.worker(SERVER, Worker({**SERVES, NetbenchServer.STOPPING: for_ever}))
        with pytest.raises((DeadlineExceeded, WorkerLost)):
            async with room.drive(SERVER, room.target(), lease=3600) as group:
                if rest is not NetbenchServer.DONE:
                    await group.run_till(rest)
                    room.network.isolate()
                await group.run_till(NetbenchServer.DONE, deadline=30)
        assert the_loop().time() <= 40

    in_virtual_time(main)


def test_a_worker_that_accepts_and_is_mute_is_tried_again(tmp_path: Path) -> None:
    """(17) One silent connection isn't the end: the next try is served, well before the deadline."""

    async def main() -> None:
        room, worker = Room(tmp_path), Worker(SERVES)
        room.worker(SERVER, worker)
        served = room.network._listeners.pop("memory:w0")
        room.network.listen("memory:w0", lambda _: Mute())
        the_loop().call_later(TRY / 2, lambda: room.network._listeners.update({"memory:w0": served}))
        async with room.drive(SERVER, room.target()) as group:
            await group.run_till(NetbenchServer.DONE)
        assert room.network.connections == 2

    in_virtual_time(main)


async def test_an_address_in_use_is_an_error_with_words(tmp_path: Path) -> None:
    """(21) No panic: the address is named, and whoever has it keeps it and is still served by it."""
    async with listening(tmp_path, Worker(SERVES)) as address:
        with pytest.raises(AddressError, match=r"somebody listens at .*/w/s"):
            await serve(address, {}, directory=tmp_path)
        async with servers([target(address, tmp_path)]) as group:
            await group.run_till(NetbenchServer.DONE)


async def test_a_port_in_use_is_an_error_with_words(tmp_path: Path) -> None:
    """(21) The kernel's own, with the address."""
    mine = issue("r", ["w"], timedelta(hours=1))["w"]
    async with listen("tcp://127.0.0.1:0", lambda _: Mute(), for_workers(mine)) as address:
        with pytest.raises(OSError, match=r"'127.0.0.1', \d+\): address already in use"):
            await serve(address, {}, directory=tmp_path, credentials=mine)


async def test_what_a_dead_worker_left_is_in_nobodys_way(tmp_path: Path) -> None:
    """(21) A socket on which nobody listens any more is replaced."""
    (tmp_path / "w").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{tmp_path}/w/s")
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(f"unix:{tmp_path}/w/s", {}, directory=tmp_path, ready=ready.set_result))
    assert await ready == f"unix:{tmp_path}/w/s"
    task.cancel()
    await asyncio.wait([task])


async def test_what_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    """(21) An address that names a file of somebody's is an error, and the file stays."""
    (tmp_path / "thesis").write_text("years of work")
    with pytest.raises(AddressError, match="thesis"):
        await serve(f"unix:{tmp_path}/thesis", {}, directory=tmp_path)
    assert (tmp_path / "thesis").read_text() == "years of work"


@pytest.mark.parametrize("size", [1 << 16, MAX_CONTROL - 1000])
async def test_a_length_is_never_truncated(tmp_path: Path, size: int) -> None:
    """(20) An order longer than 16 bits can say arrives whole."""
    worker = Worker(SERVES)
    async with listening(tmp_path, worker) as address:
        async with servers([target(address, tmp_path, order=lambda: {"text": "x" * size})]) as group:
            await group.run_till(NetbenchServer.RUNNING)
    assert worker.talks[0].order == {"text": "x" * size}


async def test_a_length_over_the_limit_is_refused(tmp_path: Path) -> None:
    """(20) It isn't sent in part: the caller is told, and the worker ends well."""
    worker = Worker(SERVES)
    async with listening(tmp_path, worker) as address:
        with pytest.raises(LocalProtocolError, match=f"at most {MAX_CONTROL} may be sent"):
            async with servers([target(address, tmp_path, order=lambda: {"text": "x" * MAX_CONTROL})]) as group:
                await group.run_till(NetbenchServer.RUNNING)
    assert worker.left == 1


async def test_each_worker_gets_its_own_order(tmp_path: Path) -> None:
    """(22) The third of three is told that it is the third."""
    worker = Worker(SERVES)
    orders = {name: {"index": index} for index, name in enumerate(NAMES)}
    async with listening(tmp_path, worker) as address:
        targets = [target(address, tmp_path, name, order=lambda name=name: orders[name]) for name in NAMES]
        async with servers(targets) as group:
            await group.run_till(NetbenchServer.RUNNING)
    assert {talk.worker: talk.order for talk in worker.talks} == orders


async def test_workers_stand_in_the_callers_order_and_an_address_may_have_many(tmp_path: Path) -> None:
    """(23) Neither sorted by address nor merged: two names at one address are two workers."""
    worker = Worker(SERVES)
    async with listening(tmp_path, worker) as address:
        async with servers([target(address, tmp_path, name) for name in NAMES]) as group:
            await group.run_till(NetbenchServer.DONE)
            assert tuple(group.snapshot().workers) == NAMES
    assert sorted(talk.worker for talk in worker.talks) == sorted(NAMES)
    assert len({talk.outbox for talk in worker.talks} | {talk.inbox for talk in worker.talks}) == 2 * len(NAMES)


def test_running_is_what_the_action_says(tmp_path: Path) -> None:
    """(24) Not that it was begun: RUNNING is announced when the action has returned, with what it returned."""

    async def main() -> None:
        room, order = Room(tmp_path), []

        async def start(_: Conversation) -> Mapping[str, Any]:
            await asyncio.sleep(100)
            order.append(("listens", group.snapshot().workers["w0"].state))
            return {"port": 7}

        room.worker(SERVER, Worker({**SERVES, NetbenchServer.STARTING: start}))
        async with room.drive(SERVER, room.target(), deadline=200) as group:
            await group.run_till(NetbenchServer.RUNNING, deadline=200)
            order.append(("running", group.snapshot().workers["w0"].state))
            assert group.said("w0", NetbenchServer.RUNNING) == {"port": 7}
        assert order == [("listens", NetbenchServer.STARTING), ("running", NetbenchServer.RUNNING)]

    in_virtual_time(main)


@pytest.mark.parametrize("faults", [Faults(), Faults(delay=0.5, chunk=3), Faults(lost=0.9, life=0.3)], ids=str)
def test_done_is_said_once(tmp_path: Path, faults: Faults) -> None:
    """(26) Each state is entered once and told once, and DONE isn't said before the action ended."""

    async def main() -> None:
        room, clock, began = Room(tmp_path, faults, seed=5), Wrong(), dict[str, int]()
        room.worker(CLIENT, Worker(dials(clock, began)))
        async with room.drive(CLIENT, room.target(), lead=5) as group:
            await group.run_till(NetbenchClient.DONE, deadline=600)
            told = [change.state.name async for change in group.events()]
        assert told == room.entered() == ["WAIT", "READY", "STARTING", "ARMED", "RUNNING", "STOPPED", "DONE"]

    in_virtual_time(main)


def test_a_failure_is_no_panic_and_ends_the_others(tmp_path: Path) -> None:
    """(16) The first failure is raised, with the worker's name; every other worker is told to end, and does."""

    async def main() -> None:
        room, workers = Room(tmp_path), [Worker(SERVES) for _ in NAMES]

        async def fail(_: Conversation) -> None:
            raise ActionFailed("port", "another process has it")

        workers[1].acts = {**SERVES, NetbenchServer.STARTING: fail}
        for name, worker in zip(NAMES, workers, strict=True):
            room.worker(SERVER, worker, name)
        with pytest.raises(WorkerFailed, match="w0 failed in STARTING: port: another process has it"):
            async with room.drive(SERVER, *map(room.target, NAMES)) as group:
                await group.run_till(NetbenchServer.DONE)
        await asyncio.sleep(60)
        assert [worker.left for worker in workers] == [1, 1, 1]
        assert [room.entered(name)[-1] for name in NAMES] == ["FAILED"] * 3

    in_virtual_time(main)


async def ends_slowly(talk: Conversation, seconds: float) -> None:
    """A driver that takes its time to end."""
    try:
        await for_ever(talk)
    finally:
        await asyncio.sleep(seconds)


@pytest.mark.parametrize("rest", [NetbenchServer.READY, NetbenchServer.RUNNING, NetbenchServer.STOPPED], ids=str)
def test_who_has_left_has_ended_the_service(tmp_path: Path, rest: NetbenchServer) -> None:
    """(25) Whatever a worker had opened is closed when its coordinator has left, wherever it was: its port is free."""

    async def main() -> None:
        room, worker = Room(tmp_path), Worker({**SERVES, NetbenchServer.RUNNING: partial(ends_slowly, seconds=0.9)})
        room.worker(SERVER, worker)
        async with room.drive(SERVER, room.target()) as group:
            await group.run_till(rest)
        assert worker.left == 1
        assert not room.receptions["w0"]._talks
        assert len(asyncio.all_tasks()) == 1

    in_virtual_time(main)
    assert not list(tmp_path.glob("talk-*"))


def test_who_leaves_waits_for_no_service_without_end(tmp_path: Path) -> None:
    """(17) A driver that takes longer to end is waited for by its worker alone."""

    async def main() -> None:
        room, worker = Room(tmp_path), Worker({**SERVES, NetbenchServer.RUNNING: partial(ends_slowly, seconds=100)})
        room.worker(SERVER, worker)
        async with room.drive(SERVER, room.target()) as group:
            await group.run_till(NetbenchServer.RUNNING)
        assert the_loop().time() == CLOSING
        assert worker.left == 0
        await asyncio.sleep(100)
        assert worker.left == 1

    in_virtual_time(main)
