"""What comes of repeats, schedules, sessions, held connections and datagrams, and is what wasn't done seen?"""

from __future__ import annotations

from typing import Any

import pytest

from pytest_netbench import Scenario, handshakes, idle, open_loop, ping, requests
from pytest_netbench.result.catalogue import describe
from pytest_netbench.result.extended import extended, undone
from pytest_netbench.result.metrics import measure
from pytest_netbench.result.validity import expected_connects, judge
from pytest_netbench.scenario import extensions as x
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.telemetry.model import DriverReport, Ending, Fact, Held, HostReport, Load, Pace
from tests.result.result_cases import MS, connection, host

SECOND = 1000 * MS
DATAGRAMS = m.Scenario(
    "x", (m.Client((m.Connect(0, 0, 0),), (m.Connection((x.SendDatagram(1),)),)),), (m.Server((m.Connection(),)),)
)


def seen(scenario: Scenario, *connections: Any, servers: tuple[HostReport, ...] = (), **more: Any) -> dict[str, float]:
    """The metrics of one client that made these connections and reports this."""
    return extended(scenario, servers, [told(*connections, **more)])


def told(*connections: Any, name: str = "client0", **more: Any) -> HostReport:
    """A host whose driver reports this, too."""
    plain = host(name, *connections)
    report = DriverReport(0, None, None, plain.driver.connections, {}, None, None, **more)
    return HostReport(name, plain.role, plain.index, True, 0, 1, report, Ending(0, None, True), None)


def complaints(scenario: Scenario, *connections: Any, **more: Any) -> list[str]:
    return list(undone(scenario, [], [told(*connections, **more)]))


