"""Does the driver carry out what extends netbench's language? Whole runs of both ends, and what their reports say."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench import Scenario, handshakes, idle, ms, open_loop, ping, requests
from pytest_netbench.drivers.builtin import frames
from pytest_netbench.drivers.builtin.carrier import FRESH
from pytest_netbench.drivers.builtin.extension_support import HAS
from pytest_netbench.drivers.builtin.frames import Tag
from pytest_netbench.drivers.builtin.settings import Transport
from pytest_netbench.drivers.builtin_row import ROWS
from pytest_netbench.result.extended import undone
from pytest_netbench.result.validity import judge
from pytest_netbench.roles import Role
from pytest_netbench.scenario import extensions as x
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.certificates import certify
from pytest_netbench.scenario.features import PLAIN
from pytest_netbench.telemetry.model import DriverReport, Ending, HostReport, StreamBytes
from tests.drivers.builtin.builtin_processes import HERE, OPEN, Running, dial, dialling, run, serving, written
from tests.drivers.builtin.builtin_processes import scenario as between
from tests.drivers.builtin.test_builtin_tls import configured


def carried(scenario: Scenario, folder: Path, transport: str = "tcp") -> tuple[DriverReport, DriverReport]:
    """Server and client, both ended well, with equal bytes and nothing undone but a load that a busy machine lost."""
    server, client = run(scenario, folder, transport=transport)
    assert (server.status, client.status) == (0, 0), server.errors + client.errors
    sides = ((Role.SERVER, server.seen), (Role.CLIENT, client.seen))
    hosts = [HostReport(role.value, role, 0, True, 0, 1, seen, Ending(0, None, True), None) for role, seen in sides]
    reasons = judge(scenario, analyse(scenario), hosts, 0.0, True, 0)
    assert not [one for one in reasons if "makes a load that was carried" not in one]
    return server.seen, client.seen


def test_connections_are_repeated_for_a_time(tmp_path: Path) -> None:
    """One after another in each thread; the last of each is carried to its end."""
    server, client = carried(handshakes(seconds=500 * ms, connections=2), tmp_path)
    assert len(client.connections) == len(server.connections) > 2
    assert {(one.sent, one.received) for each in client.connections for one in each.streams} == {(1, 1)}
    instants = [one.usable_ns for one in client.connections if one.usable_ns is not None]
    assert max(instants) - min(instants) < 30e9
    assert len(instants) == len(client.connections)


@pytest.mark.parametrize("poisson", [False, True])
def test_arrivals_on_a_shared_stream_are_offered_and_achieved(tmp_path: Path, poisson: bool) -> None:
    """As many as scheduled, on each of two connections; the load is told for both together."""
    scenario = open_loop(rate=500, request=100, response=200, seconds=0.2, connections=2, poisson=poisson)
    _, client = carried(scenario, tmp_path)
    load = client.loads["request"]
    assert load.due is not None
    assert (load.due.loops, load.due.events, load.done.events) == (2, 100, 100)
    assert len(client.samples["request"]) == 100


def test_the_offered_load_is_the_rate_of_the_schedule(tmp_path: Path) -> None:
    """By the intended instants, so exactly, however busy the machine is."""
    _, client = carried(open_loop(rate=500, seconds=0.1), tmp_path)
    load = client.loads["request"]
    assert load.due is not None
    assert load.due.rate == 500


@pytest.mark.parametrize("transport", ["tcp", "tls", "quic"])
@pytest.mark.parametrize("fresh", [False, True], ids=["one stream", "fresh streams"])
def test_a_server_that_is_overloaded_makes_the_round_invalid(tmp_path: Path, transport: str, fresh: bool) -> None:
    """More is offered than any processor does; every arrival ends, and it is said how far behind."""
    if transport == "quic":
        pytest.importorskip("aioquic")
    scenario = open_loop(rate=1_000_000, request=10, response=10, seconds=1 * ms, fresh=fresh)
    server, client = run(certify(scenario) if transport != "tcp" else scenario, tmp_path, transport=transport)
    assert (server.status, client.status) == (0, 0), server.errors + client.errors
    hosts = [HostReport("client", Role.CLIENT, 0, True, 0, 1, client.seen, Ending(0, None, True), None)]
    load, (reason,) = client.seen.loads["request"], undone(scenario, [], hosts)
    assert (load.done.events, load.due and load.due.rate) == (1000, 1_000_000)
    assert "achieved of 1000000 1/s offered" in reason


@pytest.mark.parametrize("scheduled", [False, True])
def test_each_request_has_a_stream_of_its_own(tmp_path: Path, scheduled: bool) -> None:
    """Their bytes are told together under the number that they were opened with."""
    scenario = (
        open_loop(rate=500, request=100, response=300_000, seconds=0.2, fresh=True)
        if scheduled
        else requests(100, 300_000, seconds=100 * ms, parallel=3)
    )
    server, client = carried(scenario, tmp_path)
    load, (connection,) = client.loads["request"], client.connections
    count = load.done.events
    assert load.done.loops == (1 if scheduled else 3)
    assert count == 100 if scheduled else count > 0
    assert len(connection.streams) == (1 if scheduled else 3)
    assert sum(one.received for one in connection.streams) == count * 300_000
    assert sum(one.received for each in server.connections for one in each.streams) == count * 100


def test_a_server_opens_streams_afresh_too(tmp_path: Path) -> None:
    """More of them than a peer lets be opened at first."""
    ops = (m.Iterate(m.Count(300), (m.OpenSendStream(1, fresh=True), m.Send(1, 7), m.SendFinish(1))),)
    idle_stream = (m.ReceiveFinish(0),)
    near = m.Connection(peer_streams=(idle_stream, (m.Receive(1, 7), m.ReceiveFinish(1))))
    far = m.Connection(ops=(m.OpenSendStream(0), m.SendFinish(0), *ops))
    scenario = m.Scenario("x", (m.Client((m.Connect(0, 0, 0),), (near,)),), (m.Server((far,)),))
    _, client = carried(scenario, tmp_path)
    assert StreamBytes(1, False, 0, 2100) in client.connections[0].streams


def test_memory_is_read_with_all_connections_open(tmp_path: Path) -> None:
    """At both ends, before the first of them closes."""
    server, client = carried(idle(connections=50, seconds=20 * ms), tmp_path)
    for seen in (server, client):
        assert seen.held is not None
        assert seen.held.connections == 50
        assert seen.held.rss >= seen.held.before > 1_000_000


def plain(*connects: Any, ops: Sequence[Any] = ()) -> Scenario:
    """One program, dialled so."""
    near, far = m.Connection((OPEN, *ops)), m.Connection(peer_streams=((),))
    return m.Scenario("x", (m.Client(connects, (near,)),), (m.Server((far,)),))


DIAL = m.Connect(0, 0, 0)


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize(
    ("scenario", "text"),
    [
        (plain(DIAL, m.Connect(0, 0, 0, None, resume=True)), "'resumption' (sessions that are resumed)"),
        (plain(DIAL, m.Connect(0, 0, 0, None, True, True)), "'early_data' (data that goes with the handshake)"),
        (plain(DIAL, ops=(x.SendDatagram(1),)), "'datagrams' (datagrams)"),
    ],
    ids=["resumption", "early data", "datagrams"],
)
def test_what_tcp_does_not_have_is_unsupported_by_name(
    tmp_path: Path, scenario: Scenario, text: str, role: str
) -> None:
    """Exit status 127 and one line, before anything listens or is dialled."""
    path = written(scenario, tmp_path)
    process = Running(role, path, {"IP": HERE, "PORT": "0", "SERVER_0": f"{HERE}:1"})
    try:
        done = process.wait()
    finally:
        process.kill()
    assert done.status == 127
    assert text in done.errors


def test_without_multiplexing_there_are_no_fresh_streams(tmp_path: Path) -> None:
    """Switched off, it is unsupported, with the connection and how many streams it has."""
    path = written(requests(), tmp_path)
    with dialling(path, "127.0.0.1:1", MULTIPLEX="false") as client:
        done = client.wait()
    assert done.status == 127
    assert "clients[0].connections[0] has 2 streams" in done.errors


def _asked(number: int) -> bytes:
    """A stream that is opened afresh for the ``number``-th time, a request of ten bytes, its end."""
    stream = number * FRESH
    data = frames.DATA(Tag.STREAM_DATA, stream, frames.MINE, 10) + bytes(10)
    return frames.OPEN(Tag.STREAM_OPEN, stream, 1) + data + frames.FINISH(Tag.STREAM_FINISH, stream, frames.MINE)


def test_what_comes_late_for_a_stream_that_is_over_is_passed_over(tmp_path: Path) -> None:
    """A peer may allow more on it before it has learnt of the end; the stream's bytes are told all the same."""
    path = written(requests(10, 20), tmp_path)
    with serving(path) as (server, address), dial(address) as connection:
        connection.sendall(bytes(8) + b"".join(map(_asked, range(3))))
        left = 3 * (14 + 20 + 10)
        while left:
            left -= len(connection.recv(left))
        connection.sendall(frames.MAX_DATA(Tag.MAX_STREAM_DATA, FRESH, frames.MINE, 500_000))
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
        done = server.stop()
    assert (done.status, done.errors) == (0, "")
    assert done.seen.connections[0].streams == (StreamBytes(0, False, 60, 30),)


