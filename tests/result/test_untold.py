"""Is what a driver doesn't tell left unchecked, and is everything that it does tell still checked?"""

from __future__ import annotations

import pytest

from pytest_netbench.result.metrics import measure
from pytest_netbench.result.validity import judge
from pytest_netbench.telemetry.model import Fact, HostReport
from tests.result.result_cases import carries, connection, host, scenario, stream

TOOL = frozenset({Fact.TRACES, Fact.CONNECTIONS})
CLIENT, SERVER = TOOL | {Fact.SENT}, TOOL | {Fact.RECEIVED}


SENT = 100_000_000


def hosts(received: int, sent: int | None = SENT, untold: frozenset[Fact] = CLIENT) -> list[HostReport]:
    """A tool that downloads: its client tells what it received, its server what it sent, or nothing."""
    server = SERVER if sent is not None else SERVER | {Fact.SENT}
    return [
        host("server0", connection(stream(sent or 0, 0, here=False, cut=True)), untold=server, cpu=0.1),
        host("client0", connection(stream(0, received, cut=True)), untold=untold, cpu=0.1),
    ]


def judged(reports: list[HostReport], connects: int = 3) -> tuple[str, ...]:
    whole = scenario(connects=connects)
    return judge(whole, carries(10, SENT), reports, 0.0, armed=False, control_bytes=0)


@pytest.mark.parametrize("received", [SENT, SENT - 10_000_000])
def test_what_it_tells_agrees(received: int) -> None:
    """A tool that stops when enough was sent leaves some in flight; connections aren't counted."""
    assert judged(hosts(received)) == ()


@pytest.mark.parametrize(
    ("reports", "why"),
    [
        (hosts(SENT + 1), "the servers sent 100,000,000 bytes, the clients received 100,000,001"),
        (hosts(7), "the scenario sends 100,000,000 bytes to the clients, they received 7 (client0)"),
        (hosts(7, sent=None), "the scenario sends 100,000,000 bytes to the clients, they received 7 (client0)"),
        (hosts(0), "the scenario sends 100,000,000 bytes to the clients, they received 0 (client0)"),
    ],
    ids=["more than was sent", "far too little", "too little of a silent server", "nothing"],
)
def test_what_it_tells_is_checked(reports: list[HostReport], why: str) -> None:
    """Nobody receives what wasn't sent, nor much less than was asked for."""
    assert judged(reports) == (why,)


def test_a_tool_that_tells_nothing_is_not_compared() -> None:
    """Its round counts, by its end and its time; no number is made of what wasn't said."""
    silent = frozenset(Fact)
    reports = [host("server0", connection(), untold=silent), host("client0", connection(), untold=silent, cpu=0.1)]
    assert judged(reports) == ()
    metrics = measure(scenario(), reports).metrics
    assert not [name for name in metrics if "goodput" in name or "cpu_per" in name]


def test_connections_that_are_told_are_counted() -> None:
    """And make operations, where no traces do."""
    told = hosts(SENT, untold=CLIENT - {Fact.CONNECTIONS})
    assert judged(told) == ("the scenario has 3 connections, the clients report 1",)
    assert judged(told, connects=1) == ()
    assert measure(scenario(), told).metrics["client.cpu_per_op"] == 0.1
