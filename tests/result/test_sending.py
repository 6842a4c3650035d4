"""Is it known whether senders had something under way in the time that goodput covers?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench import MB, request_response
from pytest_netbench.result.model import Sending
from pytest_netbench.result.sender import sending
from pytest_netbench.telemetry.model import HostReport
from tests.result.result_cases import connection, host, scenario, stream

MICROSECONDS = st.none() | st.integers(0, 2**40)


def moved(*busy: int | None, size: int = 1000, cpu: float | None = 0.0) -> list[HostReport]:
    """A server that sent so much on each of some connections, and a client that asked with a byte each."""
    sent = [connection(stream(size, 1, here=False), busy_us=one) for one in busy]
    got = [connection(stream(1, size)) for _ in busy]
    return [host("server0", *sent, cpu=cpu), host("client0", *got)]


@pytest.mark.parametrize(
    ("busy", "cpu", "idle"),
    [
        ((980_000,), 0.0, 0.0),
        ((0,), 0.0, 0.98),
        ((490_000,), 0.0, 0.49),
        ((490_000, 490_000), 0.0, 0.5),
        ((245_000,), 0.245, 0.49),
        ((9_000_000,), 0.0, 0.0),
        ((0,), 9.0, 0.0),
    ],
)
def test_the_time_in_which_senders_slept(busy: tuple[int, ...], cpu: float, idle: float) -> None:
    """A second a connection but for two ticks, less what was under way, and what the sender computed."""
    found = sending(scenario(), moved(*busy, cpu=cpu), goodput=1001.0)
    assert found is not None
    assert found.idle == pytest.approx(idle, abs=1e-3)


def test_to_dial_and_to_close_is_the_transports() -> None:
    """A quarter of a second to dial, as much to close: half of it wasn't the application's."""
    server, _ = moved(0)
    dialled = host("client0", connection(stream(1, 1000), connect_s=0.25))
    found = sending(scenario(), [server, dialled], goodput=1000.0)
    assert found is not None
    assert found.idle == pytest.approx(0.48, abs=1e-3)


def test_a_sender_that_doesnt_tell_leaves_it_unknown() -> None:
    """Of one of its connections, or of its CPU time; who receives need not tell."""
    assert sending(scenario(), moved(10, None), goodput=1000.0) == Sending(0.0)
    assert sending(scenario(), moved(10, cpu=None), goodput=1000.0) == Sending(0.0)
    both = [host(name, connection(stream(1000, 1000)), cpu=0.0) for name in ("server0", "client0")]
    assert sending(scenario(), both, goodput=1000.0) == Sending(0.0)


def test_a_round_of_a_few_ticks_says_nothing() -> None:
    """The kernel counts in ticks: of 10 ms it may have seen none."""
    found = sending(scenario(), moved(0), goodput=100_000.0)
    assert found is not None
    assert found.idle == 0


def test_what_the_scenario_asks_for_is_a_share_of_the_time() -> None:
    """A delay of 0.2 s in a response of 10 MB that took 0.25 s; never more than all of it."""
    slow, hosts = request_response(response=10 * MB, delay=0.2), moved(None, size=10 * MB - 1)
    found = sending(slow, hosts, goodput=40 * MB)
    assert found is not None
    assert found.asked == pytest.approx(0.8)
    assert sending(slow, hosts, goodput=400 * MB) == Sending(1.0)


@pytest.mark.parametrize("goodput", [None, 0.0])
def test_without_goodput_there_is_no_time(goodput: float | None) -> None:
    """Nor without payload."""
    assert sending(scenario(), moved(1), goodput) is None
    assert sending(scenario(), [], 1.0) is None


@given(st.lists(MICROSECONDS, min_size=1, max_size=4), st.floats(1e-3, 1e12), st.integers(1, 10**12))
def test_shares_are_shares(busy: list[Any], goodput: float, size: int) -> None:
    """Whatever kernels and clocks say."""
    found = sending(scenario(), moved(*busy, size=size), goodput)
    assert found is not None
    assert 0 <= found.asked <= 1
    assert found.idle is None if None in busy else 0 <= (found.idle or 0) <= 1
