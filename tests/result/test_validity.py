"""Is a round refused for each thing that makes its numbers worthless, and for nothing else?"""

from __future__ import annotations

from typing import Any

import pytest

from pytest_netbench.result.validity import RULES, Budgets, expected_connects, from_outside, judge
from pytest_netbench.scenario.analysis import Analysis
from pytest_netbench.scenario.model import ClientScope, Connect, Connection, Send
from pytest_netbench.telemetry.model import Ending, HostReport
from tests.result.result_cases import MS, carries, connection, download, host, scenario, stream

PLAIN = carries(10, 1000)
TIMED = carries()


def judged(hosts: list[HostReport], expected: Analysis = PLAIN, **more: Any) -> tuple[str, ...]:
    """The verdict on a round of these hosts that is otherwise without fault."""
    whole = more.pop("scenario", scenario())
    given = {"skew_s": 0.0, "armed": True, "control_bytes": 0} | more
    return judge(whole, expected, hosts, **given)


def pair(near: Any, far: Any, keys: tuple[str | None, str | None] = ("k", "k"), **more: Any) -> list[HostReport]:
    """One client and one server with one connection of one stream."""
    return [
        host("client0", connection(near, key=keys[0]), **more),
        host("server0", connection(far, key=keys[1])),
    ]


def test_a_round_without_fault_is_valid() -> None:
    """Nothing is said of a round in which all is as it should be."""
    assert judged(download()) == ()


def swap(hosts: list[HostReport], **more: Any) -> list[HostReport]:
    """The same hosts, the client with something else about it."""
    return [hosts[0], host("client0", *hosts[1].driver.connections, **more)]


CRASH = Ending(1, None, expected=False, reason="connection refused")
CASES = [
    pytest.param(
        {"hosts": swap(download(), ending=CRASH)},
        "client0: its driver exited with status 1: connection refused",
        id="driver failed",
    ),
    pytest.param(
        {"hosts": swap(download(), ending=Ending(None, 11, expected=False))},
        "client0: its driver was ended by SIGSEGV, which its row doesn't expect",
        id="driver crashed",
    ),
    pytest.param(
        {"hosts": swap(download(), ending=Ending(None, None, expected=False, reason="no answer within 5 s"))},
        "client0: its driver did not end: no answer within 5 s",
        id="driver hung",
    ),
    pytest.param(
        {"hosts": swap(download(), problems=("line 3 of its output is garbage",))},
        "client0: line 3 of its output is garbage",
        id="driver's problem",
    ),
    pytest.param(
        {"hosts": swap(download(), starved="steal time of 12 %")},
        "client0: its driver may have been starved: steal time of 12 %",
        id="starved",
    ),
    pytest.param(
        {"hosts": swap(download(), clock_step=3.0)},
        "client0: its clock was set by 3 s during the run",
        id="clock set",
    ),
    pytest.param(
        {"hosts": swap(download(), held_back={"bw_in_allowance_exceeded": 12})},
        "client0: the network held back 12 packets: above its share (bw_in_allowance_exceeded)",
        id="held back by a cloud",
    ),
    pytest.param(
        {"hosts": download(), "skew_s": 0.0062},
        "the clients began 6.2 ms apart, armed drivers may 5 ms",
        id="skew of armed clients",
    ),
    pytest.param(
        {"hosts": download(), "skew_s": 0.15, "armed": False},
        "the clients began 150 ms apart, not armed drivers may 100 ms",
        id="skew of clients that aren't armed",
    ),
    pytest.param(
        {"hosts": download(), "control_bytes": 66},
        "66 bytes were sent on control connections during the run, 0 are allowed",
        id="noise",
    ),
    pytest.param(
        {"hosts": swap(download(), drops=7)},
        "server0, client0: 7 datagrams dropped for a full receive buffer, the link promises 0",
        id="drops, once a namespace",
    ),
    pytest.param(
        {"hosts": download(), "expected": carries(10, 2000)},
        "the scenario sends 2,000 bytes to the clients, they received 1,000 (client0)",
        id="less than the scenario says at both ends",
    ),
]


