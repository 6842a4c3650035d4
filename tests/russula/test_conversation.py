"""Does a coordinator take its workers where it is asked to, and say what is wrong when it can't?"""

from __future__ import annotations

import asyncio
import gc
import os
import struct
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.protocols import SERVER, NetbenchClient, NetbenchServer
from russula import (
    ActionFailed,
    AddressError,
    Conversation,
    Coordinator,
    DeadlineExceeded,
    LocalProtocolError,
    WorkerFailed,
    WorkerLost,
    serve,
    transport,
)
from russula.talk import Talk
from tests.russula.sides import DIALS, SERVES, Worker, clients, for_ever, listening, servers, target


async def test_servers_go_all_the_way(tmp_path: Path) -> None:
    """From WAIT to DONE, each state entered once and in order."""
    async with listening(tmp_path, Worker(SERVES)) as address, servers([target(address, tmp_path)]) as group:
        await group.run_till(NetbenchServer.RUNNING)
        await group.run_till(NetbenchServer.DONE)
        history = [state.name for state in group.snapshot().workers["w0"].history]
    assert history == ["WAIT", "READY", "STARTING", "RUNNING", "STOPPING", "STOPPED", "DONE"]


async def test_a_state_that_was_passed_counts(tmp_path: Path) -> None:
    """run_till returns at once for a state entered before."""
    async with listening(tmp_path, Worker(SERVES)) as address, servers([target(address, tmp_path)]) as group:
        await group.run_till(NetbenchServer.STOPPED)
        await group.run_till(NetbenchServer.READY, deadline=0.001)
        assert group.snapshot().workers["w0"].state is NetbenchServer.STOPPED


async def test_order_and_files_come_with_the_order(tmp_path: Path) -> None:
    """The worker has both when its first action begins."""
    seen: dict[str, Any] = {}

    async def start(talk: Conversation) -> dict[str, Any]:
        seen.update(talk.order, file=(talk.inbox / "a.txt").read_text())
        return {"address": "somewhere"}

    (tmp_path / "source").write_text("text")
    acts = {**SERVES, NetbenchServer.STARTING: start}
    one: dict[str, Any] = {"order": lambda: {"driver": "tcp"}, "files": lambda: {"a.txt": tmp_path / "source"}}
    async with listening(tmp_path, Worker(acts)) as address, servers([target(address, tmp_path, **one)]) as group:
        await group.run_till(NetbenchServer.RUNNING)
        assert group.said("w0", NetbenchServer.RUNNING) == {"address": "somewhere"}
    assert seen == {"driver": "tcp", "file": "text"}


async def test_results_are_fetched_before_the_end(tmp_path: Path) -> None:
    """What an action puts into the outbox stands in the results folder at DONE."""

    async def stop(talk: Conversation) -> None:
        (talk.outbox / "driver.out").write_bytes(b"x" * 1_000_000)

    acts = {**SERVES, NetbenchServer.STOPPING: stop}
    async with listening(tmp_path, Worker(acts)) as address, servers([target(address, tmp_path)]) as group:
        await group.run_till(NetbenchServer.DONE)
    assert (tmp_path / "results/w0/driver.out").stat().st_size == 1_000_000


async def test_clients_begin_at_one_agreed_instant(tmp_path: Path) -> None:
    """All get the same instant, none begins before it, and RUNNING is announced before it."""
    worker = Worker(DIALS)
    async with listening(tmp_path, worker) as address:
        targets = [target(address, tmp_path, f"w{one}") for one in range(5)]
        async with clients(targets) as group:
            await group.run_till(NetbenchClient.DONE)
        begins = [group.said(one.name, NetbenchClient.STOPPED)["began_ns"] for one in targets]
    assert {talk.instant_ns for talk in worker.talks} == {group.instant_ns}
    assert min(begins) >= group.instant_ns


async def test_nothing_is_said_between_the_instant_and_the_end(tmp_path: Path) -> None:
    """No byte crosses a control connection from the instant to the first client's end."""
    async with listening(tmp_path, Worker(DIALS)) as address, clients([target(address, tmp_path)]) as group:
        await group.run_till(NetbenchClient.DONE)
        assert group.silent_bytes == 0


