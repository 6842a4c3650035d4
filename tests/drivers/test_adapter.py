"""Does the stand-in for a netbench driver run commands as one, and is each bad command one clear failure?"""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.drivers.choice import check_options
from pytest_netbench.drivers.driver import Driver
from pytest_netbench.drivers.execution import DriverFailure, Execution
from pytest_netbench.drivers.job import Job, Reason
from pytest_netbench.roles import Role
from pytest_netbench.scenario.catalog import connect, download, fan_in, fan_out, upload
from pytest_netbench.scenario.certificates import certify
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.telemetry import proc
from pytest_netbench.telemetry.gather import read_host
from pytest_netbench.telemetry.model import CpuScope, Fact, HostReport

PROGRAM = """
import os, signal, socket, sys, time
name, rest = sys.argv[1], sys.argv[2:]
if name == "is_deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if name == "says_1":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # it may come before anything waits for it
if name in ("listens", "is_deaf", "says_1", "breaks", "prints"):
    listener = socket.create_server((rest[0], int(rest[1])))
if name == "breaks":
    listener.accept()
    print("out of buffers")
    sys.exit(3)
if name == "daemonises":
    if os.fork():
        sys.exit(0)
    os.setsid()
    listener = socket.create_server((rest[0], int(rest[1])))
if name in ("exits", "exits_127"):
    print("no such cipher")
    sys.exit(127 if name == "exits_127" else 7)
if name == "prints":
    print("\\n".join(rest[2:]), flush=True)
if name == "idles":
    print("no licence", flush=True)
    open(rest[0], "w").write(str(os.getppid()))
if name == "says":
    print(" ".join(rest))
    sys.exit(0)
if name == "burns":
    while time.process_time() < 0.2: pass
    sys.exit(0)
if name == "leaves":
    if os.fork() == 0:
        time.sleep(600)
    sys.exit(0)
if name == "says_1":
    signal.sigwait([signal.SIGTERM])
    sys.exit(1)
while True:
    signal.pause()
"""
SERVER = Job(Role.SERVER, 0, "mine", bind="127.0.0.1", start_s=30, stop_s=30)
CLIENT = Job(Role.CLIENT, 0, "mine", bind="127.0.0.1", peers=("127.0.0.1:9",), timeout_s=30)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("inbox", "outbox"):
        (tmp_path / name).mkdir()
    (tmp_path / "tool.py").write_text(PROGRAM)
    return tmp_path


def mine(place: Path, server: str = "listens {host} {port}", client: str = "says {bytes}", **more: Any) -> Driver:
    """A tool whose server and client are lines of the program above."""
    tool = f"{sys.executable} -IS {place}/tool.py "
    lines = dict.fromkeys(("download", "upload", "connect"), tool + client)
    section = {"level": "command", "server": tool + server, "client": lines, "transport": "tcp", **more}
    return registry.table({"mine": section})["mine"]


def execution(place: Path, driver: Driver, job: Job, scenario: Scenario) -> Execution:
    scenario.write(place / "inbox" / "scenario.json")
    return Execution(driver, job, inbox=place / "inbox", outbox=place / "outbox")


def told(place: Path, driver: Driver, job: Job, scenario: Scenario) -> HostReport:
    return read_host(place / "outbox", driver, scenario, job.role, job.index, job.role.value)


async def serve(place: Path, driver: Driver, scenario: Scenario, job: Job = SERVER) -> HostReport:
    """What a server left that was started and ended."""
    async with execution(place, driver, job, scenario) as server:
        await server.start_server()
        await server.stop_server()
    return told(place, driver, job, scenario)


async def dial(place: Path, driver: Driver, scenario: Scenario, job: Job = CLIENT) -> HostReport:
    """What a client left that was run to its end."""
    async with execution(place, driver, job, scenario) as client:
        await client.start_client()
        await client.run_client(time.monotonic_ns())
    return told(place, driver, job, scenario)


def printed(place: Path, number: int = 0) -> str:
    return (place / "outbox" / f"command-{number}.out").read_text().strip()


# --- what it should do -------------------------------------------------------------------------


