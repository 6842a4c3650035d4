"""What if the network or the other end misbehaves? One line that names who and what, a status, a report, no hang."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.certificates import certify
from pytest_netbench.telemetry.report_json import load
from tests.drivers.builtin.builtin_processes import (
    DEADLINE,
    HERE,
    PROGRAM,
    WITH_PACKAGES,
    Running,
    accepting,
    dial,
    dialling,
    reset,
    scenario,
    serving,
    written,
)

ASK = scenario((m.Send(0, 10), m.Receive(0, 1000)), (m.Receive(0, 10), m.Send(0, 1000)))
PREAMBLE = bytes(8)


# --- a client whose server misbehaves ----------------------------------------------------------


def _client_against(folder: Path, one: m.Scenario, answer: bytes, *, by_reset: bool = False) -> tuple[int, str, str]:
    """Status, standard error and the only problem of a client whose server answers that, then ends."""
    with accepting() as (listening, address), dialling(written(one, folder), address) as client:
        connection, _ = listening.accept()
        connection.settimeout(DEADLINE)
        connection.recv(18, socket.MSG_WAITALL)
        connection.sendall(answer)
        if by_reset:
            reset(connection)
        else:
            connection.close()
        done = client.wait()
        (problem,) = done.seen.problems
        return done.status, done.errors, problem


def test_a_server_that_closes_early_is_a_failure(tmp_path: Path) -> None:
    """Short data is never taken for success; the line names connection, stream and operation."""
    status, errors, problem = _client_against(tmp_path, ASK, bytes(400))
    assert status == 1
    assert errors == f"{problem}\n"
    assert problem.startswith(f"connection 0 to server 0 ({HERE}:")
    assert problem.endswith("), stream 0, receive 1,000 bytes: the peer closed, 600 bytes are missing")


def test_a_server_that_resets_is_a_failure(tmp_path: Path) -> None:
    """The kernel's reason stands in the line."""
    status, _, problem = _client_against(tmp_path, ASK, b"", by_reset=True)
    assert status == 1
    assert problem.endswith("stream 0, receive 1,000 bytes: connection reset by peer")


def test_a_server_that_is_gone_while_something_is_sent_is_a_failure(tmp_path: Path) -> None:
    """A send into a closed connection is named as what it is."""
    one = scenario((m.Send(0, 10), m.Send(0, 500_000_000)))
    status, _, problem = _client_against(tmp_path, one, b"", by_reset=True)
    assert status == 1
    assert "stream 0, send 500,000,000 bytes: " in problem


def test_a_server_whose_time_was_up_first_is_no_failure(tmp_path: Path) -> None:
    """In a timed iterate either end may be the first to stop."""
    body = m.Iterate(m.Time(20_000), (m.Send(0, 10), m.Receive(0, 1000)), 0)
    with accepting() as (listening, address), dialling(written(scenario((body,)), tmp_path), address) as client:
        connection, _ = listening.accept()
        connection.recv(18, socket.MSG_WAITALL)
        connection.sendall(bytes(1400))
        reset(connection)
        done = client.wait()
    assert (done.status, done.errors) == (0, "")
    assert done.seen.connections[0].streams[0].cut


def test_nobody_listens(tmp_path: Path) -> None:
    """A refused connection is named with its address."""
    with accepting() as (_, address):
        pass
    with dialling(written(ASK, tmp_path), address) as client:
        done = client.wait()
    assert (done.status, done.errors) == (1, f"connection 0 to server 0 ({address}), connect: connection refused\n")


def test_a_host_that_has_no_address(tmp_path: Path) -> None:
    """A name that can't be resolved is named, before anything is armed."""
    with dialling(written(ASK, tmp_path), "nowhere.invalid:1") as client:
        done = client.wait()
    assert done.status == 1
    assert "'nowhere.invalid' can't be resolved" in done.errors


