"""Is netbench's JSON read and written without loss, and is each fault in it named?"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from pytest_netbench import Scenario, connect
from pytest_netbench.errors import ScenarioError
from pytest_netbench.scenario.netbench_json import parse, read, render
from tests.scenario.strategies import SCENARIOS

REAL = sorted((Path(__file__).parents[1] / "data" / "scenarios").glob("*.json"))
PLAIN: dict[str, Any] = json.loads(render(connect(connections=1)))


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_a_real_file_is_written_as_it_was_read(path: Path, tmp_path: Path) -> None:
    """Byte for byte."""
    Scenario.read(path).write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(SCENARIOS)
def test_any_scenario_survives(scenario: Scenario) -> None:
    """What is written is read back equal, whatever operations it has."""
    assert parse(render(scenario)) == scenario


def test_unknown_fields_are_passed_over() -> None:
    """As the real parser does."""
    more = {**PLAIN, "requires": [], "clients": [{**PLAIN["clients"][0], "colour": "red"}]}
    assert parse(json.dumps(more)) == parse(json.dumps(PLAIN))


def test_a_missing_and_a_null_trace_are_the_same() -> None:
    """``trace_id`` of iterate may be left out."""
    operation = {"value": {"count": {"amount": 2}}, "operations": []}
    assert parse(_with_ops([{"iterate": operation}])) == parse(
        _with_ops([{"iterate": {**operation, "trace_id": None}}])
    )


def test_equal_operations_are_one_object() -> None:
    """So that a file of ten thousand equal dials takes little room; one that differs is another."""
    operations = [{"send": {"stream_id": 0, "bytes": size}} for size in (1, 1, 2)]
    first, second, third = parse(_with_ops(operations)).clients[0].connections[0].ops
    assert first is second
    assert first != third


def _with_ops(operations: list[Any]) -> str:
    whole = json.loads(json.dumps(PLAIN))
    whole["clients"][0]["connections"][0]["ops"] = operations
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        ({"sned": {"stream_id": 0, "bytes": 1}}, "unknown operation 'sned': did you mean 'send'"),
        ({"send": {"stream_id": 0}}, "send: field 'bytes' is missing"),
        ({"send": {"stream_id": 0, "bytes": -1}}, "bytes: expected an integer of 0 to 18446744073709551615, found -1"),
        ({"send": {"stream_id": 0, "bytes": 2**64}}, "bytes: expected an integer"),
        ({"send": {"stream_id": 0, "bytes": 1.0}}, "bytes: expected an integer"),
        ({"send": {"stream_id": 0, "bytes": True}}, "bytes: expected an integer"),
        ({"send": {"stream_id": 0, "bytes": "1"}}, "bytes: expected an integer"),
        ({"send": [0, 1]}, "send: expected an object, found a list"),
        ({"send": {}, "receive": {}}, "expected an object with the one name of the operation"),
        ("sleep", "expected an object with the one name of the operation, found 'sleep'"),
        ({"scope": {"threads": [{}]}}, "threads[0]: expected a list, found an object"),
        ({"iterate": {"value": {"times": {}}, "operations": []}}, "unknown repetition 'times': did you mean 'time'"),
        ({"trace": {"trace_id": 0}}, "trace.trace_id: there are 0 traces"),
    ],
)
def test_a_fault_names_its_place_and_what_was_expected(operation: Any, text: str) -> None:
    """The path of the element stands before the complaint."""
    with pytest.raises(ScenarioError) as caught:
        parse(_with_ops([operation]))
    assert "clients[0].connections[0].ops[0]" in str(caught.value)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("server_id", "there are 1 servers, so expected less than 1, found 7"),
        ("server_connection_id", "there are 1 connections of that server"),
        ("client_connection_id", "there are 1 connections of this client"),
        ("router_id", "there are 0 routers"),
    ],
)
def test_an_id_out_of_range_is_found_before_a_driver_panics(field: str, text: str) -> None:
    """Every index of a connect names something that is there."""
    whole = json.loads(json.dumps(PLAIN))
    whole["clients"][0]["scenario"][0]["connect"][field] = 7
    with pytest.raises(ScenarioError, match=rf"clients\[0\].scenario\[0\].connect.{field}: {text}"):
        parse(json.dumps(whole))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "isn't JSON"),
        ('{"id":"x","clients":[', "isn't JSON"),
        ("[]", "the scenario: expected an object, found a list"),
        ("{}", "field 'id' is missing"),
        ('{"id":1,"clients":[],"servers":[]}', "id: expected a text, found 1"),
        ('{"id":"x","id":"y","clients":[],"servers":[]}', "'id' stands twice"),
        ('{"id":"x","clients":[],"servers":[{"connections":[]}]}', "field 'private_key' is missing"),
        ('{"id":"x","clients":[],"servers":[],"certificates":[{"pkcs12":"?"}]}', "pkcs12: expected base64"),
        ('{"id":NaN}', "isn't JSON: NaN"),
        ("[" * 10_000, "nested deeper than 127 levels"),
    ],
)
def test_a_broken_file_gets_one_clear_message(text: str, complaint: str) -> None:
    """Truncated, malformed, wrong at the top: each is said in words."""
    with pytest.raises(ScenarioError) as caught:
        parse(text)
    assert complaint in str(caught.value)


def test_nesting_that_json_takes_but_the_real_parser_does_not_is_refused() -> None:
    """A scope in a scope, fifty deep."""
    operation: Any = {"sleep": {"amount_ms": 1}}
    for _ in range(50):
        operation = {"scope": {"threads": [[operation]]}}
    with pytest.raises(ScenarioError, match="nested deeper"):
        parse(_with_ops([operation]))


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    """The limit is named, and how to raise it."""
    connect(connections=10).write(tmp_path / "large.json")
    with pytest.raises(ScenarioError, match="larger than 100 bytes; NETBENCH_SCENARIO_LIMIT"):
        read(tmp_path / "large.json", limit=100)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path and the system's word for it."""
    with pytest.raises(ScenarioError, match=r"absent\.json: can't be read: No such file"):
        Scenario.read(tmp_path / "absent.json")