async def test_a_server_listens_and_ends_on_sigterm(place: Path) -> None:
    """As the contract of netbench drivers has it: nothing is wrong with such a round."""
    host = await serve(place, mine(place), download(5000, request=1))
    assert host.ending.expected
    assert host.driver.problems == ()
    assert Fact.SENT in host.driver.untold


@pytest.mark.parametrize(
    ("scenario", "line", "words"),
    [
        (download(5000, request=1, connections=3), "{bytes} {total_bytes} {connections} {streams}", "5000 15000 3 1"),
        (upload(70), "{host} {port} {local}", "127.0.0.1 9 127.0.0.1"),
        (connect(4), "{connections} {seconds}x", None),
        (upload(70), "%{{bytes}} {bytes}", "%{bytes} 70"),
    ],
)
async def test_placeholders_are_filled(place: Path, scenario: Scenario, line: str, words: str | None) -> None:
    """With what the scenario says, and where the server is."""
    driver = mine(place, client=f"says {line.removesuffix(' {seconds}x')}")
    await dial(place, driver, scenario)
    assert printed(place) == (words or "4")


async def test_certificates_are_files(place: Path) -> None:
    """A server gets chain, key and authority, a client the authority; a key isn't fetched with the results."""
    scenario = certify(connect(1))
    await dial(place, mine(place, client="says {ca} {name}"), scenario)
    name = printed(place).split()[1]
    assert (place / "inbox/certs/ca.pem").read_text() == scenario.certificates[0].pem
    assert name == f"0.{scenario.id}.net"
    assert not list((place / "outbox").rglob("*.pem"))


async def test_one_command_a_connection_where_a_line_has_no_number(place: Path) -> None:
    """All at once in a parallel scenario, one after another, into one output, in a row of them."""
    await dial(place, mine(place), download(5000, request=1, connections=2))
    assert [printed(place, number) for number in range(2)] == ["5000", "5000"]
    host = await dial(place, mine(place, client="says one"), connect(3))
    assert printed(place).splitlines()[-3:] == ["one"] * 3
    assert len(host.driver.connections) == 3


async def test_there_is_a_command_for_each_server(place: Path) -> None:
    """A client that dials several servers runs its line for each."""
    job = replace(CLIENT, peers=("127.0.0.1:7", "127.0.0.1:8"))
    await dial(place, mine(place, client="says {port}"), fan_out(servers=2, request=1, response=5000), job)
    assert [printed(place, number) for number in range(2)] == ["7", "8"]


async def test_who_serves_one_at_a_time_is_started_for_each_client(place: Path) -> None:
    """At ports one after another, of which every client has its own."""
    driver = mine(place, "prints {host} {port} {port}", "says {port}", one_at_a_time=True)
    scenario = fan_in(clients=3, upload=5000)
    await serve(place, driver, scenario)
    ports = [int(printed(place, number)) for number in range(3)]
    assert ports == list(range(ports[0], ports[0] + 3))
    await dial(place, driver, scenario, replace(CLIENT, index=2, peers=(f"127.0.0.1:{ports[0]}",)))
    assert printed(place).splitlines()[-1] == str(ports[2])


async def test_what_is_printed_becomes_a_report(place: Path) -> None:
    """Bytes, and the time over which they came; what isn't told is named, and not made up."""
    rule = r"(?P<bytes>\d+) bytes, (?P<seconds>[\d.]+) s"
    driver = mine(place, client="says 5000 bytes, 0.5 s", output={"client": rule})
    report = (await dial(place, driver, download(5000, request=1))).driver
    assert [(one.sent, one.received) for connection in report.connections for one in connection.streams] == [(0, 5000)]
    assert (report.last_byte_ns or 0) - (report.first_byte_ns or 0) == 500_000_000
    assert report.untold == {Fact.SENT, Fact.TRACES}
    assert report.samples == {}


async def test_cpu_time_is_the_commands_own(place: Path) -> None:
    """That of the whole process, and so marked: never gated."""
    cpu = (await dial(place, mine(place, client="burns"), connect(1))).driver.cpu
    assert cpu is not None
    assert cpu.scope is CpuScope.PROCESS
    assert cpu.seconds >= 0.2


