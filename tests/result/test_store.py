"""Do results survive the way into results.json and back, and is a broken file told from a good one?"""

from __future__ import annotations

import errno
import json
import math
import os
import resource
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.errors import ResultsError
from pytest_netbench.result import store
from pytest_netbench.result.model import Better, Interval, Round, Sending, SessionRecord, Summary, TestRecord, Verdict
from pytest_netbench.result.store import from_json, session_to_json
from tests.result.result_cases import record, round_, sampled, session

TEXT = st.text(max_size=8)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
NAME = st.sampled_from(["goodput", "a.p50", "b.max", "server.cpu_per_op"])
ROUND = st.builds(
    Round,
    index=st.integers(0, 99),
    arm=st.sampled_from([None, "ref", "cand"]),
    started=TEXT,
    duration_s=NUMBER,
    metrics=st.dictionaries(NAME, NUMBER),
    start_skew_s=NUMBER,
    armed=st.booleans(),
    control_bytes_in_run=st.integers(0, 2**63),
    validity=st.lists(TEXT, max_size=2).map(tuple),
    whole_process=st.frozensets(NAME),
    logs=TEXT,
    environment=st.dictionaries(TEXT, st.dictionaries(TEXT, TEXT, min_size=1), max_size=2),
    sending=st.none() | st.builds(Sending, NUMBER, st.none() | NUMBER),
)
INTERVAL = st.tuples(NUMBER, NUMBER).map(lambda two: Interval(min(two), max(two)))
SUMMARIES = st.dictionaries(
    NAME, st.builds(Summary, TEXT, st.sampled_from(Better), st.integers(1, 99), NUMBER, st.none() | INTERVAL, TEXT)
)
TEST = st.builds(
    TestRecord,
    *[TEXT] * 5,
    hosts=st.lists(st.dictionaries(TEXT, TEXT | st.integers()), max_size=2).map(tuple),
    outcome=TEXT,
    rounds=st.lists(ROUND, max_size=3).map(tuple),
    summary=SUMMARIES,
    verdict=st.sampled_from(Verdict),
    note=TEXT,
    reason=TEXT,
    summary_ref=SUMMARIES,
)
SESSION = st.builds(
    SessionRecord,
    TEXT,
    TEXT,
    TEXT,
    versions=st.dictionaries(TEXT, TEXT),
    environment=st.dictionaries(TEXT, TEXT | st.integers() | st.lists(st.integers())),
    tests=st.lists(TEST, max_size=3).map(tuple),
)


@given(SESSION)
def test_what_was_written_is_read(whole: SessionRecord) -> None:
    """Every record comes back as it was, from text and from bytes."""
    text = session_to_json(whole)
    assert from_json(text) == whole
    assert from_json(text.encode()) == whole


def test_the_file_has_the_documented_keys() -> None:
    """Schema 1 has these keys and no others unless there is something to add."""
    whole = json.loads(session_to_json(session(record(replace(round_(0, goodput=2.0), logs="")))))
    assert list(whole) == ["schema", "session", "tests"]
    assert list(whole["session"]) == ["id", "started", "provider", "versions", "environment"]
    (test,) = whole["tests"]
    assert " ".join(test) == "nodeid scenario driver provider hosts outcome rounds summary verdict"
    assert test["scenario"] == {"id": "id", "name": "ping"}
    assert " ".join(test["rounds"][0]) == (
        "index arm started duration_s metrics start_skew_s armed control_bytes_in_run validity"
    )
    assert test["summary"] == {"goodput": {"unit": "B/s", "better": "higher", "n": 1, "median": 2.0, "ci": None}}
    assert test["verdict"] == {"state": "none", "metrics": {}}


def test_percentiles_of_too_few_samples_are_not_in_the_file() -> None:
    """Neither the summary nor a round has a percentile that the pooled samples can't carry."""
    text = session_to_json(session(record(sampled(10), sampled(10, 1))))
    assert "t.p50" in text
    assert "t.p90" not in text


def test_additions_keep_the_schema() -> None:
    """Keys that this version doesn't know are passed over."""
    whole = json.loads(session_to_json(session(record(round_(0, goodput=2.0)))))
    whole["later"] = whole["tests"][0]["later"] = whole["tests"][0]["rounds"][0]["later"] = [1]
    assert from_json(json.dumps(whole)) == session(record(round_(0, goodput=2.0)))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_are_not_written(bad: float) -> None:
    """NaN and infinity are refused, naming test and metric."""
    test = record(round_(0, goodput=bad), summary={"x": Summary("s", Better.LOWER, 1, 1.0, None)})
    with pytest.raises(ResultsError, match=r"test test_a.py::test_a can't .*: rounds.0.metrics.goodput=\S+ isn't"):
        session_to_json(session(test))


def without(key: str) -> Callable[[Any], None]:
    return lambda whole: whole["tests"][0]["rounds"][0].pop(key)


def set_to(value: object, *path: str | int) -> Callable[[Any], None]:
    def change(whole: Any) -> None:
        for key in path[:-1]:
            whole = whole[key]
        whole[path[-1]] = value

    return change