async def test_an_instant_that_comes_late_fails_the_worker(tmp_path: Path) -> None:
    """A worker never begins after the instant: it fails with the reason ``late``."""
    async with listening(tmp_path, Worker(DIALS)) as address:
        with pytest.raises(WorkerFailed, match="late"):
            async with clients([target(address, tmp_path)], lead=-1.0) as group:
                await group.run_till(NetbenchClient.DONE)


async def test_the_first_failure_names_worker_state_reason_and_tail(tmp_path: Path) -> None:
    """What failed, where, why, and the last lines of its driver; its files are salvaged."""

    async def start(talk: Conversation) -> None:
        (talk.outbox / "driver.err").write_text("all of it")
        raise ActionFailed("ended", "the driver ended with 3", "its last line")

    acts = {**SERVES, NetbenchServer.STARTING: start}
    async with listening(tmp_path, Worker(acts)) as address:
        with pytest.raises(WorkerFailed) as caught:
            async with servers([target(address, tmp_path)]) as group:
                await group.run_till(NetbenchServer.RUNNING)
    assert (caught.value.worker, caught.value.state, caught.value.reason) == ("w0", "STARTING", "ended")
    assert "its last line" in str(caught.value)
    assert (tmp_path / "results/w0/driver.err").read_text() == "all of it"


async def test_a_failure_while_nothing_is_awaited_is_raised_next(tmp_path: Path) -> None:
    """A server whose driver dies while it runs is found by whatever is asked next."""
    die = asyncio.Event()

    async def watch(_: Conversation) -> None:
        await die.wait()
        raise ActionFailed("ended", "killed by SIGKILL")

    acts = {**SERVES, NetbenchServer.RUNNING: watch}
    async with listening(tmp_path, Worker(acts)) as address:
        with pytest.raises(WorkerFailed, match="SIGKILL"):
            async with servers([target(address, tmp_path)]) as group:
                await group.run_till(NetbenchServer.RUNNING)
                die.set()
                await group.run_till(NetbenchServer.DONE)


async def test_a_failure_is_heard_by_whoever_waits_for_one(tmp_path: Path) -> None:
    """While it happens, and afterwards; the very error that is raised next."""
    die = asyncio.Event()

    async def watch(_: Conversation) -> None:
        await die.wait()
        raise ActionFailed("ended", "killed by SIGKILL")

    acts = {**SERVES, NetbenchServer.RUNNING: watch}
    async with listening(tmp_path, Worker(acts)) as address, servers([target(address, tmp_path)]) as group:
        await group.run_till(NetbenchServer.RUNNING)
        waiting = asyncio.create_task(group.failure())
        die.set()
        assert "killed by SIGKILL" in str(await waiting)
        assert await group.failure() is await waiting


async def test_an_actions_own_error_is_the_workers_failure(tmp_path: Path) -> None:
    """Whatever it is, also one that a broken connection could have raised."""

    async def start(_: Conversation) -> None:
        raise ConnectionResetError("the driver's own connection")

    acts = {**SERVES, NetbenchServer.STARTING: start}
    async with listening(tmp_path, Worker(acts)) as address:
        with pytest.raises(WorkerFailed, match="error: ConnectionResetError: the driver's own connection"):
            async with servers([target(address, tmp_path)]) as group:
                await group.run_till(NetbenchServer.RUNNING)


@pytest.mark.parametrize(
    "said", [{"x": object()}, {"x": "y" * (1 << 20)}, {"x": float("nan")}], ids=["no JSON", "long", "nan"]
)
async def test_what_an_action_cannot_say_is_its_failure(tmp_path: Path, said: dict[str, Any]) -> None:
    """Data that doesn't fit on the wire fails the worker at once, with the reason."""

    async def start(_: Conversation) -> dict[str, Any]:
        return said

    acts = {**SERVES, NetbenchServer.STARTING: start}
    async with listening(tmp_path, Worker(acts)) as address:
        with pytest.raises(WorkerFailed, match="failed in STARTING: error"):
            async with servers([target(address, tmp_path)]) as group:
                await group.run_till(NetbenchServer.RUNNING)


