"""Is a smaller or larger scenario the same one, in other numbers, and do both ends agree on it?"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.catalog import (
    bidi,
    connect,
    download,
    fan_in,
    handshakes,
    open_loop,
    ping,
    request_response,
    requests,
    upload,
)
from pytest_netbench.scenario.certificates import certify
from pytest_netbench.scenario.model import Connection, Receive, Scenario, Send
from pytest_netbench.scenario.scale import Part, scaled, shortest_loop_s, smaller
from pytest_netbench.scenario.walk import connects, walk


def test_a_transfer_has_fewer_bytes() -> None:
    """Where nothing is repeated; its request stays what it is."""
    made = analyse(smaller(download(1_000_000, connections=3)) or connect(0))
    assert (made.connects, made.client_to_server_bytes, made.server_to_client_bytes) == (3, 3000, 300_000)


def test_dials_in_a_row_are_fewer() -> None:
    """And each stays what it is: its cost is that of an operation."""
    made = analyse(smaller(connect(1000)) or connect(0))
    assert (made.connects, made.server_to_client_bytes) == (100, 100)


def test_a_time_is_shorter() -> None:
    """On both sides."""
    made = smaller(ping(time=1.0, size=[1000])) or connect(0)
    assert analyse(made).shortest_s == 0.1


def test_bytes_that_a_time_ends_stay_as_they_are() -> None:
    """Fewer in each send would be as many in all."""
    assert smaller(download(seconds=1), whole_seconds=True) is None
    assert analyse(smaller(upload(seconds=4), whole_seconds=True) or connect(0)).shortest_s == 1


@pytest.mark.parametrize(("seconds", "less"), [(10, 1.0), (4, 1.0), (3.0, None), (1, None), (2.5, None)])
def test_a_time_in_whole_seconds_stays_one(seconds: float, less: float | None) -> None:
    """For tools that take no other; where none is left, there is nothing to divide."""
    made = smaller(handshakes(seconds=seconds), whole_seconds=True)
    assert (None if made is None else analyse(made).shortest_s) == less


@pytest.mark.parametrize("fresh", [False, True])
def test_arrivals_are_fewer(fresh: bool) -> None:
    """At the same rate; where the server counts them, it awaits as many."""
    made = smaller(open_loop(rate=100, seconds=2, request=10, response=30, fresh=fresh))
    assert made is not None
    found = analyse(made)
    assert (found.client_to_server_bytes, found.server_to_client_bytes) == (200, 600)
    assert found.shortest_s == pytest.approx(0.2, abs=0.02)


def test_nothing_to_divide_is_nothing() -> None:
    """One byte there and back stays what it is."""
    assert smaller(connect(1)) is None


@pytest.mark.parametrize(
    "scenario",
    [
        download(123_457, request=17),
        upload(99_999, connections=2),
        fan_in(clients=3, upload=70_001),
        request_response(response=100_003, unblock=33_334, count=2),
        request_response(response=100_000, connections=30),
        ping(time=2.0),
        bidi(bytes=70_001),
        requests(),
        open_loop(rate=101),
    ],
    ids=str,
)
def test_both_ends_agree(scenario: Scenario) -> None:
    """What one sends the other receives, also where a transfer is received in two parts."""
    made = smaller(scenario)
    assert made is not None
    before, after = analyse(scenario), analyse(made)
    for name in ("client_to_server_bytes", "server_to_client_bytes"):
        less: Any = getattr(after, name)
        assert less is None or less <= getattr(before, name)
    for client in made.clients:
        for one in connects(client.scenario):
            near = client.connections[one.client_connection_id]
            far = made.servers[one.server_id].connections[one.server_connection_id]
            assert _moved(near, Send) == _moved(far, Receive)
            assert _moved(far, Send) == _moved(near, Receive)


def _moved(connection: Connection, kind: type[Send | Receive]) -> int:
    """Bytes of all operations of a kind, each once where it stands."""
    programs = (connection.ops, *connection.peer_streams)
    return sum(one.bytes for ops in programs for one, _ in walk(ops, "") if isinstance(one, kind))


def test_certificates_stay() -> None:
    """Both sizes are run with the same: they stand for the scenario's id."""
    scenario = certify(download(1_000_000))
    made = smaller(scenario)
    assert made is not None
    assert (made.id, made.certificates) == (scenario.id, scenario.certificates)


@pytest.mark.parametrize("factor", [Fraction(1, 8), Fraction(1, 3), Fraction(4), Fraction(64)])
def test_so_many_times_as_much(factor: Fraction) -> None:
    """Bytes, dials in a row, arrivals and times; both ends agree."""
    times = float(factor)
    made = scaled(download(30_000_000), factor, Part.BYTES)
    assert made is not None
    assert analyse(made).server_to_client_bytes == int(30_000_000 * factor)
    assert scaled(download(30_000_000), factor, Part.REPETITIONS) is None
    for scenario, far in ((connect(1000), 1000), (open_loop(rate=2400), 2400 * 1000)):
        made = scaled(scenario, factor, Part.REPETITIONS)
        assert made is not None
        assert analyse(made).server_to_client_bytes == pytest.approx(far * times, rel=0.01)


def test_the_shortest_time_for_which_something_is_repeated() -> None:
    """Of loops on connections and of dials; none where no time decides."""
    assert shortest_loop_s(ping(time=0.3)) == 0.3
    assert shortest_loop_s(download(1_000_000)) is None
