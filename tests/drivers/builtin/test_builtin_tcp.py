"""Do client and server carry out scenarios over TCP? Whole runs of both, and what their reports say."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.catalog import connect, download, ping, request_response, upload
from pytest_netbench.telemetry.model import CpuScope, DriverReport, StreamBytes
from tests.drivers.builtin.builtin_processes import HERE, dialling, run, scenario, serving, written


def _bytes(report: DriverReport) -> list[tuple[int, int]]:
    return [(one.sent, one.received) for connection in report.connections for one in connection.streams]


def test_what_one_end_sends_the_other_counts(tmp_path: Path) -> None:
    """Exact bytes both ways, the stream by its number at the end that opened it."""
    server, client = run(
        scenario((m.Send(0, 1000), m.Receive(0, 3_000_000)), (m.Receive(0, 1000), m.Send(0, 3_000_000))), tmp_path
    )
    assert (server.status, client.status) == (0, 0)
    assert [one.streams for one in client.seen.connections] == [(StreamBytes(0, True, 1000, 3_000_000),)]
    assert [one.streams for one in server.seen.connections] == [(StreamBytes(0, False, 3_000_000, 1000),)]


def test_both_ends_report_the_same_connection(tmp_path: Path) -> None:
    """Its key is the same text; only the client knows how long connecting took; instants follow one another."""
    server, client = run(scenario((m.Send(0, 5), m.Receive(0, 5)), (m.Receive(0, 5), m.Send(0, 5))), tmp_path)
    (near,), (far,) = client.seen.connections, server.seen.connections
    assert near.key == far.key is not None
    assert (near.server, near.program, far.server, far.program) == (0, 0, 0, 0)
    assert near.connect_s is not None
    assert far.connect_s is None
    assert near.retransmits is not None
    assert client.seen.began_ns is not None
    assert near.first_byte_ns is not None
    assert far.last_byte_ns is not None
    assert client.seen.began_ns < far.last_byte_ns < near.first_byte_ns


def test_a_server_on_every_address_writes_the_same_key(tmp_path: Path) -> None:
    """What a dual-stack socket calls an IPv4 address is written as the client writes it."""
    path = written(scenario((m.Send(0, 1),), (m.Receive(0, 1),)), tmp_path)
    with serving(path, IP="::") as (server, address), dialling(path, f"{HERE}:{address.rpartition(':')[2]}") as client:
        near = client.wait().seen.connections[0].key
        assert near == server.stop().seen.connections[0].key


def test_a_client_dials_from_its_own_address(tmp_path: Path) -> None:
    """Where one is chosen."""
    path = written(scenario((m.Send(0, 1),), (m.Receive(0, 1),)), tmp_path)
    with serving(path) as (_, address), dialling(path, address, LOCAL_IP="127.0.0.77") as client:
        key = client.wait().seen.connections[0].key
    assert key is not None
    assert key.startswith("127.0.0.77:")


@pytest.mark.parametrize(
    ("one", "connections"),
    [
        (connect(connections=20), 20),
        (ping(time=0.05, size=[1000, 100_000]), 2),
        (request_response(response=2_000_000, connections=3), 3),
        (download(seconds=0.05, connections=2), 2),
        (upload(seconds=0.05), 1),
        (request_response(response=200_000, client_receive_rate=(100_000, 0.01)), 1),
    ],
    ids=["connect", "ping", "request_response", "down for a time", "up for a time", "rates"],
)
def test_the_catalogue_runs(tmp_path: Path, one: m.Scenario, connections: int) -> None:
    """Nothing is wrong at either end, and what was sent was received."""
    server, client = run(one, tmp_path)
    assert (server.errors, client.errors, server.status, client.status) == ("", "", 0, 0)
    assert len(client.seen.connections) == len(server.seen.connections) == connections
    for near, far in zip(client.seen.connections, server.seen.connections, strict=True):
        (here,), (there,) = near.streams, far.streams
        if here.cut or there.cut:
            assert there.received <= here.sent
            assert here.received <= there.sent
        else:
            assert (here.sent, here.received) == (there.received, there.sent)


def test_samples_are_taken_where_the_scenario_says(tmp_path: Path) -> None:
    """As many as bodies were repeated, by the names of the traces; marks beside them."""
    near = (m.Iterate(m.Count(7), (m.Send(0, 9), m.Trace(1), m.Receive(0, 9)), 0),)
    far = (m.Iterate(m.Count(7), (m.Receive(0, 9), m.Profile(1, (m.Send(0, 9),)))),)
    server, client = run(scenario(near, far), tmp_path)
    assert {name: len(taken) for name, taken in client.seen.samples.items()} == {"outer": 7}
    assert {name: len(taken) for name, taken in client.seen.marks.items()} == {"inner": 7}
    assert {name: len(taken) for name, taken in server.seen.samples.items()} == {"inner": 7}


def test_connections_beside_each_other_keep_to_their_own(tmp_path: Path) -> None:
    """Scopes of connects, sequences within, checkpoints between them and the client's own threads."""
    one = m.Connect(0, 0, 0)
    threads = (
        (one, one, m.Unpark(5)),
        (m.Park(5), m.Trace(0), one),
        (m.ClientSleep(1), m.ClientScope(((one,), (one,)))),
    )
    client = (m.ClientScope(threads), one)
    exchange = (m.Send(0, 100_000), m.Receive(0, 100_000))
    server, done = run(scenario(exchange, exchange, client=client), tmp_path)
    assert _bytes(server.seen) == _bytes(done.seen) == [(100_000, 100_000)] * 6
    assert len(done.seen.marks["outer"]) == 1