@pytest.mark.parametrize(("case", "reason"), CASES)
def test_each_rule_says_what_is_wrong_with_numbers_and_hosts(case: dict[str, Any], reason: str) -> None:
    """One fault gives one reason, a sentence with the numbers and the host."""
    assert judged(**case) == (reason,)


@pytest.mark.parametrize(("case", "reason"), CASES)
def test_what_comes_from_outside_is_told_apart(case: dict[str, Any], reason: str) -> None:
    """Stolen time and clocks that were set: the only reasons that may exclude rounds of arms, in the same words."""
    found = from_outside(scenario(), carries(10, 1000), case["hosts"])
    assert found == ((reason,) if "starved" in reason or "clock" in reason else ())


@pytest.mark.parametrize(("armed", "skew"), [(True, 0.005), (False, 0.1)])
def test_a_budget_may_be_used_up(armed: bool, skew: float) -> None:
    """A skew of exactly the budget is valid."""
    assert judged(download(), skew_s=skew, armed=armed) == ()


def test_drops_are_allowed_where_the_link_promises_nothing() -> None:
    """A link with loss may drop datagrams."""
    assert judged(swap(download(), drops=7), budgets=Budgets(udp_drops=None)) == ()


def test_a_missing_report_is_said() -> None:
    """A client that left no report isn't passed over."""
    reasons = judged(download(), TIMED, scenario=scenario(clients=2))
    assert reasons[0] == "the scenario has 2 clients, 1 reported"


def test_a_client_whose_begin_is_unknown_leaves_the_skew_unknown() -> None:
    """With several clients, each has to say when it began."""
    hosts = [host("server0"), host("client0", began=5), host("client1", began=None)]
    reasons = judged(hosts, TIMED, scenario=scenario(clients=2, connects=0))
    assert reasons == ("it isn't known when client1 began, so the start skew isn't either",)


# --- connects ----------------------------------------------------------------------------------


def test_connects_are_counted_also_inside_scopes() -> None:
    """The scenario's dials are counted a server, wherever they stand."""
    whole = scenario(servers=2)
    client = whole.clients[0].__class__((ClientScope(((Connect(0, 0, 0),), (Connect(1, 0, 0), Connect(1, 0, 0)))),), ())
    assert expected_connects(whole.__class__("id", (client,), whole.servers)) == {0: 1, 1: 2}


def test_connects_must_be_accepts() -> None:
    """A server that accepted fewer connections than it should have is named."""
    hosts = [host("server0", connection()), host("server1"), host("client0", connection(), connection())]
    assert judged(hosts, TIMED, scenario=scenario(servers=2)) == ("server1: it accepted 0 of 1 connection",)


def test_dials_must_be_the_scenarios() -> None:
    """Clients that dialled less than the scenario says are found, even if servers agree."""
    hosts = [host("server0", connection()), host("client0", connection())]
    assert judged(hosts, TIMED, scenario=scenario(connects=2)) == (
        "the scenario has 2 connections, the clients report 1",
        "server0: it accepted 1 of 2 connections",
    )


# --- bytes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("near", "far", "valid"),
    [
        pytest.param(stream(5, 7), stream(7, 5, here=False), True, id="equal"),
        pytest.param(stream(5, 7), stream(9, 5, here=False), False, id="lost, and no iterate cut it"),
        pytest.param(stream(5, 7, cut=True), stream(9, 5, here=False), True, id="cut at the client"),
        pytest.param(stream(5, 7), stream(9, 5, here=False, cut=True), True, id="cut at the server"),
        pytest.param(stream(5, 9, cut=True), stream(7, 5, here=False), False, id="more than was sent"),
        pytest.param(stream(5, 7, number=3), stream(7, 5, here=False), True, id="numbered differently in duplex mode"),
    ],
)
def test_sent_is_received_on_every_stream(near: Any, far: Any, valid: bool) -> None:
    """Bytes sent equal bytes received; on a cut stream, fewer may be received, never more."""
    assert (judged(pair(near, far), TIMED) == ()) == valid


