"""Is a real driver's trace read as what it did, and its garbage told?"""

from __future__ import annotations

import pytest

from pytest_netbench.roles import Role
from pytest_netbench.telemetry.model import StreamBytes
from pytest_netbench.telemetry.stdio_lines import Garbage, duration_s, lines
from pytest_netbench.telemetry.stdio_trace import Written, parse
from tests.telemetry.trace_cases import BOTH_WAYS, EXCHANGE, PING, TWO_STREAMS, read

SECOND = 1_000_000_000
EXCHANGES = ["tcp_exchange", "tcp_exchange_verbose", "tls_exchange", "native_tls_exchange", "quic_exchange"]


@pytest.mark.parametrize("name", EXCHANGES)
def test_bytes_are_those_of_the_scenario(name: str) -> None:
    """Every connection, each stream's bytes, at both ends, of all four drivers."""
    client, server = read(name, EXCHANGE, Role.CLIENT), read(name, EXCHANGE, Role.SERVER)
    assert client.problems == server.problems == ()
    assert [one.streams for one in client.connections] == [(StreamBytes(0, True, 1000, 100_000),)] * 3
    assert [one.streams for one in server.connections] == [(StreamBytes(0, False, 100_000, 1000),)] * 3


@pytest.mark.parametrize("name", EXCHANGES)
def test_samples_have_the_names_of_the_scenario(name: str) -> None:
    """Numbers are looked up, names of a verbose trace taken as they are; one sample a connection."""
    assert {key: len(of) for key, of in read(name, EXCHANGE, Role.CLIENT).samples.items()} == {"exchange": 3}
    assert {key: len(of) for key, of in read(name, EXCHANGE, Role.SERVER).samples.items()} == {"response": 3}


@pytest.mark.parametrize("name", EXCHANGES)
def test_only_clients_know_connect_times(name: str) -> None:
    """Dial to usable; a server's own figure means something else."""
    assert all((one.connect_s or 0) > 0 for one in read(name, EXCHANGE, Role.CLIENT).connections)
    assert all(one.connect_s is None for one in read(name, EXCHANGE, Role.SERVER).connections)


def test_a_clients_lines_are_on_one_axis() -> None:
    """One note of when something stood there dates them all."""
    report = read("tcp_exchange", EXCHANGE, Role.CLIENT, first_ns=SECOND)
    assert report.began_ns is not None
    assert report.began_ns < SECOND < (report.first_byte_ns or 0) < (report.last_byte_ns or 0)
    first, _, last = report.connections
    assert (first.last_byte_ns or 0) < (last.first_byte_ns or 0)


def test_a_clients_zero_is_as_late_as_all_notes_allow() -> None:
    """What stood there was stamped before; but nothing began before it was executed."""
    output = b"0:00:00.001 [0] open[0]\n0:00:00.050 [0] send[0]=1\n0:00:00.060 [0] send[0]=1\n"
    late, exact = Written(SECOND + 41_000_000, 24), Written(SECOND + 50_000_000, 50)
    zero = parse(output, EXCHANGE, Role.CLIENT, 0, written=[late]).began_ns
    assert zero == SECOND + 40_000_000
    assert parse(output, EXCHANGE, Role.CLIENT, 0, written=[late, exact]).began_ns == SECOND
    report = parse(output, EXCHANGE, Role.CLIENT, 0, written=[late, exact], executed_ns=SECOND + 5)
    assert report.began_ns == SECOND + 5


def test_without_an_instant_nothing_is_dated() -> None:
    """What isn't known is left out, the bytes aren't."""
    report = read("tcp_exchange", EXCHANGE, Role.CLIENT)
    assert (report.began_ns, report.first_byte_ns, report.last_byte_ns) == (None, None, None)
    assert report.connections[0].first_byte_ns is None


@pytest.mark.parametrize("name", ["tcp_exchange", "quic_exchange"])
def test_a_servers_connections_are_placed_by_the_order_of_lines(name: str) -> None:
    """Each counts from its own beginning; what stands later was written later."""
    report = read(name, EXCHANGE, Role.SERVER, first_ns=SECOND)
    first, _, last = report.connections
    assert SECOND <= (first.first_byte_ns or 0) <= (last.first_byte_ns or 0)
    assert report.began_ns is None


PAUSE = b"""\
0:00:00.000001 [0] conn[0]=0us
0:00:00.000005 [0] recv[0]=10
0:00:00.000001 [0] conn[1]=0us
0:00:00.000007 [1] recv[0]=20
"""


def test_the_collector_dates_what_comes_after_a_pause() -> None:
    """A line beyond the output's length at a sample was written after that sample."""
    record = [Written(SECOND, 0), Written(3 * SECOND, 61)]
    report = parse(PAUSE, EXCHANGE, Role.SERVER, 0, first_ns=SECOND, written=record)
    first, second = report.connections
    assert first.first_byte_ns == SECOND + 4_000
    assert second.first_byte_ns == 3 * SECOND + 6_000