async def test_options_add_arguments(place: Path) -> None:
    """At the end of each line."""
    driver = mine(place, options={"window": {"type": "integer", "on": ["-w", "{value}"]}})
    download(5000, request=1).write(place / "inbox" / "scenario.json")
    options = check_options(driver, {"window": 7})
    async with Execution(driver, CLIENT, inbox=place / "inbox", outbox=place / "outbox", options=options) as client:
        await client.start_client()
        await client.run_client(time.monotonic_ns())
    assert printed(place) == "5000 -w 7"


# --- what goes wrong ---------------------------------------------------------------------------


async def no_server(place: Path, line: str, job: Job = SERVER, **more: Any) -> DriverFailure:
    with pytest.raises(DriverFailure) as caught:
        await serve(place, mine(place, line, **more), download(5000, request=1), job)
    return caught.value


async def no_client(place: Path, line: str, job: Job = CLIENT) -> DriverFailure:
    with pytest.raises(DriverFailure) as caught:
        await dial(place, mine(place, client=line), download(5000, request=1), job)
    return caught.value


async def test_a_server_that_never_listens(place: Path) -> None:
    """Its deadline, from the kernel's socket table, and where it should have."""
    failure = await no_server(place, "waits", replace(SERVER, start_s=0.5, port=7))
    assert failure.reason is Reason.DEADLINE
    assert failure.detail == "driver mine as server 0 didn't listen at 127.0.0.1:7 within 0.5 s"


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.value)
async def test_a_command_that_is_ended_too_early_is_told(place: Path, role: Role) -> None:
    """Which it is, what it hasn't done, and what it last printed: at its deadline the stand-in gets SIGTERM."""
    os.mkfifo(said := place / "said")
    driver = mine(place, f"idles {said}", f"idles {said}")
    run = serve if role is Role.SERVER else dial
    job = replace(SERVER, port=7) if role is Role.SERVER else CLIENT
    whole = asyncio.create_task(run(place, driver, download(5000, request=1), job))
    os.kill(int(await asyncio.to_thread(said.read_text)), signal.SIGTERM)
    await asyncio.wait([whole])
    assert whole.exception() is None or role is Role.SERVER
    what = "hasn't ended" if role is Role.CLIENT else "doesn't listen at 127.0.0.1:7"
    assert (place / "outbox/driver.err").read_text().strip().endswith(f"` {what}; it printed 'no licence'")


async def test_a_server_that_ends_before_it_listens(place: Path) -> None:
    """How it ended, and what it printed."""
    failure = await no_server(place, "exits")
    assert failure.reason is Reason.ENDED
    assert "ended before it was seen to listen: it exited with status 7; it printed 'no such cipher'" in failure.tail


async def test_a_server_that_makes_itself_a_daemon(place: Path) -> None:
    """Its process is named, ended, and where it should be is said."""
    driver = mine(place, "daemonises {host} {port}")
    async with execution(place, driver, SERVER, download(5000, request=1)) as server:
        with pytest.raises(DriverFailure) as caught:  # it may be seen to listen before it is seen to be a daemon
            await server.start_server()
            await server.watch()
    assert "made itself a daemon: it exited with status 0, and process" in caught.value.tail
    assert "Run it in the foreground" in caught.value.tail


async def test_a_server_that_ignores_sigterm(place: Path) -> None:
    """It is ended all the same, and the round doesn't count for it."""
    host = await serve(place, mine(place, "is_deaf {host} {port}"), download(5000, request=1))
    assert not host.ending.expected
    assert re.search(r"tool.py is_deaf 127.0.0.1 \d+` didn't end within 5 s of SIGTERM$", host.ending.reason)


async def test_a_server_whose_end_is_another(place: Path) -> None:
    """A status that its row doesn't know isn't expected; with it, it is an end like others."""
    host = await serve(place, mine(place, "says_1 {host} {port}"), download(5000, request=1))
    assert not host.ending.expected
    assert host.ending.reason.endswith("exited with status 1 at SIGTERM")
    host = await serve(place, mine(place, "says_1 {host} {port}", ends=[1]), download(5000, request=1))
    assert (host.ending.expected, host.ending.reason) == (True, "")