def test_a_stream_is_opened_afresh_only_where_the_scenario_says_so(tmp_path: Path) -> None:
    """Elsewhere it is a stream without a program."""
    path = written(ping(time=0.1, size=[10]), tmp_path)
    with serving(path, MULTIPLEX="true") as (server, address), dial(address) as connection:
        connection.sendall(bytes(8) + _asked(1))
        while connection.recv(65536):
            pass
        done = server.stop()
    assert f"it opens stream {FRESH}, there are programs for 1" in done.errors


# --- sessions ----------------------------------------------------------------------------------


def often(one: Scenario, times: int) -> Scenario:
    """The same, in which what is repeated for a time is repeated so many times, however long that takes."""
    (client,) = one.clients
    (scope,) = client.scenario
    assert isinstance(scope, m.ClientScope)
    threads = tuple(
        tuple(replace(op, value=m.Count(times)) if isinstance(op, x.Repeat) else op for op in thread)
        for thread in scope.threads
    )
    return replace(one, clients=(replace(client, scenario=(replace(scope, threads=threads),)),))


@pytest.mark.parametrize(
    "options",
    [{}, {"tls.version": "1.2"}, {"tls.connection_id": "sni"}],
    ids=["1.3", "1.2", "by name"],
)
def test_sessions_are_resumed(tmp_path: Path, options: dict[str, str]) -> None:
    """Each connection that is to goes on with the session of one before; those that aren't say nothing."""
    scenario = configured(certify(often(handshakes(connections=2, resume=True), 3)), options)
    _, client = carried(scenario, tmp_path, transport="tls")
    resumed = [one.resumed for one in client.connections]
    assert (resumed.count(None), resumed.count(True)) == (2, 2 * 3)
    assert len(resumed) == 2 + 2 * 3