async def test_the_end_of_a_long_failure_is_told(tmp_path: Path) -> None:
    """However much a driver wrote, its last words arrive."""

    async def start(_: Conversation) -> None:
        raise ActionFailed("ended", "d" * (1 << 21), "t" * (1 << 21) + "the last word")

    acts = {**SERVES, NetbenchServer.STARTING: start}
    async with listening(tmp_path, Worker(acts)) as address:
        with pytest.raises(WorkerFailed, match="the last word"):
            async with servers([target(address, tmp_path)]) as group:
                await group.run_till(NetbenchServer.RUNNING)


async def test_two_workers_of_one_name_are_refused(tmp_path: Path) -> None:
    """Who failed must be clear."""
    with pytest.raises(LocalProtocolError, match="two workers of one name"):
        async with servers([target("unix:/a", tmp_path), target("unix:/b", tmp_path)]):
            pass


async def test_a_deadline_names_who_is_missing_and_where(tmp_path: Path) -> None:
    """The message has each missing worker and the state in which it stays."""
    acts = {**SERVES, NetbenchServer.STARTING: for_ever}
    async with listening(tmp_path, Worker(acts)) as address:
        with pytest.raises(DeadlineExceeded, match="1 of 1 workers aren't RUNNING: w0 is STARTING"):
            async with servers([target(address, tmp_path)]) as group:
                await group.run_till(NetbenchServer.RUNNING, deadline=0.05)


async def test_nobody_at_an_address_is_named(tmp_path: Path) -> None:
    """A connection that nobody accepts ends with the deadline, naming the worker and the address."""
    with pytest.raises(DeadlineExceeded, match="w0 doesn't answer at unix:"):
        async with Coordinator[NetbenchServer].connect(
            SERVER, [target(f"unix:{tmp_path}/none", tmp_path)], run="r", deadline=0.1
        ):
            pass


async def test_leaving_early_ends_the_workers_actions(tmp_path: Path) -> None:
    """When a coordinator goes, its worker closes what it opened, and serves the next."""
    worker = Worker(SERVES)
    async with listening(tmp_path, worker) as address:
        async with servers([target(address, tmp_path)]) as group:
            await group.run_till(NetbenchServer.RUNNING)
        async with servers([target(address, tmp_path)]) as group:
            await group.run_till(NetbenchServer.DONE)
    assert worker.left == 2


async def test_a_worker_that_is_told_to_end_says_so(tmp_path: Path) -> None:
    """Its coordinators hear at once that it ends, and that it was told to."""
    with pytest.raises(WorkerFailed, match="w0 failed in RUNNING: ended: the worker was told to end"):
        async with AsyncExitStack() as opened:
            async with listening(tmp_path, Worker(SERVES)) as address:
                group = await opened.enter_async_context(servers([target(address, tmp_path)]))
                await group.run_till(NetbenchServer.RUNNING)
            await group.run_till(NetbenchServer.DONE)


async def test_an_end_elsewhere_is_an_error(tmp_path: Path) -> None:
    """Asking for a state after the end says so instead of waiting."""
    async with listening(tmp_path, Worker(SERVES)) as address, servers([target(address, tmp_path)]) as group:
        await group.run_till(NetbenchServer.DONE)
        with pytest.raises(LocalProtocolError, match="never was FAILED"):
            await group.run_till(NetbenchServer.FAILED)


async def test_events_tell_every_state(tmp_path: Path) -> None:
    """The stream of changes has each state that a worker entered, and ends with it."""
    async with listening(tmp_path, Worker(SERVES)) as address, servers([target(address, tmp_path)]) as group:
        await group.run_till(NetbenchServer.DONE)
        states = [change.state.name async for change in group.events()]
    assert states[0] == "WAIT"
    assert states[-1] == "DONE"