async def test_a_server_that_breaks_while_it_serves(place: Path) -> None:
    """Told at once, not at the end of the round; who watches it may have seen it listen later than who connected."""
    driver = mine(place, "breaks {host} {port}")
    async with execution(place, driver, SERVER, download(5000, request=1)) as server:
        address = (await server.start_server())["address"]
        host, _, port = address.rpartition(":")
        os.close(_connected(host, int(port)))
        with pytest.raises(DriverFailure) as caught:
            await server.watch()
    when = r"(while it should serve|before it was seen to listen)"
    assert re.search(rf"ended {when}: it exited with status 3; it printed 'out of buffers'", caught.value.tail)


def _connected(host: str, port: int) -> int:
    import socket

    return socket.create_connection((host, port)).detach()


async def test_a_client_that_fails(place: Path) -> None:
    """Its command, its status, what it printed."""
    failure = await no_client(place, "exits")
    assert failure.reason is Reason.ENDED
    assert failure.tail.endswith("exits` exited with status 7; it printed 'no such cipher'")


async def test_a_client_that_says_unsupported(place: Path) -> None:
    """Status 127 stays what it is."""
    assert (await no_client(place, "exits_127")).reason is Reason.UNSUPPORTED


async def test_a_client_that_hangs(place: Path) -> None:
    """At its deadline."""
    failure = await no_client(place, "waits", replace(CLIENT, timeout_s=0.5))
    assert failure.detail == "driver mine as client 0 didn't end within 0.5 s"


async def test_a_client_that_leaves_something_behind(place: Path) -> None:
    """What goes on in the background is named, and ended."""
    host = await dial(place, mine(place, client="leaves"), connect(1))
    (problem,) = host.driver.problems
    assert "left process" in problem
    with pytest.raises(ProcessLookupError):
        os.kill(int(problem.split("left process ")[1].split()[0]), signal.SIG_DFL)


@pytest.mark.parametrize(
    ("line", "why"), [("says", "it printed nothing"), ("says all is well", "its last line is 'all is well'")]
)
async def test_an_output_that_does_not_parse(place: Path, line: str, why: str) -> None:
    """The round doesn't count, and no number is made up."""
    driver = mine(place, client=line, output=r"(?P<bytes>\d+) bytes")
    host = await dial(place, driver, download(5000, request=1))
    (problem,) = host.driver.problems
    assert why in problem
    assert Fact.RECEIVED in host.driver.untold


async def test_a_scenario_that_is_no_plain_transfer(place: Path) -> None:
    """Should it get there, the stand-in says unsupported, as a driver does."""
    with pytest.raises(DriverFailure) as caught:
        await dial(place, mine(place), download(5000, request=4000))
    assert (caught.value.reason, "neither a download nor an upload" in caught.value.tail) == (Reason.UNSUPPORTED, True)


async def test_nothing_outlives_the_stand_in(place: Path) -> None:
    """Not even where it is killed itself, as when its worker dies."""
    driver = mine(place)
    async with execution(place, driver, SERVER, download(5000, request=1)) as server:
        stand_in = (await server.start_server())["pid"]
        (command,) = proc.children(stand_in)
        gone = os.pidfd_open(command)
        os.kill(stand_in, signal.SIGKILL)
        assert await asyncio.to_thread(select.select, [gone], [], [], 20) == ([gone], [], [])
        os.close(gone)


def environment_of(place: Path) -> Mapping[str, str]:
    return dict(line.split("=", 1) for line in printed(place).splitlines() if "=" in line)


async def test_nothing_of_ours_is_in_a_commands_environment(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that reads PORT or TRACE reads the user's; the row's own variables are filled."""
    monkeypatch.setenv("TOOL_HOME", "/opt")
    env = "import os; print(*(f'{name}={value}' for name, value in os.environ.items()), sep=chr(10))"
    (place / "tool.py").write_text(env)
    await dial(place, mine(place, env={"TOOL_PORT": "{port}"}), download(5000, request=1))
    found = environment_of(place)
    assert (found["TOOL_HOME"], found["TOOL_PORT"]) == ("/opt", "9")
    assert not {"SCENARIO", "TRACE", "PORT", "CLIENT_ID", "NETBENCH_ROW", "NETBENCH_REPORT"} & set(found)