def test_an_address_that_isnt_this_hosts(tmp_path: Path) -> None:
    """A source address must be there."""
    with accepting() as (_, address), dialling(written(ASK, tmp_path), address, LOCAL_IP="192.0.2.1") as client:
        done = client.wait()
    assert done.status == 1
    assert "isn't this host's" in done.errors


def test_a_failure_ends_all_connections(tmp_path: Path) -> None:
    """A client doesn't go on with the others when one has failed."""
    one = scenario((m.Send(0, 10), m.Receive(0, 5)), client=(m.ClientScope(((m.Connect(0, 0, 0),),) * 3),))
    with accepting() as (listening, address), dialling(written(one, tmp_path), address) as client:
        connections = [listening.accept()[0] for _ in range(3)]
        connections[1].recv(18, socket.MSG_WAITALL)
        connections[1].close()
        done = client.wait()
        for connection in connections:
            connection.close()
    assert done.status == 1
    assert len(done.seen.connections) == 3
    assert len(done.seen.problems) == 1


def test_all_park_where_nobody_unparks(tmp_path: Path) -> None:
    """A deadlock inside the client is told from a slow network."""
    path = written(scenario((m.Send(0, 1), m.Park(3)), (m.Receive(0, 1),)), tmp_path)
    with serving(path) as (_, address), dialling(path, address) as client:
        done = client.wait()
    assert done.status == 1
    assert "checkpoint that nothing unparks" in done.errors


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    """The limit is named, and what raises it."""
    one = scenario((m.Receive(0, 1),), client=(m.ClientScope(((m.Connect(0, 0, 0),),) * 40),))
    limit = f"ulimit -n 30; exec {' '.join(PROGRAM)} client"
    with accepting() as (_, address):
        env = {**os.environ, "SCENARIO": str(written(one, tmp_path)), "SERVER_0": address}
        done = subprocess.run(
            ["sh", "-c", limit], env=env, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
    assert done.returncode == 1
    assert done.stderr.endswith("connect: too many open files: raise the limit (`ulimit -n`)\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("limit", [5, 6])
@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize("transport", ["tcp", "tls", "quic"])
def test_so_few_descriptors_that_nothing_can_be_set_up(transport: str, role: str, limit: int, tmp_path: Path) -> None:
    """One line, whatever it was that couldn't be opened."""
    if transport == "quic":
        pytest.importorskip("aioquic")
    one = certify(scenario((m.Send(0, 1),), (m.Receive(0, 1),)))
    env = {**os.environ, "SCENARIO": str(written(one, tmp_path)), "SERVER_0": f"{HERE}:1", "IP": HERE, "PORT": "0"}
    line = f"ulimit -n {limit}; exec {' '.join(WITH_PACKAGES)} {transport} {role}"
    done = subprocess.run(["sh", "-c", line], env=env, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("too many open files: raise the limit (`ulimit -n`)\n")
    assert done.stderr.count("\n") == 1


# --- a server whose clients misbehave ----------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "by_reset", "text"),
    [
        (b"", False, "the peer closed after 0 of 8 bytes of its number"),
        (bytes(5), False, "the peer closed after 5 of 8 bytes of its number"),
        (bytes(5), True, "its number: connection reset by peer"),
        ((7).to_bytes(8, "big"), False, "it asks for program 7, this server has 1"),
        (b"\xff" * 8, False, "it asks for program 18446744073709551615, this server has 1"),
        (PREAMBLE + bytes(4), False, "stream 0, receive 10 bytes: the peer closed, 6 bytes are missing"),
        (PREAMBLE + bytes(4), True, "stream 0, receive 10 bytes: connection reset by peer"),
    ],
)
def test_a_connection_that_fails_ends_alone(tmp_path: Path, said: bytes, by_reset: bool, text: str) -> None:
    """One line and a problem in the report; the next client is served as if nothing had been."""
    path = written(ASK, tmp_path)
    with serving(path) as (server, address):
        connection = dial(address)
        connection.sendall(said)
        if by_reset:
            _until_read(address, connection)
            reset(connection)
        else:
            connection.close()
        with dialling(path, address) as client:
            assert client.wait().status == 0
        done = server.stop()
    assert done.status == 0
    (problem,) = done.seen.problems
    assert done.errors == f"{problem}\n"
    assert problem.startswith(f"connection 0 from {HERE}:")
    assert problem.endswith(text)
    assert len(done.seen.connections) == 2


def _until_read(address: str, connection: socket.socket) -> None:
    """Wait until the server has got and taken what was sent: a reset would take it away."""
    port, ours = int(address.rpartition(":")[2]), connection.getsockname()[1]
    near, far = (f"{ours:04X}", f"{port:04X}"), (f"{port:04X}", f"{ours:04X}")
    while True:
        waiting = {}
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            unsent, unread = (int(one, 16) for one in fields[4].split(":"))
            waiting[fields[1].rpartition(":")[2], fields[2].rpartition(":")[2]] = (unsent, unread)
        if waiting.get(near, (1, 0))[0] == 0 and waiting.get(far, (0, 1))[1] == 0:
            return


def test_a_server_out_of_descriptors_says_so_and_goes_on(tmp_path: Path) -> None:
    """Connections wait until there is room again; it is said once, not for every attempt."""
    path = written(ASK, tmp_path)
    with serving(path) as (server, address):
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (8, 8))
        crowd = [dial(address) for _ in range(10)]
        assert server.process.stderr is not None
        line = server.process.stderr.readline()
        for one in crowd:
            one.close()
        with dialling(path, address) as client:
            assert client.wait().status == 0
        done = server.stop()
    assert "can't accept connection " in line
    assert "too many open files: raise the limit" in line
    assert done.seen.connections[-1].streams[0].received == 10


def test_who_says_nothing_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A server that expects one connection at a time takes others all the same."""
    path = written(ASK, tmp_path)
    with serving(path) as (server, address), dial(address), dial(address) as second:
        second.sendall(PREAMBLE)
        with dialling(path, address) as client:
            assert client.wait().status == 0
        done = server.stop()
    assert [[stream.received for stream in one.streams] for one in done.seen.connections] == [[], [0], [10]]


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """Named with its address."""
    with accepting() as (_, address):
        server = Running("server", written(ASK, tmp_path), {"IP": HERE, "PORT": address.rpartition(":")[2]})
        done = server.wait()
    assert (done.status, done.errors) == (1, f"can't listen on {address}: address already in use\n")


# --- signals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_stopped_reports(tmp_path: Path, by: signal.Signals) -> None:
    """Also connections that are open then, with what they carried until then."""
    with serving(written(ASK, tmp_path)) as (server, address), dial(address) as connection:
        connection.sendall(PREAMBLE + bytes(4))
        _until_read(address, connection)
        done = server.stop(by)
    assert (done.status, done.errors) == (0, "")
    (one,) = done.seen.connections
    assert one.streams[0].received == 4


def test_a_client_that_is_stopped_reports_and_ends_by_that_signal(tmp_path: Path) -> None:
    """Whoever waits for it sees that it didn't end by itself."""
    with accepting() as (listening, address), dialling(written(ASK, tmp_path), address) as client:
        connection, _ = listening.accept()
        connection.recv(18, socket.MSG_WAITALL)
        done = client.stop()
        connection.close()
    assert done.status == -signal.SIGTERM
    (problem,) = done.seen.problems
    assert problem.startswith("ended by SIGTERM")
    assert done.seen.connections[0].streams[0].sent == 10


def test_a_driver_that_is_asked_shows_its_stack(tmp_path: Path) -> None:
    """A hang can be looked into: SIGUSR1 prints where it is, and it goes on."""
    with serving(written(ASK, tmp_path)) as (server, _):
        server.process.send_signal(signal.SIGUSR1)
        assert server.process.stderr is not None
        lines = [server.process.stderr.readline()]
        while "in main" not in lines[-1]:
            lines.append(server.process.stderr.readline())
        assert "most recent call first" in lines[0]
        assert server.stop().status == 0


# --- what can't be run -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "isn't JSON"),
        ("{", "isn't JSON"),
        ('{"id":"x","clients":[],"servers":[]', "isn't JSON"),
        ('{"id":"x","clients":[]}', "servers"),
        ("[" * 100_000, "nested"),
    ],
)
def test_a_malformed_scenario_is_named(tmp_path: Path, text: str, line: str) -> None:
    """One line, status 2, and a report that says the same."""
    path = tmp_path / "scenario.json"
    path.write_text(text)
    done = Running("server", path, {}).wait()
    assert done.status == 2
    assert line in done.errors
    assert done.errors.count("\n") == 1
    assert done.seen.problems == (done.errors.strip(),)