def test_points_of_a_trace_are_dated() -> None:
    """An operation ``trace`` marks an instant, where instants are known."""
    output = b"0:00:00.001 [0] open[0]\n0:00:00.004 [0] trce[1]\n"
    note = [Written(SECOND, 24)]
    assert parse(output, EXCHANGE, Role.CLIENT, 0, written=note).marks == {"response": (SECOND + 3_000_000,)}
    assert parse(output, EXCHANGE, Role.CLIENT, 0).marks == {}


def test_a_timed_iterate_cuts_its_stream() -> None:
    """Its bytes may differ between the ends: the report says so."""
    for name in ("tcp_ping", "quic_ping"):
        for role in Role:
            (connection,) = read(name, PING, role).connections
            assert [one.cut for one in connection.streams] == [True]
    assert len(read("quic_ping", PING, Role.CLIENT).samples["ping 1KB"]) > 50


def test_streams_are_told_apart() -> None:
    """Several on one connection, each with its own bytes."""
    (client,) = read("tcp_multiplex", TWO_STREAMS, Role.CLIENT).connections
    assert client.streams == (StreamBytes(0, True, 500, 40_000), StreamBytes(1, True, 600, 50_000))
    (server,) = read("tcp_multiplex", TWO_STREAMS, Role.SERVER).connections
    assert server.streams == (StreamBytes(0, False, 40_000, 500), StreamBytes(1, False, 50_000, 600))


def test_a_verbose_trace_says_who_opened_a_stream() -> None:
    """Both ends may open a stream of the same number; the scopes tell which is meant."""
    (client,) = read("tcp_both_ways_verbose", BOTH_WAYS, Role.CLIENT).connections
    assert client.streams == (StreamBytes(0, False, 80, 700), StreamBytes(0, True, 500, 40_000))


def test_short_data_is_seen() -> None:
    """A client that exits 0 although its server spoke another mode has received nothing."""
    report = read("tcp_modes_differ", EXCHANGE, Role.CLIENT)
    assert [one.streams[0].received for one in report.connections] == [0, 0, 0]
    assert report.first_byte_ns is None


@pytest.mark.parametrize(
    "line",
    [
        b"hello world",
        b"\x00\xff\xfe",
        b"",
        b"0:00:00.000001 [0] send[0]",
        b"0:00:00.000001 [0] open[0]=7",
        b"0:00:00.000001 [0] send[x]=7",
        b"0:00:00.000001 [0] send[0]=-7",
        b"0:00:00.000001 [0] recv[0]=18446744073709551606",
        b"0:00:00.000001 [0] prof[9]=1ms",
        b"0:00:00.000001 [0] prof[0]=1 ms",
        b"0:00:00.000001 [0] conn[0]=fast",
        b"0:00:61 [0",
    ],
)
@pytest.mark.parametrize("role", Role)
def test_garbage_is_told_and_the_rest_read(line: bytes, role: Role) -> None:
    """Whatever a line is, the others count, and the report names the first that isn't one of a trace."""
    good = b"0:00:00.000001 [0] recv[0]=5\n"
    report = parse(good + line + b"\n" + good, EXCHANGE, role, 0, first_ns=SECOND)
    assert report.connections[0].streams[0].received == 10
    if b"conn" not in line or role is Role.CLIENT:
        assert len(report.problems) == 1
        assert "1 lines of its output are no trace" in report.problems[0]


def test_a_last_line_without_an_end_is_garbage() -> None:
    """An output that was cut, by a full disk, is told."""
    cut = b"0:00:00.000001 [0] recv[0]=50000"
    assert list(lines(cut)) == [Garbage(0, cut)]


def test_an_unknown_program_is_told() -> None:
    """A connection that follows no program of the scenario is a problem, not a crash."""
    report = parse(b"0:00:00.000001 [4] conn[7]=1us\n", EXCHANGE, Role.CLIENT, 0)
    assert report.problems == ("connection 4 follows program 7 of 1",)
    assert report.connections[0].program is None


def test_nothing_is_an_empty_report() -> None:
    """A driver that wrote nothing did nothing."""
    report = parse(b"", EXCHANGE, Role.CLIENT, 0, first_ns=SECOND)
    assert (report.connections, report.samples, report.problems) == ((), {}, ())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0ns", 0), ("150ns", 1.5e-7), ("1µs", 1e-6), ("126us", 1.26e-4), ("129.4ms", 0.1294), ("2.933024s", 2.933024)],
)
def test_durations_are_rusts(text: str, seconds: float) -> None:
    """All units of its debug format, exactly."""
    assert duration_s(text) == seconds


def test_a_whole_second_has_no_fraction() -> None:
    """The fraction is absent when it is zero; hours don't end at 24."""
    times = [
        one.at_ns for one in lines(b"0:00:01 [0] open[0]\n100:01:01.5 [0] open[0]\n") if not isinstance(one, Garbage)
    ]
    assert times == [SECOND, 360_061_500_000_000]
