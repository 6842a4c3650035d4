"""Does one driver go through a round on its host as promised, whatever it does?"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.drivers.driver import Driver
from pytest_netbench.drivers.execution import DriverFailure, Execution
from pytest_netbench.drivers.job import Job, Reason
from pytest_netbench.roles import Role
from tests.drivers.driver_children import script
from tests.overdue import time_is_up

SERVER = Job(Role.SERVER, 0, "mine", bind="127.0.0.1", start_s=30, stop_s=30)
CLIENT = Job(Role.CLIENT, 0, "mine", bind="127.0.0.1", peers=("127.0.0.1:1",), timeout_s=30)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("inbox", "outbox"):
        (tmp_path / name).mkdir()
    (tmp_path / "inbox" / "scenario.json").write_text("{}")
    return tmp_path


def mine(place: Path, name: str, **more: Any) -> Driver:
    path = script(name, place)
    return registry.table({"mine": {"server": [path], "client": [path], "transport": "tcp", **more}})["mine"]


def execution(place: Path, driver: Driver, job: Job) -> Execution:
    return Execution(driver, job, inbox=place / "inbox", outbox=place / "outbox")


def record(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "outbox" / "host.json").read_text())
    return found


async def test_a_server_says_where_it_listens_and_ends_on_sigterm(place: Path) -> None:
    """Its port is a free one of its address; SIGTERM is an end that its row expects."""
    async with execution(place, mine(place, "listens"), SERVER) as server:
        said = await server.start_server()
        host, _, port = said["address"].rpartition(":")
        with socket.create_connection((host, int(port))):
            pass
        await server.stop_server()
    assert record(place)["ending"] == {"status": None, "signal": 15, "expected": True, "reason": ""}
    assert record(place)["address"] == said["address"]


async def test_a_client_begins_at_the_instant(place: Path) -> None:
    """When it did is told; a driver that can't be armed says so in the record."""
    async with execution(place, mine(place, "ends"), CLIENT) as client:
        await client.start_client()
        instant = time.monotonic_ns() + 20_000_000
        said = await client.run_client(instant)
    assert instant <= said["began_ns"] <= said["ended_ns"]
    assert record(place)["armed"] is False
    assert record(place)["ending"]["expected"] is True
    assert record(place)["counters"]["tcp_retransmits"] >= 0


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.value)
async def test_what_a_start_costs_is_known(place: Path, role: Role) -> None:
    """The CPU time until a server listens, or until a client is released, is told apart from that of all."""
    if role is Role.SERVER:
        async with execution(place, mine(place, "listens"), SERVER) as server:
            await server.start_server()
            await server.stop_server()
    else:
        async with execution(place, mine(place, "burns"), CLIENT) as client:
            await client.start_client()
            await client.run_client(time.monotonic_ns())
    found = record(place)
    assert 0 < found["cpu_before_s"] < found["cpu_s"]


async def failure_of_client(place: Path, driver: Driver, job: Job = CLIENT) -> DriverFailure:
    async with execution(place, driver, job) as client:
        await client.start_client()
        with pytest.raises(DriverFailure) as caught:
            await client.run_client(time.monotonic_ns())
    return caught.value


@pytest.mark.parametrize(
    ("name", "reason", "detail", "tail"),
    [
        ("exits_1", Reason.ENDED, "driver mine as client 0 failed: it exited with status 1", "it went wrong"),
        ("kills_itself", Reason.ENDED, "driver mine as client 0 failed: it was ended by SIGKILL", ""),
        (
            "unsupported",
            Reason.UNSUPPORTED,
            "can't do this scenario: it exited",
            "no multiplexing here",
        ),
    ],
)
async def test_a_client_that_fails_is_told(place: Path, name: str, reason: Reason, detail: str, tail: str) -> None:
    """How it ended, and the last of its standard error; its record is there all the same."""
    failure = await failure_of_client(place, mine(place, name))
    assert failure.reason is reason
    assert detail in failure.detail
    assert failure.tail == tail
    assert record(place)["ending"]["expected"] is False


async def test_a_client_that_hangs_is_ended(place: Path) -> None:
    """At its deadline, SIGTERM ignored or not; the limit is told."""
    failure = await failure_of_client(place, mine(place, "ignores_sigterm"), replace(CLIENT, timeout_s=0.05))
    assert failure.reason is Reason.DEADLINE
    assert failure.detail == "driver mine as client 0 didn't end within 0.05 s"
    assert record(place)["ending"]["reason"] == "didn't end within 0.05 s"


async def test_a_rows_own_timeout_may_be_shorter(place: Path) -> None:
    """The shorter of job and row holds."""
    failure = await failure_of_client(place, mine(place, "waits", timeout=0.05))
    assert failure.detail.endswith("didn't end within 0.05 s")


