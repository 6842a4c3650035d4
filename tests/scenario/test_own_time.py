"""Is it known how much of its time a scenario asks for itself?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench import KB, MB, build, download, ms, open_loop, ping, request_response
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.own_time import own_time
from tests.scenario.strategies import EXTENDED, SCENARIOS


def program(*operations: Any) -> m.Scenario:
    """One client that does this on one stream."""
    opened = (m.OpenBidirectionalStream(0), *operations)
    dial = m.Client((m.Connect(0, 0, 0),), (m.Connection(opened),))
    return m.Scenario("id", (dial,), (m.Server((m.Connection((), ((),)),)),), traces=("t",))


SEND, SLEEP, RATE = m.Send(0, 1000), m.Sleep(50), m.SendRate(0, 1000, 10)


@pytest.mark.parametrize(
    ("operations", "seconds"),
    [
        ((SEND,), 0),
        ((SEND, SLEEP, SEND), 0.05),
        ((SLEEP, SEND, SLEEP), 0),
        ((SLEEP, SEND, SLEEP, SLEEP, SEND, SLEEP), 0.1),
        ((SLEEP,), 0),
        ((RATE, m.Send(0, 1000)), 0),
        ((RATE, m.Send(0, 10_001)), 0.1),
        ((m.ReceiveRate(0, 1000, 10), m.Receive(0, 10_001)), 0.1),
        ((m.Iterate(m.Count(4), (SEND, SLEEP)),), 0.15),
        ((m.Iterate(m.Count(4), (SLEEP,)), SEND), 0),
        ((SEND, m.Iterate(m.Count(4), (SLEEP,)), SEND), 0.2),
        ((m.Iterate(m.Time(900), (SEND, SLEEP)),), 0),
        ((m.Profile(0, (SEND, SLEEP)), SEND), 0.05),
        ((SEND, m.Scope(((SLEEP, SEND), (SLEEP, SLEEP, SEND))), SEND), 0.05),
        ((m.Scope(((SEND, SLEEP, SEND), (SEND,))),), 0.05),
    ],
)
def test_what_passes_between_the_first_payload_and_the_last(operations: tuple[Any, ...], seconds: float) -> None:
    """Pauses before and after it don't count, nor what a time repeats; of threads the longest, at least."""
    assert own_time(program(*operations)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("scenario", "seconds"),
    [
        (download(100 * MB), 0),
        (ping(time=500 * ms, size=[1 * KB]), 0),
        (request_response(response=10 * MB, delay=0.2), 0.2),
        (request_response(response=10 * MB, delay=0.2, connections=3), 0.6),
        (request_response(response=10 * MB, server_send_rate=(1 * MB, 0.01)), 0.09),
        (open_loop(rate=1000, request=1 * KB, seconds=0.5), 0.499),
    ],
    ids=str,
)
def test_the_usual_scenarios(scenario: m.Scenario, seconds: float) -> None:
    """Downloads and loops ask for none; delays, rates and arrivals do."""
    assert own_time(scenario) == pytest.approx(seconds)


def test_clients_pause_between_their_dials() -> None:
    """Not before the first."""

    def dials(*pauses: float) -> m.Scenario:
        b = build("dials")
        server, client = b.server(), b.client()
        for pause in pauses:
            client.sleep(pause)
            with client.connect(server) as connection, connection.stream() as (near, far):
                near.send(1)
                far.receive(1)
        return b.finish()

    assert own_time(dials(0.5)) == 0
    assert own_time(dials(0.5, 0.1, 0.2)) == pytest.approx(0.3)


@given(SCENARIOS | EXTENDED)
def test_it_is_part_of_the_shortest_time(scenario: m.Scenario) -> None:
    """What a scenario asks for between two payloads, it asks for in all."""
    assert 0 <= own_time(scenario) <= analyse(scenario).shortest_s + 1e-9


@given(st.integers(1, 5), st.lists(st.sampled_from([SEND, SLEEP]), max_size=6))
def test_pauses_around_everything_change_nothing(often: int, body: list[Any]) -> None:
    """However many."""
    around = program(*[SLEEP] * often, *body, *[SLEEP] * often)
    assert own_time(around) == own_time(program(*body))