def test_sessions_are_resumed_with_many_streams(tmp_path: Path) -> None:
    """Multiplexed as well."""
    (client,), (server,) = (scenario := requests(10, 20)).clients, scenario.servers
    dials = (DIAL, x.Repeat(m.Count(3), (m.Connect(0, 0, 0, None, resume=True),)))
    (loop,) = client.connections[0].ops
    assert isinstance(loop, m.Iterate)
    programs = (m.Connection((replace(loop, value=m.Count(2)),)),)
    twice = replace(scenario, clients=(replace(client, scenario=dials, connections=programs),), servers=(server,))
    _, seen = carried(certify(twice), tmp_path, transport="tls")
    assert [one.resumed for one in seen.connections] == [None, True, True, True]


def test_early_data_goes_with_the_handshake(tmp_path: Path) -> None:
    """Over QUIC, with a session to go on with; each connection tells that it was taken."""
    pytest.importorskip("aioquic")
    scenario = certify(often(handshakes(connections=2, early_data=True), 3))
    _, client = carried(scenario, tmp_path, transport="quic")
    assert [one.early_data for one in client.connections].count(None) == 2
    resumed = [one for one in client.connections if one.resumed is not None]
    assert len(resumed) == 2 * 3
    assert all(one.resumed and one.early_data for one in resumed)