async def test_ours_says_where_it_hangs(place: Path) -> None:
    """A driver that can dumps its stacks before it is ended."""
    driver = replace(mine(place, "dumps_when_armed", arming="pipe"), dumps_stacks=True)
    failure = await failure_of_client(place, driver, replace(CLIENT, timeout_s=0.05))
    assert "most recent call first" in failure.tail


async def failure_of_server(place: Path, driver: Driver, job: Job = SERVER) -> DriverFailure:
    async with execution(place, driver, job) as server:
        with pytest.raises(DriverFailure) as caught:
            await server.start_server()
    return caught.value


async def test_a_server_that_ends_early_is_told(place: Path) -> None:
    """Before it listened: where it should have, its end, and its last words."""
    failure = await failure_of_server(place, mine(place, "exits_1"), replace(SERVER, port=7))
    assert (failure.reason, failure.tail) == (Reason.ENDED, "it went wrong")
    where = "ended before it could listen at 127.0.0.1:7"
    assert failure.detail == f"driver mine as server 0 {where}: it exited with status 1"


async def test_a_server_that_never_listens_is_told(place: Path) -> None:
    """At the deadline of its start."""
    failure = await failure_of_server(place, mine(place, "waits"), replace(SERVER, start_s=0.05, port=7))
    assert failure.detail == "driver mine as server 0 didn't listen at 127.0.0.1:7 within 0.05 s"


async def test_a_server_that_listens_elsewhere_is_told_where(place: Path) -> None:
    """A row that forgets to pass the port on is found at once."""
    os.mkfifo(said := place / "said")
    driver = mine(place, "listens_elsewhere", env={"FIFO": str(said)})
    begun = asyncio.create_task(failure_of_server(place, driver, replace(SERVER, port=7)))
    port = (await asyncio.to_thread(said.read_text)).strip()
    time_is_up()
    failure = await begun
    assert failure.detail.startswith("driver mine as server 0 didn't listen at 127.0.0.1:7 within 30 s")
    assert failure.detail.endswith(f"; it listens at 127.0.0.1:{port}")


async def test_a_taken_port_is_told(place: Path) -> None:
    """And whose it is."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        failure = await failure_of_server(place, mine(place, "listens"), replace(SERVER, port=port))
    assert failure.reason is Reason.PORT
    assert f"port {port} at 127.0.0.1 is taken by" in failure.detail


async def test_a_server_that_ends_while_it_should_serve_fails(place: Path) -> None:
    """Watching a server ends only by its end."""
    async with execution(place, mine(place, "listens_and_ends"), SERVER) as server:
        said = await server.start_server()
        os.kill(said["pid"], signal.SIGUSR2)
        with pytest.raises(DriverFailure, match=r"ended by itself: it (exited with status 3|was ended by SIGUSR2)"):
            await server.watch()


async def test_a_server_that_ignores_sigterm_is_not_expected(place: Path) -> None:
    """It is killed, and the record says why the round doesn't count."""
    async with execution(place, mine(place, "listens_and_is_deaf"), replace(SERVER, stop_s=0.05)) as server:
        await server.start_server()
        await server.stop_server()
    assert record(place)["ending"] == {
        "status": None,
        "signal": 9,
        "expected": False,
        "reason": "it didn't end within 0.05 s of SIGTERM",
    }


async def test_a_missing_driver_is_told(place: Path) -> None:
    """With the line that installs it."""
    driver = registry.table({"mine": {"server": "no-such-driver", "install": "make mine"}})["mine"]
    failure = await failure_of_server(place, driver)
    assert failure.reason is Reason.MISSING
    assert failure.detail.endswith("make mine")


async def test_a_driver_of_a_wrong_format_is_told(place: Path) -> None:
    """Executable by its mode, but not by the kernel."""
    path = place / "broken"
    path.write_bytes(b"\0\1\2")
    path.chmod(0o755)
    failure = await failure_of_server(place, registry.table({"mine": {"server": [str(path)]}})["mine"])
    assert failure.reason is Reason.MISSING
    assert failure.detail == f"driver mine: {path} can't be executed: Exec format error"


async def test_a_full_disk_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the files of a driver can't be made, the reason is the disk, not the driver."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(place / "outbox" / "driver.out"))

    monkeypatch.setattr("pytest_netbench.drivers.execution.Process.start", full)
    failure = await failure_of_server(place, mine(place, "listens"))
    assert failure.reason is Reason.STORAGE
    assert failure.detail.endswith("driver.out can't be written: No space left on device")


async def test_a_folder_that_is_gone_is_told(place: Path) -> None:
    """Not as a driver that can't be executed."""
    driver = mine(place, "listens")
    (place / "outbox").rmdir()
    failure = await failure_of_server(place, driver)
    assert failure.reason is Reason.STORAGE
    assert failure.detail.endswith("driver.out can't be written: No such file or directory")


async def test_leaving_early_leaves_nothing(place: Path) -> None:
    """Whatever state it is in, the driver is gone when the execution is left."""
    async with execution(place, mine(place, "listens"), SERVER) as server:
        pid = (await server.start_server())["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