@pytest.mark.parametrize(
    ("role", "env", "line"),
    [
        ("server", {"SERVER_ID": "1"}, "SERVER_ID: 1, the scenario has 1 servers"),
        ("client", {"CLIENT_ID": "4"}, "CLIENT_ID: 4, the scenario has 1 clients"),
        ("client", {}, "SERVER_0 is missing"),
        ("client", {"SERVER_0": "x"}, "SERVER_0: expected HOST:PORT"),
    ],
)
def test_a_wrong_environment_is_named(tmp_path: Path, role: str, env: dict[str, str], line: str) -> None:
    """The variable and what was expected, status 2, and a report."""
    done = Running(role, written(ASK, tmp_path), env).wait()
    assert done.status == 2
    assert line in done.errors
    assert len(done.seen.problems) == 1


def test_what_duplex_cant_carry_is_status_127(tmp_path: Path) -> None:
    """With one line that names it, on either side, before anything listens or connects."""
    one = scenario((m.OpenBidirectionalStream(1),))
    two = m.Connection(peer_streams=((m.Receive(0, 1),), (m.Receive(1, 1),)))
    both = m.Scenario("x", one.clients, (m.Server((two,)),))
    for role in ("client", "server"):
        done = Running(role, written(both, tmp_path), {"SERVER_0": f"{HERE}:1", "MULTIPLEX": "false"}).wait()
        assert done.status == 127
        assert done.errors.startswith(f"{role}s[0].connections[0] has 2 streams: ")