def test_a_stream_is_told_by_its_number_and_its_opener() -> None:
    """The client's stream 0 and the server's stream 0 are two streams; an unknown one counts as nothing received."""
    near = connection(stream(5, 0, 0), stream(0, 3, 0, here=False), key="k")
    far = connection(stream(0, 5, 0, here=False), stream(4, 0, 0), key="k")
    assert judged([host("client0", near), host("server0", far)], TIMED) == (
        "connection k, stream 0 of the server: server0 sent 4 bytes, client0 received 3",
    )


def test_a_stream_that_the_other_end_never_saw_is_lost() -> None:
    """Bytes on a stream that only one end knows weren't received."""
    near = connection(stream(5, 0, 0), stream(6, 0, 1), key="k")
    far = connection(stream(0, 5, 0, here=False), key="k")
    (reason,) = judged([host("client0", near), host("server0", far)], TIMED)
    assert reason == "connection k, stream 1 of the client: client0 sent 6 bytes, server0 received 0"


def test_losses_that_cancel_out_are_seen_by_connection() -> None:
    """Where both ends tell their connections, each has to conserve its bytes, not only their sum."""
    hosts = [
        host("client0", connection(stream(5, 0), key="a"), connection(stream(5, 0), key="b")),
        host("server0", connection(stream(0, 4, here=False), key="a"), connection(stream(0, 6, here=False), key="b")),
    ]
    assert len(judged(hosts, carries(10, 0), scenario=scenario(connects=2))) == 2


@pytest.mark.parametrize("keys", [(None, None), ("k", None), (None, "k"), ("k", "other")])
@pytest.mark.parametrize(
    ("sent", "received", "expected", "valid"),
    [(10, 10, 10, True), (10, 9, 10, False), (10, 9, None, True), (10, 11, None, False)],
)
def test_without_common_keys_the_totals_count(
    keys: tuple[str | None, str | None], sent: int, received: int, expected: int | None, valid: bool
) -> None:
    """Totals have to agree, and be the scenario's; where time decides, received may be less, never more."""
    hosts = pair(stream(sent, 0), stream(0, received, here=False), keys)
    assert (judged(hosts, carries(expected, 0)) == ()) == valid


@pytest.mark.parametrize(("received", "valid"), [(14, True), (15, False)])
def test_of_a_call_that_was_cut_a_part_may_have_come(received: int, valid: bool) -> None:
    """A driver that tells of whole calls doesn't tell of the last one: less than that may have come beside them."""
    hosts = pair(stream(10, 0, cut=True), stream(0, received, here=False), (None, None))
    whole = scenario(programs=(Connection((Send(0, 5),)),))
    assert (judged(hosts, TIMED, scenario=whole) == ()) == valid


def test_many_reasons_of_one_kind_are_counted() -> None:
    """A thousand broken connections don't fill the record."""
    near = [connection(stream(5, 0), key=str(one)) for one in range(1000)]
    far = [connection(stream(0, 4, here=False), key=str(one)) for one in range(1000)]
    reasons = judged([host("client0", *near), host("server0", *far)], TIMED, scenario=scenario(connects=1000))
    assert len(reasons) == 4
    assert reasons[-1] == "... and 997 more of this kind"


def test_a_reused_connection_key_is_matched_in_order() -> None:
    """Two connections of one key, one after the other, are compared each with its own other end."""
    near = [connection(stream(size, 0), key="k") for size in (5, 6)]
    far = [connection(stream(0, size, here=False), key="k") for size in (5, 6)]
    assert judged([host("client0", *near), host("server0", *far)], carries(11, 0), scenario=scenario(connects=2)) == ()


def test_every_rule_says_what_it_demands() -> None:
    """Each rule of the table has its sentence."""
    assert all(rule.__doc__ for rule in RULES)
    assert MS == 1_000_000