CHANGES = [
    (set_to(2, "schema"), "has schema 2, this version reads schema 1: use a newer pytest-netbench"),
    (set_to(0, "schema"), "has schema 0"),
    (set_to("1", "schema"), 'schema: expected a whole number, found "1"'),
    (set_to([], "session"), "session: expected an object, found a list"),
    (set_to({}, "tests"), "tests: expected a list, found an object"),
    (without("armed"), "tests[0].rounds[0].armed: expected it to be there, found nothing"),
    (set_to("yes", "tests", 0, "rounds", 0, "armed"), 'rounds[0].armed: expected true or false, found "yes"'),
    (
        set_to(True, "tests", 0, "rounds", 0, "metrics", "goodput"),
        "metrics.goodput: expected a finite number, found true",
    ),
    (set_to(10**400, "tests", 0, "rounds", 0, "duration_s"), "duration_s: expected a finite number, found 1000"),
    (set_to("soso", "tests", 0, "verdict", "state"), "verdict.state: expected one of pass, fail, inconclusive"),
    (set_to([2, 1], "tests", 0, "summary", "goodput", "ci"), "goodput.ci: expected null or [LOW, HIGH], found a list"),
    (set_to(7, "tests", 0, "nodeid"), "tests[0].nodeid: expected a text, found 7"),
]


@pytest.mark.parametrize(("change", "complaint"), CHANGES, ids=[said for _, said in CHANGES])
def test_a_malformed_file_names_the_element(change: Callable[[Any], None], complaint: str) -> None:
    """What is wrong is said with the element's path, what was expected, and what was found."""
    whole = json.loads(session_to_json(session(record(round_(0, goodput=2.0)))))
    change(whole)
    with pytest.raises(ResultsError) as caught:
        from_json(json.dumps(whole), name="old.json")
    assert complaint in str(caught.value)
    assert str(caught.value).startswith("old.json")


GOOD = session_to_json(session(record(round_(0, goodput=2.0))))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "isn't JSON: .* was it truncated"),
        (GOOD[: len(GOOD) // 2], "isn't JSON"),
        (GOOD.replace("2.0", "NaN"), "expected finite numbers only"),
        (GOOD.replace("2.0", "1e999"), "expected a finite number, found inf"),
        ("[" * 100_000, "nested too deeply"),
        (b"\xff\xfe", "isn't UTF-8"),
        ("[]", "expected an object"),
    ],
)
def test_what_is_no_json_is_refused(text: str | bytes, complaint: str) -> None:
    """A truncated file, NaN, and other garbage give one clear error."""
    with pytest.raises(ResultsError, match=complaint):
        from_json(text)


@given(st.integers(0, len(GOOD) - 3))
def test_a_file_cut_anywhere_is_refused(end: int) -> None:
    """No part of a file passes for a whole one."""
    with pytest.raises(ResultsError):
        from_json(GOOD[:end])


# --- files -------------------------------------------------------------------------------------


def test_a_file_is_made_with_its_folder_and_read_again(tmp_path: Path) -> None:
    """The folder is made if absent; the file has the usual permissions; nothing else is left there."""
    path = tmp_path / "new" / "results.json"
    store.write(session(), path)
    assert store.read(path) == session()
    assert list(path.parent.iterdir()) == [path]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_lone_surrogates_in_names_are_written(tmp_path: Path) -> None:
    """A test's id with bytes that are no UTF-8 doesn't lose the results."""
    store.write(session(record(nodeid="a\udc80")), tmp_path / "results.json")
    assert store.read(tmp_path / "results.json").tests[0].nodeid == "a\udc80"


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """Files can't grow beyond so many bytes (as with a quota: the kernel says EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_earlier_file(tmp_path: Path) -> None:
    """If the new results don't fit, the old file stays whole, nothing half-written is left, and one error says so."""
    path = tmp_path / "results.json"
    store.write(session(), path)
    with full_disk(100), pytest.raises(ResultsError, match=r"can't write .*results.json: File too large"):
        store.write(session(record(round_(0, goodput=1.0))), path)
    assert list(tmp_path.iterdir()) == [path]
    assert store.read(path) == session()


def test_no_space_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own words are in the error, with what to do."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResultsError, match=r"No space left on device; make room .* --netbench-out DIR"):
        store.write(session(), tmp_path / "results.json")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    """A path below a file can't be written to, and the error names it."""
    (tmp_path / "out").write_text("")
    with pytest.raises(ResultsError, match=r"can't write .*out/results.json"):
        store.write(session(), tmp_path / "out" / "results.json")


def test_a_read_only_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that can't be written to gives one clear error."""

    def refused(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    with pytest.raises(ResultsError, match=r"can't write .*: Read-only file system"):
        store.write(session(), tmp_path / "results.json")


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """Reading what isn't there names the file."""
    with pytest.raises(ResultsError, match=r"can't read .*absent.json: No such file"):
        store.read(tmp_path / "absent.json")