def test_checkpoints_of_a_client_hold_across_its_connections(tmp_path: Path) -> None:
    """One connection's thread lets another's go."""
    programs = (
        m.Connection(ops=(m.OpenBidirectionalStream(0), m.Park(1), m.Send(0, 1))),
        m.Connection(ops=(m.OpenBidirectionalStream(0), m.Send(0, 1), m.Unpark(1))),
    )
    client = m.Client((m.ClientScope(((m.Connect(0, 0, 0),), (m.Connect(0, 0, 1),))),), programs)
    one = m.Scenario("test", (client,), (m.Server((m.Connection(peer_streams=((m.Receive(0, 1),),)),)),))
    server, done = run(one, tmp_path)
    assert (done.status, _bytes(server.seen)) == (0, [(0, 1), (0, 1)])


def test_a_server_may_open_the_stream(tmp_path: Path) -> None:
    """The client then carries out the program for a stream of the peer."""
    client = m.Client((m.Connect(0, 0, 0),), (m.Connection(peer_streams=((m.Receive(0, 50_000),),)),))
    server = m.Server((m.Connection(ops=(m.OpenSendStream(4), m.Send(4, 50_000), m.SendFinish(4))),))
    one = m.Scenario("test", (client,), (server,))
    far, near = run(one, tmp_path)
    assert [one.streams for one in near.seen.connections] == [(StreamBytes(0, False, 0, 50_000),)]
    assert [one.streams for one in far.seen.connections] == [(StreamBytes(4, True, 50_000, 0),)]


def test_a_client_may_receive_first(tmp_path: Path) -> None:
    """The number of its program goes ahead where no send takes it along."""
    server, client = run(scenario((m.Receive(0, 10),), (m.Send(0, 10),)), tmp_path)
    assert (client.status, _bytes(server.seen)) == (0, [(10, 0)])


def test_receive_all_ends_when_the_peer_is_done(tmp_path: Path) -> None:
    """A stream ends with its connection."""
    _, client = run(scenario((m.Send(0, 1), m.ReceiveAll(0)), (m.Receive(0, 1), m.Send(0, 400_000))), tmp_path)
    assert (client.status, _bytes(client.seen)) == (0, [(1, 400_000)])


def test_cpu_is_counted_in_the_window_only(tmp_path: Path) -> None:
    """From the first connection to the last program's end: less than the process has used in all."""
    before = os.times()
    exchange = (m.Send(0, 1), m.Receive(0, 1))
    server, client = run(scenario(exchange, tuple(reversed(exchange))), tmp_path)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    for one in (server.seen, client.seen):
        assert one.cpu is not None
        assert one.cpu.scope is CpuScope.WINDOW
        assert 0 < one.cpu.seconds < used
        assert one.peak_rss is not None


def test_an_armed_client_begins_at_the_instant(tmp_path: Path) -> None:
    """It says that it is ready before it connects, and begins when it is told to, never before."""
    path = written(scenario((m.Send(0, 1),), (m.Receive(0, 1),)), tmp_path)
    reader, told = os.pipe()
    said, writer = os.pipe()
    with (
        serving(path) as (server, address),
        dialling(path, address, pass_fds=(reader, writer), NETBENCH_ARM=f"{reader},{writer}") as client,
    ):
        assert os.read(said, 100) == b"armed\n"
        instant = time.monotonic_ns() + 30_000_000
        os.write(told, b"%d\n" % instant)
        began = client.wait().seen.began_ns
        assert began is not None
        assert began >= instant
        assert server.stop().seen.connections
    for one in (reader, told, said, writer):
        os.close(one)


def test_a_client_that_is_never_told_ends(tmp_path: Path) -> None:
    """The end of the pipe instead of an instant: nothing was connected."""
    path = written(scenario((m.Send(0, 1),)), tmp_path)
    reader, told = os.pipe()
    said, writer = os.pipe()
    with dialling(path, f"{HERE}:1", pass_fds=(reader, writer), NETBENCH_ARM=f"{reader},{writer}") as client:
        os.close(told)
        done = client.wait()
    assert (done.status, done.seen.connections) == (1, ())
    assert "no instant to begin came" in done.errors
    for one in (reader, said, writer):
        os.close(one)


def test_options_reach_the_sockets(tmp_path: Path) -> None:
    """Also those that only the server has; a small buffer still carries everything."""
    options = {"tcp.nodelay": "false", "tcp.receive_buffer": "4096", "tcp.congestion_control": "reno"}
    one = scenario((m.Send(0, 200_000),), (m.Receive(0, 200_000),), server=options)
    server, client = run(one, tmp_path)
    assert (server.errors, client.status, _bytes(server.seen)) == ("", 0, [(0, 200_000)])