def test_early_data_that_is_not_taken_is_sent_again(tmp_path: Path) -> None:
    """Of two server processes each knows its own sessions alone: with the other's, the handshake is a whole one."""
    pytest.importorskip("aioquic")
    size, dials = 300_000, (DIAL, *(m.Connect(0, 0, 0, None, True, True),) * 30)
    one = between((m.Send(0, size), m.Receive(0, 1)), (m.Receive(0, size), m.Send(0, 1)), client=dials)
    server, client = run(configured(certify(one), {"processes": "2"}, {}), tmp_path, transport="quic")
    assert (server.status, server.errors, client.status, client.errors) == (0, "", 0, "")
    tried = [(one.resumed, one.early_data) for one in client.seen.connections[1:]]
    assert set(tried) == {(True, True), (False, False)}
    assert {one.streams[0].received for one in server.seen.connections} == {size}
    hosts = [HostReport("client", Role.CLIENT, 0, True, 0, 1, client.seen, Ending(0, None, True), None)]
    taken = tried.count((True, True))
    told = [f"client: {name}: {taken}/30 connections" for name in ("resumed", "early_data")]
    assert list(undone(one, (), hosts)) == told


@pytest.mark.parametrize(
    "scenario",
    [
        requests(10, 20_000, seconds=100 * ms, parallel=2),
        open_loop(rate=100, seconds=0.1, fresh=True),
        handshakes(seconds=50 * ms),
        idle(connections=5, seconds=20 * ms),
    ],
    ids=str,
)
def test_quic_has_the_same(tmp_path: Path, scenario: Scenario) -> None:
    """One interpreter over all transports."""
    pytest.importorskip("aioquic")
    server, client = carried(certify(scenario), tmp_path, transport="quic")
    assert len(server.connections) == len(client.connections) > 0
    assert all(one.stream < FRESH for each in client.connections for one in each.streams)


def exchanged(size: int, *, answers: int = 30, patience_ms: int = 20_000) -> Scenario:
    """Thirty datagrams there, and so many back, outside of any stream."""
    near = m.Iterate(m.Count(30), (x.SendDatagram(size), x.ReceiveDatagram(patience_ms)))
    far = m.Iterate(m.Count(answers), (x.ReceiveDatagram(patience_ms), x.SendDatagram(7)))
    ends = m.Connection((near,)), m.Connection((far,))
    return certify(m.Scenario("x", (m.Client((DIAL,), ends[:1], certificate_authorities=(0,)),), (m.Server(ends[1:]),)))


def test_datagrams_are_counted_at_both_ends(tmp_path: Path) -> None:
    """Those sent, and those that arrived."""
    pytest.importorskip("aioquic")
    server, client = carried(exchanged(500), tmp_path, transport="quic")
    (near,), (far,) = client.connections, server.connections
    assert near.datagrams is not None
    assert far.datagrams is not None
    assert (near.datagrams[0], far.datagrams[0]) == (30, 30)
    assert 0 < far.datagrams[1] <= 30


def test_a_datagram_that_never_comes_is_no_failure(tmp_path: Path) -> None:
    """After its time, what follows goes on."""
    pytest.importorskip("aioquic")
    quick = exchanged(5, answers=29, patience_ms=500)
    _, client = carried(quick, tmp_path, transport="quic")
    assert client.connections[0].datagrams is not None
    assert client.connections[0].datagrams[1] <= 29


def test_a_datagram_that_no_packet_takes_is_named(tmp_path: Path) -> None:
    """With what one takes; it isn't cut in pieces."""
    pytest.importorskip("aioquic")
    server, client = run(exchanged(60_000, answers=1), tmp_path, transport="quic")
    assert client.status == 1
    assert "send a datagram of 60,000 bytes: a packet takes 1," in client.errors
    assert server.status == 0


@pytest.mark.parametrize("transport", HAS)
def test_a_row_says_what_its_program_has(transport: Transport) -> None:
    """The coordinator decides by the row, the program by its own table."""
    assert ROWS[transport.value].features == frozenset(one.word for one in PLAIN | HAS[transport])