def test_a_router_is_refused(tmp_path: Path) -> None:
    """There is no program for one, so what it should do would silently not be done."""
    one = scenario((m.Send(0, 1),), client=(m.Connect(0, 0, 0, router_id=0),))
    routed = m.Scenario("x", one.clients, one.servers, routers=(m.Router(()),))
    done = Running("client", written(routed, tmp_path), {"SERVER_0": f"{HERE}:1"}).wait()
    assert done.status == 2
    assert "router 0" in done.errors


def test_an_operation_that_doesnt_exist_is_named(tmp_path: Path) -> None:
    """With the path of its element."""
    path = written(ASK, tmp_path)
    document = json.loads(path.read_text())
    document["clients"][0]["connections"][0]["ops"][0] = {"dance": {}}
    path.write_text(json.dumps(document))
    done = Running("client", path, {"SERVER_0": f"{HERE}:1"}).wait()
    assert done.status == 2
    assert "clients[0].connections[0].ops[0]" in done.errors


def test_a_report_that_cant_be_written_is_a_failure(tmp_path: Path) -> None:
    """A run without its record didn't succeed."""
    path = written(scenario((m.Send(0, 1),), (m.Receive(0, 1),)), tmp_path)
    with serving(path) as (_, address), dialling(path, address, NETBENCH_REPORT="/proc/report.json") as client:
        done = client.wait()
    assert done.status == 1
    assert "the report can't be written to /proc/report.json" in done.errors


def test_a_report_replaces_an_old_one_whole(tmp_path: Path) -> None:
    """Whoever reads while it is written sees the old or the new, never half."""
    path = written(ASK, tmp_path)
    with serving(path) as (server, _):
        server.path.write_text("old")
        server.stop()
        load(server.path.read_bytes())
    assert sorted(one.name for one in tmp_path.iterdir()) == ["scenario.json", "server-report.json"]
