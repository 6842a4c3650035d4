"""Does the analysis know what a scenario does, and at what a real driver fails?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from pytest_netbench import KB, MB, Scenario, connect, ms, ping, request_response
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.features import Feature
from tests.scenario.strategies import SCENARIOS


def of(near: tuple[Any, ...], far: tuple[Any, ...], id_: str = "x") -> Scenario:
    """One connection with these programs."""
    client = m.Client((m.Connect(0, 0, 0),), (m.Connection(ops=(m.OpenBidirectionalStream(0), *near)),))
    return Scenario(id_, (client,), (m.Server((m.Connection(peer_streams=(far,)),)),), traces=("t",))


def test_bytes_are_counted_through_everything_nested() -> None:
    """Counts of iterates multiply, scopes add, every dial counts."""
    inner = m.Iterate(m.Count(3), (m.Scope(((m.Send(0, 5),), (m.Profile(0, (m.Send(0, 2),)),))),))
    found = analyse(of((inner, m.SendFinish(0)), (m.Receive(0, 21),)))
    assert found.client_to_server_bytes == 21


def test_a_time_decides_about_bytes() -> None:
    """What is sent inside a timed iterate isn't known before."""
    found = analyse(ping(time=1, size=[1 * KB]))
    assert (found.client_to_server_bytes, found.server_to_client_bytes) == (None, None)


@pytest.mark.parametrize(
    ("scenario", "seconds"),
    [
        (ping(time=250 * ms, size=[1, 2, 3]), 0.75),
        (request_response(delay=100 * ms, connections=3), 0.3),
        (request_response(response=1 * MB, server_send_rate=100 * KB), 9.0),
        (connect(connections=5), 0.0),
    ],
    ids=str,
)
def test_the_shortest_duration_is_what_is_certain_to_pass(scenario: Scenario, seconds: float) -> None:
    """Timed iterates, sleeps, and periods of rates, one after another."""
    assert analyse(scenario).shortest_s == pytest.approx(seconds)


def test_streams_of_a_connection_are_needs() -> None:
    """Several streams, streams of the server, streams of one direction: each is named."""
    assert analyse(ping(streams=3)).needs == {Feature.STREAMS}
    assert analyse(ping(streams=3)).streams_per_connection == 3
    assert Feature.SEND_STREAMS in analyse(of((m.OpenSendStream(1),), ())).needs


REST = (m.SendFinish(0), m.ReceiveFinish(0))
ALL = {"s2n-tcp", "s2n-tls", "s2n-native-tls", "s2n-quic"}
OVER_TCP = ALL - {"s2n-quic"}


@pytest.mark.parametrize(
    ("scenario", "broken"),
    [
        (of((m.Send(0, 0), *REST), (m.Receive(0, 0), *REST)), {"s2n-quic"}),
        (of((m.SendRate(0, 1, 1), m.Send(0, 5)), (m.Receive(0, 5), *REST)), ALL),
        (of((m.Receive(0, 1), *REST), (m.Send(0, 1), *REST)), {"s2n-tcp", "s2n-native-tls"}),
        (of((m.Send(0, 2), *REST), (m.Receive(0, 1), m.Receive(0, 1), *REST)), OVER_TCP),
        (of((m.Send(0, 1), m.ReceiveAll(0), m.Send(0, 1), *REST), (m.Receive(0, 1), m.Send(0, 1), *REST)), OVER_TCP),
        (of((m.Send(0, 1), m.Iterate(m.Count(0), ())), (m.Receive(0, 1), *REST)), ALL),
        (of((m.Send(0, 1), *REST), (m.Receive(0, 1), *REST), id_="-x"), {"s2n-native-tls"}),
        (ping(streams=201), OVER_TCP),
    ],
    ids=["zero", "rate last", "receives first", "in a row", "receive all", "count 0", "id", "streams"],
)
def test_each_fault_of_the_real_drivers_is_found(scenario: Scenario, broken: set[str]) -> None:
    """With the drivers that it breaks."""
    found = analyse(scenario).findings
    assert broken in [set(one.breaks) for one in found]
    assert all(one.path and one.why for one in found)


def test_a_program_for_a_stream_that_nobody_opens_is_found() -> None:
    """Its endpoint would never end."""
    client = m.Client((m.Connect(0, 0, 0),), (m.Connection(),))
    lonely = Scenario("x", (client,), (m.Server((m.Connection(peer_streams=((m.Receive(0, 1),),)),)),))
    assert "never opens" in analyse(lonely).findings[0].why


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(SCENARIOS)
def test_whatever_can_be_said_can_be_analysed(scenario: Scenario) -> None:
    """No scenario of the language breaks the analysis."""
    assert analyse(scenario).clients == len(scenario.clients)