@pytest.mark.parametrize(
    "said",
    [b"GET / HTTP/1.1\r\n\r\n", struct.pack(">I", 2**31), b"\0\0\0\x02{}", b'\0\0\0\x10{"type":"fetch"}'],
    ids=["http", "huge", "empty", "not hello"],
)
async def test_a_peer_that_breaks_the_rules_is_refused_and_others_served(
    tmp_path: Path, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, a closed connection, and the next coordinator is served."""
    async with listening(tmp_path, Worker(SERVES)) as address:
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
        writer.write(said)
        writer.write_eof()
        assert b"refused" in await reader.read()
        writer.close()
        async with servers([target(address, tmp_path)]) as group:
            await group.run_till(NetbenchServer.DONE)
    assert [one.levelname for one in caplog.records].count("WARNING") == 1


async def test_a_peer_that_is_cut_in_its_hello_is_noted_and_others_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It broke no rule: one warning says what happened, and there is nobody to be told."""
    async with listening(tmp_path, Worker(SERVES)) as address:
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
        writer.write(b"\0\0")
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        async with servers([target(address, tmp_path)]) as group:
            await group.run_till(NetbenchServer.DONE)
    assert [one.levelname for one in caplog.records].count("WARNING") == 1
    assert "in the middle of a message" in caplog.text


async def test_others_may_not_enter_the_sockets_folder(tmp_path: Path) -> None:
    """A folder that others can enter is refused before anything listens there."""
    os.chmod(tmp_path, 0o755)  # noqa: PTH101  one call, before anything runs beside it
    with pytest.raises(AddressError, match="must have 700"):
        await serve(f"unix:{tmp_path}/s", {}, directory=tmp_path)


async def test_another_users_worker_is_not_spoken_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says who listens; not a byte goes to anyone else."""
    async with listening(tmp_path, Worker(SERVES)) as address:
        monkeypatch.setattr(transport, "peer_uid", lambda _: os.getuid() + 1)
        with pytest.raises(WorkerLost, match="another user's process listens there"):
            async with servers([target(address, tmp_path)]):
                pass


async def test_results_that_can_not_be_stored_are_an_error_with_words(tmp_path: Path) -> None:
    """A full disk, or a file in the folder's place: which worker, and what the system said; it isn't tried again."""

    async def stop(talk: Conversation) -> None:
        (talk.outbox / "driver.out").write_bytes(b"x" * 1_000_000)

    acts = {**SERVES, NetbenchServer.STOPPING: stop}
    (tmp_path / "results").write_text("in the way")
    async with listening(tmp_path, Worker(acts)) as address:
        with pytest.raises(WorkerLost, match=r"w0 was lost: its files can't be stored: .*Not a directory"):
            async with servers([target(address, tmp_path)]) as group:
                await group.run_till(NetbenchServer.DONE)


async def test_a_workers_full_disk_is_the_workers_failure(tmp_path: Path) -> None:
    """Its reason is ``storage``, and the rest of the file is no broken rule."""

    def service(talk: Conversation) -> Any:
        vars(talk)["inbox"] = tmp_path / "file"  # a file in the folder's place: nothing can be made in it
        return worker.service(talk)

    worker, files = Worker(SERVES), {"file": tmp_path / "file"}
    files["file"].write_bytes(b"x" * 1_000_000)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = serve(f"unix:{tmp_path}/s", {SERVER: service}, directory=tmp_path, ready=ready.set_result)
    task = asyncio.create_task(serving)
    with pytest.raises(WorkerFailed, match="w0 failed in READY: storage: the worker can't store what it is sent"):
        async with servers([target(await ready, tmp_path, files=lambda: files)]) as group:
            await group.run_till(NetbenchServer.RUNNING)
    task.cancel()
    await asyncio.wait([task])
    assert worker.left == 1


async def test_a_conversation_that_ended_is_forgotten(tmp_path: Path) -> None:
    """Nothing holds what a worker knew of it, no timer either: a thousand rounds later it is as large as before."""
    gc.collect()
    before = sum(isinstance(one, Talk) for one in gc.get_objects())
    async with listening(tmp_path, Worker(SERVES)) as address:
        for _ in range(3):
            async with servers([target(address, tmp_path)]) as group:
                await group.run_till(NetbenchServer.DONE)
        gc.collect()
        assert sum(isinstance(one, Talk) for one in gc.get_objects()) <= before
