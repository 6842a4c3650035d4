"""Is what extends the language read and written without loss, required by name, and refused where it makes no sense?"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from pytest_netbench import Scenario, handshakes, idle, open_loop, ping, requests
from pytest_netbench.errors import ScenarioError
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.features import Feature
from pytest_netbench.scenario.identity import own_id
from pytest_netbench.scenario.netbench_json import parse, render
from tests.scenario.strategies import EXTENDED, SCENARIOS

OPEN: dict[str, Any] = {"open_bidirectional_stream": {"stream_id": 0}}
DIAL: dict[str, Any] = {"connect": {"server_id": 0, "server_connection_id": 0, "client_connection_id": 0}}
FIXED: dict[str, Any] = {"fixed": {"amount": 5, "period_ms": 10}}
U64 = "18446744073709551615"


def written(ops: list[Any], client: list[Any] | None = None, requires: list[Any] | None = None) -> str:
    """A file with one connection of such a program, dialled as the client says."""
    keys = {"private_key": 1, "certificate": 2, "certificate_authority": 0}
    return json.dumps(
        {
            "id": "x",
            "requires": requires or [],
            "clients": [{"scenario": [DIAL] if client is None else client, "connections": [{"ops": ops}]}],
            "servers": [{"connections": [{"peer_streams": [[]]}], **keys}],
            "traces": ["t"],
        }
    )


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(EXTENDED)
def test_any_extended_scenario_survives(scenario: Scenario) -> None:
    """What is written is read back equal, and lists what it requires; the analysis takes all of it."""
    assert parse(render(scenario)) == scenario
    assert json.loads(render(scenario)).get("requires", []) == list(scenario.requires)
    assert {one.word for one in analyse(scenario).needs} >= set(scenario.requires)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(SCENARIOS)
def test_a_plain_scenario_requires_nothing(scenario: Scenario) -> None:
    """Its file has no such list."""
    assert scenario.requires == ()
    assert '"requires"' not in render(scenario).split('"clients"')[0].removeprefix(f'{{"id":{json.dumps(scenario.id)}')


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        (handshakes(), ["repeat"]),
        (handshakes(resume=True), ["repeat", "resumption"]),
        (handshakes(early_data=True), ["repeat", "resumption", "early_data"]),
        (requests(), ["fresh_streams"]),
        (open_loop(), ["schedule"]),
        (open_loop(poisson=True, fresh=True), ["schedule", "fresh_streams"]),
        (idle(3), ["hold"]),
        (ping(), []),
    ],
)
def test_the_catalogues_scenarios_require_what_they_use(scenario: Scenario, words: list[str]) -> None:
    """Each by name, in the order of the table."""
    assert list(scenario.requires) == words
    assert parse(render(scenario)) == scenario


def test_each_extension_makes_an_id_of_its_own() -> None:
    """Two scenarios that differ in one of them never share an id."""
    made = [
        handshakes(),
        handshakes(seconds=2),
        handshakes(resume=True),
        handshakes(early_data=True),
        open_loop(),
        open_loop(poisson=True),
        open_loop(poisson=True, seed=1),
        idle(3),
        idle(4),
    ]
    assert len({one.id for one in made}) == len({own_id(one) for one in made}) == len(made)


@pytest.mark.parametrize(
    ("requires", "text"),
    [
        (["repaet"], "requires[0]: unknown requirement 'repaet': did you mean 'repeat'"),
        (["streams"], "requires[0]: unknown requirement 'streams'"),
        (["hold", "hold"], "requires[1]: 'hold' stands twice"),
        (["hold", "repeat"], "requires[1]: nothing in this scenario uses 'repeat'"),
        ([], "requires: expected 'hold' in it, which clients[0].connections[0].ops[0] uses"),
        (["hold", 1], "requires[1]: expected a text, found 1"),
    ],
)
def test_the_list_is_exactly_what_is_used(requires: list[Any], text: str) -> None:
    """A driver decides by it, so it may neither lack nor invent anything."""
    with pytest.raises(ScenarioError) as caught:
        parse(written([{"sleep": {"amount_ms": 1, "hold": 1}}], requires=requires))
    assert text in str(caught.value)


@pytest.mark.parametrize("requires", ["repeat", {"repeat": True}, 7])
def test_the_list_is_a_list(requires: Any) -> None:
    """Whatever else stands there is refused."""
    with pytest.raises(ScenarioError, match="requires: expected a list"):
        parse(written([]).replace('"requires": []', f'"requires": {json.dumps(requires)}'))


def schedule(**more: Any) -> dict[str, Any]:
    """A schedule, with something else about it; None leaves a field out."""
    fields = {"arrivals": FIXED, "count": 3, "operations": [], "trace_id": 0} | more
    return {"schedule": {name: value for name, value in fields.items() if value is not None}}


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (schedule(arrivals=None), "schedule: field 'arrivals' is missing"),
        (schedule(trace_id=None), "schedule: field 'trace_id' is missing"),
        (schedule(trace_id=7), "schedule.trace_id: there are 1 traces"),
        (schedule(count=0), f"schedule.count: expected an integer of 1 to {U64}, found 0"),
        (schedule(count=2**64), f"schedule.count: expected an integer of 1 to {U64}"),
        (schedule(arrivals={"fixd": {}}), "arrivals: unknown kind of arrivals 'fixd': did you mean 'fixed'"),
        (schedule(arrivals={"fixed": {"amount": 0, "period_ms": 1}}), "fixed.amount: expected an integer of 1 to"),
        (schedule(arrivals={"fixed": {"amount": 1, "period_ms": 0}}), "fixed.period_ms: expected an integer of 1 to"),
        (schedule(arrivals={"fixed": {"amount": -1, "period_ms": 1}}), "found -1"),
        (schedule(arrivals={"fixed": {"amount": 1.5, "period_ms": 1}}), "found 1.5"),
        (schedule(arrivals={"poisson": {"amount": 1, "period_ms": 1}}), "poisson: field 'seed' is missing"),
        ({"sleep": {"amount_ms": 1, "hold": 0}}, f"sleep.hold: expected an integer of 1 to {U64}, found 0"),
        ({"sleep": {"amount_ms": 1, "hold": 2}}, "hold: expected at most 1, the connections that there are, found 2"),
        ({"open_send_stream": {"stream_id": 0, "fresh": 1}}, "fresh: expected true or false, found 1"),
        (
            {"open_send_stream": {"stream_id": 1, "fresh": True}},
            "stream 1 has no program at the other end",
        ),
        ({"send_datagram": {"bytes": 65536}}, "send_datagram.bytes: expected an integer of 0 to 65535"),
        ({"receive_datagram": {}}, "receive_datagram: field 'timeout_ms' is missing"),
        (
            {"scope": {"threads": [[{"open_send_stream": {"stream_id": 0, "fresh": True}}]] * 2}},
            "scope.threads[1]: stream 0 is opened afresh by another thread, too",
        ),
    ],
)
def test_a_fault_in_a_connection_names_its_place(operation: Any, text: str) -> None:
    """The path of the element stands before the complaint."""
    with pytest.raises(ScenarioError) as caught:
        parse(written([OPEN, operation]))
    assert str(caught.value).startswith("clients[0].connections[0].ops[1]")
    assert text in str(caught.value)


def repeat(value: Any, operations: list[Any] | None = None) -> dict[str, Any]:
    """A repeat of a dial."""
    return {"repeat": {"value": value, "operations": [DIAL] if operations is None else operations}}


SECOND = {"time": {"amount_ms": 1000}}


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (repeat({"count": {"amount": 0}}), "repeat.value.count.amount: expected 1 or more, found 0"),
        (repeat({"count": {"amount": 2**64}}), "amount: expected an integer of 0 to"),
        (repeat(SECOND, []), "repeat.operations: expected a connect or a sleep in it: nothing else takes time"),
        (repeat(SECOND, [{"unpark": {"checkpoint": 1}}]), "expected a connect or a sleep in it"),
        ({"repeat": {"operations": [DIAL]}}, "repeat: field 'value' is missing"),
        ({"connect": {**DIAL["connect"], "resume": True}}, "connect.resume: the first connection to server 0 has no"),
        (
            {"connect": {**DIAL["connect"], "early_data": True}},
            "connect.early_data: needs a session",
        ),
        ({"connect": {**DIAL["connect"], "resume": "yes"}}, "connect.resume: expected true or false, found 'yes'"),
    ],
)
def test_a_fault_in_a_client_names_its_place(operation: Any, text: str) -> None:
    """As for connections."""
    with pytest.raises(ScenarioError) as caught:
        parse(written([OPEN], client=[operation]))
    assert str(caught.value).startswith("clients[0].scenario[0]")
    assert text in str(caught.value)


def test_the_analysis_counts_what_is_repeated() -> None:
    """Counts multiply connects and bytes; a time leaves both open; arrivals last as long as they are apart."""
    counted = analyse(parse(written([], client=[repeat({"count": {"amount": 7}})], requires=["repeat"])))
    assert (counted.connects, counted.client_to_server_bytes) == (7, 0)
    timed = analyse(handshakes(seconds=2))
    assert (timed.connects, timed.client_to_server_bytes, timed.shortest_s) == (None, None, 2.0)
    opened = analyse(open_loop(rate=100, request=10, response=20, seconds=1, connections=4))
    assert (opened.client_to_server_bytes, opened.server_to_client_bytes) == (1000, 2000)
    assert opened.shortest_s == pytest.approx(1, abs=0.05)


def test_fresh_streams_are_several_streams() -> None:
    """So that what can only multiplex them does so; answers are counted as often as they are asked for."""
    found = analyse(open_loop(rate=100, request=1, response=2, seconds=1, fresh=True))
    assert {Feature.STREAMS, Feature.FRESH_STREAMS, Feature.SCHEDULE} <= found.needs
    assert (found.client_to_server_bytes, found.server_to_client_bytes) == (100, 200)
    assert analyse(requests()).streams_per_connection > 1
    assert analyse(requests()).server_to_client_bytes is None


REAL = "s2n-netbench-driver-client-tcp"


@pytest.mark.real
@pytest.mark.skipif(shutil.which(REAL) is None, reason="cargo install --locked s2n-netbench-driver-tcp@0.1.0")
@pytest.mark.parametrize(
    ("scenario", "status", "text"),
    [(idle(2), 1, "Connection refused"), (requests(), 1, "Connection refused"), (handshakes(), 2, "`repeat`")],
    ids=str,
)
def test_a_real_driver_says_nothing_of_fields_that_it_does_not_know(
    scenario: Scenario, status: int, text: str, tmp_path: Path
) -> None:
    """It dials all the same, only a new operation stops it: that is why a file lists what it requires."""
    scenario.write(tmp_path / "extended.json")
    environment = {**os.environ, "SCENARIO": str(tmp_path / "extended.json"), "SERVER_0": "127.0.0.1:1"}
    done = subprocess.run([REAL], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status
    assert text in done.stderr
