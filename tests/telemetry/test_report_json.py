"""Does a driver's report survive its file? All of it, and what is malformed is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_netbench.errors import RunError
from pytest_netbench.telemetry.model import (
    ConnectionReport,
    CpuScope,
    CpuUse,
    DriverReport,
    Fact,
    Held,
    Load,
    Pace,
    StreamBytes,
)
from pytest_netbench.telemetry.report_json import dump, load, write

NUMBERS = st.integers(0, 2**63)
MAYBE = st.none() | NUMBERS
SECONDS = st.integers(0, 10**12).map(lambda ns: ns / 1e9)
STREAMS = st.builds(StreamBytes, NUMBERS, st.booleans(), NUMBERS, NUMBERS, st.booleans())
CONNECTIONS = st.builds(
    ConnectionReport,
    MAYBE,
    MAYBE,
    st.none() | st.text(),
    st.lists(STREAMS, max_size=2).map(tuple),
    st.none() | SECONDS,
    MAYBE,
    MAYBE,
    MAYBE,
    MAYBE,
    st.none() | st.booleans(),
    st.none() | st.booleans(),
    st.none() | st.tuples(NUMBERS, NUMBERS),
)
PACES = st.builds(Pace, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
REPORTS = st.builds(
    DriverReport,
    MAYBE,
    MAYBE,
    MAYBE,
    st.lists(CONNECTIONS, max_size=2).map(tuple),
    st.dictionaries(st.text(), st.lists(SECONDS, max_size=4).map(tuple), max_size=2),
    st.none() | st.builds(CpuUse, SECONDS, st.sampled_from(CpuScope)),
    MAYBE,
    st.lists(st.text(), max_size=2).map(tuple),
    st.dictionaries(st.text(), st.lists(NUMBERS, max_size=4).map(tuple), max_size=2),
    st.dictionaries(st.text(), st.builds(Load, PACES, st.none() | PACES), max_size=2),
    st.none() | st.builds(Held, NUMBERS, NUMBERS, NUMBERS),
)
EMPTY = DriverReport(None, None, None, (), {}, None, None)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(REPORTS)
def test_a_report_is_read_as_it_was_written(report: DriverReport) -> None:
    """Samples to the nanosecond, everything else as it is."""
    assert load(dump(report)) == report


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("connections", None, r"report\.connections: expected list, found None"),
        ("connections", [5], r"report\.connections\[0\]: expected an object, found 5"),
        ("began_ns", "now", r"report\.began_ns: expected int or null, found 'now'"),
        ("began_ns", True, r"report\.began_ns: expected int or null, found True"),
        ("samples_ns", {"a": [1, "x"]}, r"samples_ns\.a: expected a list of whole numbers"),
        ("cpu", {"seconds": 1, "scope": "some"}, r"report\.cpu\.scope: expected 'window' or 'whole process'"),
        ("loads", {"a": [[1, 2, 3, 4]]}, r"report\.loads\.a: expected \[done, due\]"),
        ("loads", {"a": [[1, 2, 3], None]}, r"report\.loads\.a: expected 4 whole numbers"),
        ("held", [1, 2, "x"], r"report\.held: expected a list of whole numbers"),
        ("form", 2, "has form 2, this version reads 1"),
    ],
)
def test_a_malformed_report_is_named(field: str, value: object, text: str) -> None:
    """The field, what was expected, what was found."""
    document = {**json.loads(dump(EMPTY)), field: value}
    with pytest.raises(RunError, match=text):
        load(json.dumps(document).encode())


def test_what_a_driver_does_not_tell_is_kept() -> None:
    """By name; who tells everything needn't say so, and an unknown fact is named."""
    report = replace(EMPTY, untold=frozenset({Fact.SENT, Fact.TRACES}))
    assert load(dump(report)) == report
    with pytest.raises(RunError, match=r"untold: expected some of bytes sent, .*, found 'speed'"):
        load(json.dumps({**json.loads(dump(EMPTY)), "untold": ["speed"]}).encode())


@pytest.mark.parametrize("cut", [0, 1, 30, -1])
def test_a_truncated_report_is_named(cut: int) -> None:
    """Half a file is never taken for a whole one."""
    with pytest.raises(RunError, match="isn't JSON"):
        load(dump(EMPTY)[:cut])


def test_every_field_must_be_there() -> None:
    """A report without one isn't read as if nothing had happened."""
    whole = json.loads(dump(EMPTY))
    for field in whole:
        less = {name: value for name, value in whole.items() if name != field}
        with pytest.raises(RunError, match=field):
            load(json.dumps(less).encode())


def test_writing_leaves_all_or_nothing(tmp_path: Path) -> None:
    """Where it can't be written nothing is left; where it can only the report is."""
    with pytest.raises(OSError, match="No such file"):
        write(EMPTY, tmp_path / "absent" / "report.json")
    write(EMPTY, tmp_path / "report.json")
    assert [one.name for one in tmp_path.iterdir()] == ["report.json"]
    assert load((tmp_path / "report.json").read_bytes()) == EMPTY