def made(count: int, over_ns: int = SECOND, **more: Any) -> list[Any]:
    """So many connections, usable one after another over that time."""
    return [connection(usable_ns=number * over_ns // max(count - 1, 1), **more) for number in range(count)]


def test_a_rate_is_what_ended_between_the_first_end_and_the_last() -> None:
    """The first of each loop only begins the time; without a time there is no rate."""
    assert Pace(1, 101, 0, SECOND).rate == 100
    assert Pace(4, 404, 0, SECOND).rate == 400
    assert Pace(1, 1, 5, 5).rate is None


def test_handshakes_per_second_are_summed_over_clients() -> None:
    """Each client's own; a plain scenario has no such metric."""
    clients = [told(*made(101)), told(*made(51), name="client1")]
    assert extended(handshakes(), [], clients)["connect.rate"] == 150
    assert extended(ping(), [], clients) == {}


def test_handshakes_that_are_only_counted_are_those_of_the_whole_run() -> None:
    """From the first command's begin to its end, and marked so; nothing where they aren't counted either."""
    counted = host("client0", *(connection() for _ in range(90)), began=SECOND, ended=3 * SECOND)
    measured = measure(handshakes(), [counted])
    assert measured.metrics["connect.rate"] == 45
    assert "connect.rate" in measured.whole_process
    assert measure(handshakes(), [told(*made(101))]).whole_process == frozenset()
    silent = host("client0", connection(), untold=frozenset({Fact.CONNECTIONS}))
    assert "connect.rate" not in measure(handshakes(), [silent]).metrics


def test_requests_per_second_have_the_name_of_their_trace() -> None:
    """A loop without arrivals gives the rate of its repetitions."""
    found = seen(requests(), loads={"request": Load(Pace(2, 2002, 0, SECOND))})
    assert found == {"request.rate": 2000}


def test_offered_and_achieved_load_stand_beside_each_other() -> None:
    """By the intended instants, and by the ends."""
    load = Load(Pace(1, 1001, 5 * MS, 2005 * MS), Pace(1, 1001, 0, SECOND))
    assert seen(open_loop(), loads={"request": load}) == {"request.offered": 1000, "request.achieved": 500}


def test_a_load_that_was_not_carried_makes_the_round_invalid() -> None:
    """Below 99 % of what was offered; the round shows a queue that grows, not the latency at that load."""
    due = Pace(1, 1001, 0, SECOND)
    kept, lost = Pace(1, 1001, 3 * MS, 1012 * MS), Pace(1, 1001, 3 * MS, 1015 * MS)
    assert complaints(open_loop(), loads={"request": Load(kept, due)}) == []
    (text,) = complaints(open_loop(), loads={"request": Load(lost, due)})
    assert text == (
        "client0: request: 988.1 1/s achieved of 1000 1/s offered (98.8%): at least 99% makes a load that was carried"
    )
    (text,) = complaints(open_loop(), loads={"request": Load(Pace(1, 900, 0, SECOND), due)})
    assert text == "client0: request: 900 of 1001 arrivals ended"


def test_sessions_that_were_not_resumed_make_the_round_invalid() -> None:
    """998 of 1000 will do, 989 won't; connections that weren't to resume don't count."""
    some = [connection(resumed=True)] * 998 + [connection(resumed=False)] * 2 + [connection()]
    assert complaints(handshakes(resume=True), *some) == []
    assert seen(handshakes(resume=True), *some)["connect.resumed"] == pytest.approx(0.998)
    some = [connection(resumed=True)] * 989 + [connection(resumed=False)] * 11
    assert complaints(handshakes(resume=True), *some) == ["client0: resumed: 989/1,000 connections"]


def test_early_data_that_was_not_taken_makes_the_round_invalid() -> None:
    """A session may be resumed without it."""
    some = [connection(resumed=True, early_data=False)] * 3
    assert complaints(handshakes(early_data=True), *some) == ["client0: early_data: 0/3 connections"]
    assert seen(handshakes(early_data=True), *some)["connect.early_data"] == 0


def test_memory_per_connection_is_what_grew() -> None:
    """From before the first connection to most of them open; each side its own."""
    server = told(name="server0", held=Held(100, 1_000_000, 1_500_000))
    found = seen(idle(100), servers=(server,), held=Held(100, 2_000_000, 2_100_000))
    assert found == {"client.memory_per_connection": 1000, "server.memory_per_connection": 5000}


def test_too_few_held_connections_make_the_round_invalid() -> None:
    """The memory of fewer isn't what was asked for."""
    assert complaints(idle(100), held=Held(100, 0, 1)) == []
    (text,) = complaints(idle(100), held=Held(99, 0, 1))
    assert text == "client0: 100 connections were to be held at once, 99 were"


def test_lost_datagrams_are_a_share_of_those_sent() -> None:
    """Both ways together."""
    server = told(connection(datagrams=(10, 90)), name="server0")
    assert seen(DATAGRAMS, connection(datagrams=(100, 9)), servers=(server,)) == {"datagrams.lost": pytest.approx(0.1)}


@pytest.mark.parametrize(
    ("scenario", "text"),
    [
        (open_loop(), "the scenario has a schedule, no client tells which load it offered and achieved"),
        (
            handshakes(resume=True),
            "the scenario has connections that resume a session, no client tells of any that tried",
        ),
        (idle(7), "client0: 7 connections were to be held at once, it doesn't tell how many were"),
        (DATAGRAMS, "the scenario sends datagrams, no driver tells of any"),
    ],
    ids=["schedule", "resumption", "hold", "datagrams"],
)
def test_a_driver_that_does_not_tell_makes_the_round_invalid(scenario: Scenario, text: str) -> None:
    """What nobody tells wasn't done, as far as anyone knows."""
    assert complaints(scenario, connection()) == [text]


def test_every_metric_of_theirs_is_in_the_catalogue() -> None:
    """With its unit and direction."""
    names = ("connect.rate", "request.rate", "request.offered", "request.achieved", "connect.resumed")
    assert [describe(name).unit for name in names] == ["1/s", "1/s", "1/s", "1/s", "1"]
    assert describe("client.memory_per_connection").unit == "B"
    assert describe("datagrams.lost").most == 1


def test_connects_that_a_time_decides_are_as_many_as_were_dialled() -> None:
    """Each server accepted what the clients dialled to it."""
    assert expected_connects(handshakes()) == {0: None}

    def judged(accepted: int) -> tuple[str, ...]:
        hosts = [host("client0", *made(5)), host("server0", *made(accepted))]
        return judge(handshakes(), analyse(handshakes()), hosts, 0.0, True, 0)

    assert judged(5) == ()
    assert judged(4) == ("server0: it accepted 4 of 5 connections",)
