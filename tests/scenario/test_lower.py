"""Does a scenario in plain netbench do the same as its repetitions, and is what can't be said refused with a reason?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_netbench import Scenario, connect, handshakes, idle, open_loop, ping, requests
from pytest_netbench.errors import ScenarioError, UsageError
from pytest_netbench.scenario import extensions as x
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.certificates import certify
from pytest_netbench.scenario.lower import lower
from pytest_netbench.scenario.netbench_json import parse, render

DIAL = m.Connect(0, 0, 0)
SMALL = st.integers(1, 4)


def timed(operations: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same, with every time of a repetition as a count of 3."""
    return tuple(_counted(one) for one in operations)


def _counted(one: Any) -> Any:
    if isinstance(one, m.Iterate | x.Repeat):
        value = m.Count(3) if isinstance(one.value, m.Time) else one.value
        return type(one)(value, timed(one.operations), one.trace_id)
    if isinstance(one, m.ClientScope):
        return m.ClientScope(tuple(map(timed, one.threads)))
    return one


def whole(client: tuple[Any, ...], ops: tuple[Any, ...]) -> Scenario:
    """One client and one server, which answers on each of two streams with 7 and with 11 bytes."""
    answers = tuple((m.Receive(number, 1), m.Send(number, size)) for number, size in enumerate((7, 11)))
    near, far = m.Connection(ops), m.Connection(peer_streams=answers)
    return m.Scenario("x", (m.Client(client, (near,)),), (m.Server((far,)),), traces=("t",))


VALUES = st.builds(m.Time, st.just(5)) | st.builds(m.Count, SMALL)
CLIENTS: st.SearchStrategy[Any] = st.recursive(
    st.just(DIAL),
    lambda inner: st.one_of(
        st.builds(x.Repeat, VALUES, st.lists(inner, max_size=2).map(lambda some: (DIAL, *some))),
        st.builds(m.ClientScope, st.tuples(st.tuples(inner), st.tuples(inner))),
    ),
    max_leaves=4,
)
BODIES: st.SearchStrategy[Any] = st.recursive(
    st.just((m.OpenBidirectionalStream(0, fresh=True), m.Send(0, 3), m.Receive(0, 7))),
    lambda inner: st.builds(
        lambda value, body, more, trace: (m.Iterate(value, (*body, *more), trace),),
        VALUES,
        inner,
        inner,
        st.none() | st.just(0),
    ),
    max_leaves=3,
)
SECOND_STREAM = (m.OpenBidirectionalStream(1), m.Send(1, 5), m.Receive(1, 11))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CLIENTS, min_size=1, max_size=2), BODIES)
def test_the_totals_are_those_of_the_repetitions(client: list[Any], body: tuple[Any, ...]) -> None:
    """As many bytes each way, connects and streams as if every time were so many repetitions; and nothing extended."""
    ops = (*SECOND_STREAM, *body)
    plain, counted = lower(whole(tuple(client), ops), 3), whole(timed(tuple(client)), timed(ops))
    assert plain.requires == ()
    found, wanted = analyse(plain), analyse(counted)
    assert found.connects == wanted.connects
    assert found.streams_per_connection == wanted.streams_per_connection
    assert found.client_to_server_bytes == wanted.client_to_server_bytes
    assert found.server_to_client_bytes == wanted.server_to_client_bytes
    assert not [one for one in found.findings if "never opens" in one.why]
    assert parse(render(plain)) == plain


def test_a_repeat_becomes_as_many_connects() -> None:
    """What a count decides is repeated as often, what a time decides as asked; they share one program."""
    made = lower(handshakes(), 5)
    assert made.clients[0].scenario == (DIAL,) * 5
    assert len(made.clients[0].connections) == len(made.servers[0].connections) == 1
    counted = whole((x.Repeat(m.Count(2), (DIAL,)),), ())
    assert lower(counted, 5).clients[0].scenario == (DIAL, DIAL)


def test_fresh_streams_become_streams_with_programs_of_their_own() -> None:
    """Each repetition is one sample of the trace, as before; so many as a real driver opens, it can do."""
    made = lower(requests(request=3, response=4), 2)
    ops, peers = made.clients[0].connections[0].ops, made.servers[0].connections[0].peer_streams
    assert [one.operations[0] for one in ops if isinstance(one, m.Profile)] == [
        m.OpenBidirectionalStream(0),
        m.OpenBidirectionalStream(1),
    ]
    assert [program[:2] for program in peers] == [(m.Receive(n, 3), m.Send(n, 4)) for n in (0, 1)]
    assert analyse(made).findings == ()
    assert "201 streams" in analyse(lower(requests(), 201)).findings[0].why


def test_a_hold_becomes_a_sleep() -> None:
    """Without waiting for the others: that is the nearest that can be said."""
    ops = lower(idle(2), 1).clients[0].connections[0].ops
    assert m.Sleep(200) in ops


def test_the_name_stays_and_the_id_is_new() -> None:
    """Certificates name the id, so they are left out."""
    one = certify(handshakes())
    made = lower(one, 3)
    assert (str(made), made.certificates) == ("handshakes", ())
    assert made.id not in {one.id, lower(one, 4).id}


@pytest.mark.parametrize("scenario", [connect(connections=2), ping()], ids=str)
def test_a_plain_scenario_stays_as_it_is(scenario: Scenario) -> None:
    """Also its timed iterates: plain netbench has them."""
    assert lower(scenario, 7) is scenario


@pytest.mark.parametrize(
    ("scenario", "text"),
    [
        (
            open_loop(),
            r"connections\[0\].ops\[1\]: schedule can't be said .*: there, nothing begins before",
        ),
        (handshakes(resume=True), "resumption can't be said in plain netbench: there, every connection is a full hand"),
        (
            whole((DIAL,), (x.SendDatagram(1),)),
            "datagrams can't be said in plain netbench: there, everything is",
        ),
        (whole((x.Repeat(m.Count(2), (DIAL,), 0),), ()), r"scenario\[0\].repeat.trace_id: can't be said in plain"),
    ],
    ids=["schedule", "resumption", "datagrams", "trace"],
)
def test_what_cannot_be_said_is_named_with_the_reason(scenario: Scenario, text: str) -> None:
    """The element, the extension, and what plain netbench has in its place."""
    with pytest.raises(ScenarioError, match=text):
        lower(scenario, 2)


@pytest.mark.parametrize(
    ("times", "text"), [(0, "expected 1 repetition or more"), (10**18, "make more than 1,000,000")]
)
@pytest.mark.parametrize("scenario", [handshakes(), requests()], ids=str)
def test_senseless_numbers_are_refused(scenario: Scenario, times: int, text: str) -> None:
    """Before any memory is taken."""
    with pytest.raises(UsageError, match=text):
        lower(scenario, times)
