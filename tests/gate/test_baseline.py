"""Do stored numbers trip where they should, and only there?"""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.errors import ResultsError, UsageError
from pytest_netbench.gate import Gate
from pytest_netbench.gate.baseline import Baseline, Reference, facts_of, from_text, to_text
from pytest_netbench.gate.baseline_file import place, read, reference, save
from pytest_netbench.gate.limits import Limits, all_limits
from pytest_netbench.result.model import Better, Interval, SessionRecord, Summary, TestRecord, Verdict

NAME = "server.cpu_per_byte"
BOUNDS = all_limits({NAME: Gate()})
HOST = {"name": "server-0", "role": "server", "kernel": "6", "mtu": 1500}


def summary(median: float, width: float = 0.02, n: int = 10) -> Summary:
    ends = None if n < 3 else Interval(median * (1 - width), median * (1 + width))
    return Summary("s/B", Better.LOWER, n, median, ends)


def record(median: float = 1.0, nodeid: str = "test_a.py::test_a", **more: Any) -> TestRecord:
    given: dict[str, Any] = {"summary": {NAME: summary(median)}, "hosts": (HOST,), "gates": {NAME: (0.01, 0.05)}}
    fields = {"nodeid": nodeid, "scenario_id": "i", "scenario_name": "n", "driver": "tcp", "provider": "local"}
    return TestRecord(**{**fields, "outcome": "passed", "rounds": (), **given, **more})


def session(*tests: TestRecord, kernel: str = "6") -> SessionRecord:
    return SessionRecord("run-1", "now", "local", {}, {"kernel": kernel, "cores": 2, "hash": "x"}, tests)


def against(now: Summary, stored: TestRecord | None = None, kernel: str = "6", **more: Any) -> tuple[Verdict, str]:
    """The verdict and the reason of numbers against a baseline of one test."""
    baseline = Baseline().with_session(session(stored or record()), "abc", "first")
    held = Reference("main", replace(baseline, **more))
    test = record(hosts=({**HOST, "kernel": kernel},))
    facts = facts_of(test, session(kernel=kernel).environment)
    (found,) = held.verdicts(test.nodeid, facts, {NAME: now}, BOUNDS).values()
    return found.state, found.reason


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (summary(1.0), Verdict.PASS),
        (summary(1.10), Verdict.PASS),
        (summary(1.20), Verdict.FAIL),
        (summary(1.20, width=0.2), Verdict.INCONCLUSIVE),
        (summary(1.20, n=2), Verdict.INCONCLUSIVE),
        (summary(0.7), Verdict.IMPROVED),
    ],
)
def test_it_trips_at_15_percent_if_the_interval_lies_beyond(now: Summary, state: Verdict) -> None:
    """Below, within its interval, and better: no failure; each says that it is only a tripwire."""
    found, reason = against(now)
    assert found is state
    assert "tripwire only" in reason


def test_the_spread_between_sessions_widens_it() -> None:
    """Where sessions were measured to differ by 30 %, 20 % is nothing."""
    assert against(summary(1.20), spread=0.3)[0] is Verdict.PASS


def test_another_environment_shows_and_doesnt_decide() -> None:
    """The verdict is none, with what differs."""
    state, reason = against(summary(2.0), kernel="7")
    assert state is Verdict.NONE
    assert "the environment differs: " in reason
    assert "kernel was 6, is 7" in reason


def test_a_test_or_metric_that_isnt_stored_is_new() -> None:
    """It passes, and says how it gets in."""
    state, reason = against(summary(1.0), record(nodeid="test_b.py::test_b"))
    assert (state, "--netbench-save main" in reason) == (Verdict.NEW, True)
    assert against(summary(1.0), record(summary={"goodput": summary(1.0)}))[0] is Verdict.NEW


def test_a_metric_that_this_run_lost_is_invalid() -> None:
    """Losing a figure is no way to pass."""
    baseline = Baseline().with_session(session(record()), "", "")
    test = record()
    (found,) = (
        Reference("main", baseline).verdicts(test.nodeid, facts_of(test, session().environment), {}, BOUNDS).values()
    )
    assert found.state is Verdict.INVALID


def test_a_stored_zero_is_invalid() -> None:
    """Nothing is a multiple of zero."""
    assert against(summary(1.0), record(0.0))[0] is Verdict.INVALID