def test_the_title_is_the_files_name(tmp_path: Path) -> None:
    """A scenario that was read is shown by its file's name."""
    connect(connections=1).write(tmp_path / "three.json")
    assert str(Scenario.read(tmp_path / "three.json")) == "three"


ROUTER = (
    ["sleep", "server_delay", "server_jitter", "client_delay", "client_jitter"],
    [
        f"{side}_{what}"
        for side in ("server", "client")
        for what in ("buffer_count", "drop_rate", "reorder_rate", "corrupt_rate")
    ]
    + ["client_rebind_port_rate", "client_rebind_address_rate"],
    ["server_mtu", "client_mtu"],
)


def test_every_operation_of_a_router_is_known_by_its_real_name() -> None:
    """As the real parser takes them; no program executes them."""
    fields = ("amount_ms", "packet_count", "mtu")
    operations: list[Any] = [{name: {field: 1}} for names, field in zip(ROUTER, fields, strict=True) for name in names]
    operations += [{"rebind_all": {"ports": True, "addresses": False}}]
    whole = {**PLAIN, "routers": [{"scenario": operations}]}
    assert json.loads(render(parse(json.dumps(whole))))["routers"] == whole["routers"]


@pytest.mark.real
@pytest.mark.skipif(
    shutil.which("s2n-netbench-driver-client-tcp") is None,
    reason="cargo install --locked s2n-netbench-driver-tcp@0.1.0",
)
def test_the_real_parser_takes_them_too(tmp_path: Path) -> None:
    """A real client reads the file, and fails only for want of a server's address."""
    fields = ("amount_ms", "packet_count", "mtu")
    operations = [{name: {field: 1}} for names, field in zip(ROUTER, fields, strict=True) for name in names]
    (tmp_path / "r.json").write_text(json.dumps({**PLAIN, "routers": [{"scenario": operations}]}))
    done = subprocess.run(
        ["s2n-netbench-driver-client-tcp", str(tmp_path / "r.json")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "SERVER_0" in done.stderr