def test_the_text_is_sorted_a_value_a_line_and_comes_back() -> None:
    """As a person reviews it and git merges it."""
    baseline = Baseline().with_session(session(record(nodeid="b"), record(nodeid="a")), "abc+", "a new compiler")
    text = to_text(baseline)
    assert from_text(text, "x") == baseline
    assert text.index('"a"') < text.index('"b"')
    assert '"reason": "a new compiler"' in text
    assert max(map(len, text.splitlines())) < 120


def test_tests_that_were_not_run_stay_as_they_are() -> None:
    """Storing a part of the tests replaces that part; an environment that nobody needs any more goes."""
    first = Baseline().with_session(session(record(1.0, "a"), record(1.0, "b")), "one", "")
    second = first.with_session(session(record(2.0, "b"), record(3.0, "c", summary={}), kernel="7"), "two", "")
    assert {name: one.commit for name, one in second.tests.items()} == {"a": "one", "b": "two"}
    assert len(second.environments) == 2
    third = second.with_session(session(record(2.0, "a"), kernel="7"), "three", "")
    assert len(third.environments) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[: len(text) // 2], "isn't JSON"),
        (lambda text: text.replace('"schema": 1', '"schema": 2'), "has schema 2"),
        (lambda text: text.replace('"median": 1.0', '"median": NaN'), "finite numbers only"),
        (lambda text: text.replace('"n": 10', '"n": 0'), "at least 1 round, found 0"),
        (lambda text: text.replace('"better": "lower"', '"better": "best"'), "one of higher, lower"),
        (lambda text: text.replace('"tests"', '"test"'), "tests: expected it to be there"),
        (lambda _: "[]", "expected an object"),
        (lambda _: "", "isn't JSON"),
    ],
)
def test_a_broken_baseline_is_refused(change: Any, words: str) -> None:
    """Cut, of another schema, with NaN, with zero rounds: one line that names file and element."""
    text = to_text(Baseline().with_session(session(record()), "", ""))
    with pytest.raises(ResultsError, match=words) as caught:
        from_text(change(text), "baseline main.json")
    assert "baseline main.json" in str(caught.value)


def test_infinite_numbers_arent_stored() -> None:
    """What JSON doesn't have isn't written."""
    with pytest.raises(ResultsError, match="finite"):
        to_text(Baseline().with_session(session(record(float("inf"))), "", ""))


def test_two_runs_that_store_the_same_baseline_lose_nothing(tmp_path: Path) -> None:
    """Each adds its test; whoever is last, both are there."""
    path = place(tmp_path, "main")
    ready = threading.Barrier(8)

    def one(number: int) -> None:
        ready.wait()
        save(path, session(record(1.0, f"test_{number}")), "")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(read(path).tests) == {f"test_{number}" for number in range(8)}
    assert [one.name for one in path.parent.iterdir()] == ["main.json"]


def test_a_baseline_is_named_or_a_path_and_may_have_its_own_tolerance(tmp_path: Path) -> None:
    """A second one, the last release's, catches what creeps in below the tolerance of the first."""
    path = place(tmp_path, "v1")
    save(path, session(record()), "")
    assert reference(tmp_path, "v1").trips_at == 0.15
    assert reference(tmp_path, "v1=30%").trips_at == 0.30
    assert reference(tmp_path, str(path)).name == "v1"


@pytest.mark.parametrize(("text", "words"), [("v2", "known: v1"), ("../x", "no baseline"), (".x", "a baseline's name")])
def test_a_wrong_name_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """An unknown one names the nearest, a malformed one what a name has."""
    save(place(tmp_path, "v1"), session(record()), "")
    with pytest.raises(UsageError, match=words):
        reference(tmp_path, text)


def test_limits_wider_than_the_tripwire_hold() -> None:
    """A test that allows 30 % isn't failed at 15."""
    wide = {NAME: Limits(Better.LOWER, 0.3, 0.5)}
    baseline = Baseline().with_session(session(record()), "", "")
    facts = facts_of(record(), session().environment)
    (found,) = Reference("main", baseline).verdicts(record().nodeid, facts, {NAME: summary(1.25)}, wide).values()
    assert found.state is Verdict.PASS


def test_the_file_says_where_it_was_measured(tmp_path: Path) -> None:
    """Environment facts stand beside their hash, so that a reviewer sees what they were."""
    path = place(tmp_path, "main")
    save(path, session(record()), "")
    (facts,) = json.loads(path.read_text())["environments"].values()
    assert facts == {
        "kernel": "6",
        "cores": 2,
        "provider": "local",
        "driver": "tcp",
        "hosts": [{"role": "server", "kernel": "6", "mtu": 1500}],
    }
