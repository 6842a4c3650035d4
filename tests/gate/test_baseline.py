"""Do stored numbers trip where they should, and only there?"""

from __future__ import annotations

import json
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.errors import ResultsError, UsageError
from pytest_netbench.gate import Gate
from pytest_netbench.gate.baseline import Baseline, Origin, Reference, facts_of
from pytest_netbench.gate.baseline_file import place, read, reference, save
from pytest_netbench.gate.baseline_json import from_text, to_text
from pytest_netbench.gate.calibration import Calibration, Recorded
from pytest_netbench.gate.limits import Limits, all_limits
from pytest_netbench.result.model import Better, Comparison, Interval, SessionRecord, Summary, TestRecord, Verdict
from tests.gate.gate_cases import pairs

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


MADE: dict[str, Any] = {
    "programs": {"server: mine/nb-server": "5e", "client: mine/nb-client": "c1"},
    "command": "pytest test_a.py::test_a --netbench-rounds=10",
}


def session(*tests: TestRecord, kernel: str = "6") -> SessionRecord:
    return SessionRecord("run-1", "now", "local", {}, {"kernel": kernel, "cores": 2, "hash": "x"}, tests)


def stored(*tests: TestRecord, origin: Origin | None = None, **more: Any) -> Baseline:
    """A baseline of these tests, or of one."""
    made = Baseline().with_session(session(*(tests or [record()])), origin or Origin("abc"), "first")
    return replace(made, **more)


def held(baseline: Baseline, test: TestRecord, kernel: str = "6", *, built: bool = False) -> tuple[Verdict, str]:
    """The verdict and the reason of a test against a baseline."""
    facts = facts_of(test, session(kernel=kernel).environment)
    (found,) = Reference("main", baseline).verdicts(test, facts, BOUNDS, built=built).values()
    return found.state, found.reason


def against(now: Summary, before: TestRecord | None = None, kernel: str = "6", **more: Any) -> tuple[Verdict, str]:
    """The verdict and the reason of numbers against a baseline of one test."""
    test = record(summary={NAME: now}, hosts=({**HOST, "kernel": kernel},))
    return held(stored(before or record(), **more), test, kernel)


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
    assert held(stored(), record(summary={}))[0] is Verdict.INVALID


def test_a_stored_zero_is_invalid() -> None:
    """Nothing is a multiple of zero."""
    assert against(summary(1.0), record(0.0))[0] is Verdict.INVALID


def test_the_text_is_sorted_a_value_a_line_and_comes_back() -> None:
    """As a person reviews it and git merges it."""
    baseline = Baseline().with_session(
        session(record(nodeid="b"), record(nodeid="a", **MADE)), Origin("abc", clean=False, by="me"), "a new compiler"
    )
    text = to_text(baseline)
    assert from_text(text, "x") == baseline
    assert text.index('"a"') < text.index('"b"')
    assert '"reason": "a new compiler"' in text
    assert max(map(len, text.splitlines())) < 120


def test_tests_that_were_not_run_stay_as_they_are() -> None:
    """Storing a part of the tests replaces that part; an environment that nobody needs any more goes."""
    first = stored(record(1.0, "a"), record(1.0, "b"), origin=Origin("one"))
    second = first.with_session(session(record(2.0, "b"), record(3.0, "c", summary={}), kernel="7"), Origin("two"), "")
    assert {name: one.origin.commit for name, one in second.tests.items()} == {"a": "one", "b": "two"}
    assert len(second.environments) == 2
    third = second.with_session(session(record(2.0, "a"), kernel="7"), Origin("three"), "")
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
        (lambda text: text.replace('"clean": true', '"clean": 1'), "ref.clean: expected true or false"),
        (lambda text: text.replace('"cmd": ""', '"cmd": null'), "ref.cmd: expected a text"),
        (lambda _: "[]", "expected an object"),
        (lambda _: "", "isn't JSON"),
    ],
)
def test_a_broken_baseline_is_refused(change: Any, words: str) -> None:
    """Cut, of another schema, with NaN, with zero rounds: one line that names file and element."""
    text = to_text(stored())
    with pytest.raises(ResultsError, match=words) as caught:
        from_text(change(text), "baseline main.json")
    assert "baseline main.json" in str(caught.value)


def test_infinite_numbers_arent_stored() -> None:
    """What JSON doesn't have isn't written."""
    with pytest.raises(ResultsError, match="finite"):
        to_text(stored(record(float("inf"))))


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


def test_a_lock_that_is_somebody_elses_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link in its place isn't followed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = place(tmp_path, "main")
    save(path, session(record()), "")
    (lock,) = tmp_path.glob("netbench-*.lock")
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResultsError, match=r"its lock .* can.t be had"):
        save(path, session(record()), "")


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
    facts = facts_of(record(), session().environment)
    (found,) = Reference("main", stored()).verdicts(record(1.25), facts, wide).values()
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


def test_the_file_says_how_the_reference_is_run_again() -> None:
    """Commit, whether its tree was clean, the programs, the command, and who stored it why."""
    baseline = stored(record(**MADE), origin=Origin("abc", clean=False, by="me"))
    (entry,) = json.loads(to_text(baseline))["tests"].values()
    assert entry["ref"] == {
        "git_sha": "abc", "clean": False, "artifact_sha256": MADE["programs"], "cmd": MADE["command"]
    }  # fmt: skip
    assert (entry["updated_by"], entry["reason"], entry["commit"]) == ("me", "first", "abc+")


def test_a_file_of_an_earlier_version_is_read() -> None:
    """It has the commit alone; all else isn't known."""
    whole = json.loads(to_text(stored(record(**MADE))))
    for entry in whole["tests"].values():
        entry.pop("ref"), entry.pop("updated_by")
        entry["commit"] = "abc+"
        for metric in entry["metrics"].values():
            metric.pop("s_w", None), metric.pop("n_req", None)
    baseline = from_text(json.dumps(whole), "x")
    (entry,) = baseline.tests.values()
    assert entry.origin == Origin("abc", clean=False)
    assert held(baseline, record(2.0, **MADE))[0] is Verdict.FAIL


def test_of_arms_the_candidates_commit_is_stored() -> None:
    """Its numbers are, so is its commit; an arm that isn't built is the project's."""
    built = Comparison("main", "worktree", 1, ref_commit="111", cand_commit="222+")
    assert next(iter(stored(record(comparison=built)).tests.values())).origin == Origin("222", clean=False)
    plain = Comparison("driver:a", "driver:b", 1)
    assert next(iter(stored(record(comparison=plain)).tests.values())).origin == Origin("abc")


def test_a_tripped_wire_offers_the_command_that_decides() -> None:
    """With the stored commit, where the driver can be built from it; else the way in general."""
    baseline = stored(origin=Origin("0123456789abcdef", clean=False))
    state, reason = held(baseline, record(2.0, **MADE), built=True)
    assert state is Verdict.FAIL
    assert f"`{MADE['command']} --netbench-ab=0123456789ab,as-is` runs that commit (its tree had changes" in reason
    assert "`netbench ab REF CAND`" in held(baseline, record(2.0, **MADE))[1]
    assert "--netbench-ab" not in held(baseline, record(1.0, **MADE), built=True)[1]
    assert "--netbench-ab=0123456789ab" in held(baseline, record(2.0, **MADE), kernel="7", built=True)[1]


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({}, "above 15 %, by the same program as then (equal SHA-256)"),
        ({"client: mine/nb-client": "c2"}, "above 15 %, with the same program as then for server: mine/nb-server;"),
        ({"client: mine/nb-client": "c2", "server: mine/nb-server": "52"}, "above 15 %; stored"),
    ],
)
def test_the_same_program_is_said_to_be(now: dict[str, str], words: str) -> None:
    """Then the code didn't change, whatever the numbers say."""
    test = record(2.0, **{**MADE, "programs": MADE["programs"] | now})
    assert words in held(stored(record(**MADE)), test)[1]


def test_facts_that_are_others_each_time_are_no_environment() -> None:
    """A cloud's instance, its zone, memory to the page, how well a clock is kept: also in a file that has them."""
    passing = {"instance": "i-1", "zone": "a", "clock_offset_s": 1e-5, "memory": 16_766_509_056}
    baseline = stored(record(hosts=({**HOST, **passing},)))
    assert not {"instance", "zone", "memory"} & set(next(iter(baseline.environments.values()))["hosts"][0])  # type: ignore[index]
    old = {key: {**one, "memory": 4096, "hosts": [{**HOST, **passing}]} for key, one in baseline.environments.items()}
    assert held(replace(baseline, environments=old), record(hosts=({**HOST, "instance": "i-2"},)))[0] is Verdict.PASS


def test_noise_and_the_pairs_that_it_takes_are_stored() -> None:
    """From the rounds' logarithms, those of pairs where there are some; too few rounds say nothing of pairs."""
    rounds = tuple(replace(pair.cand, arm=None) for pair in pairs(10, noise=0.05))
    (entry,) = stored(record(rounds=rounds, gates={NAME: (0.01, 0.05)})).tests.values()
    found = entry.gates[NAME]
    assert found.noise is not None
    assert 0.02 < found.noise < 0.1
    assert found.required is not None
    assert 20 < found.required < 400
    (few,) = stored(record(rounds=rounds[:3], gates={NAME: (0.01, 0.05)})).tests.values()
    assert few.gates[NAME].noise is not None
    assert few.gates[NAME].required is None


def test_what_was_calibrated_here_is_stored(tmp_path: Path) -> None:
    """Runs, alarms, what sessions differ by, power at 5 %; nothing of another environment."""
    ratios = tuple(tuple(0.01 * (-1) ** at + 0.001 * session for at in range(8)) for session in range(3))
    known = Calibration("x", {record().nodeid: {NAME: Recorded(ratios, 1, 0.5, Gate(), (1.0, 1.1, 1.2))}})
    path = place(tmp_path, "main")
    save(path, session(record()), "", known)
    found = next(iter(read(path).tests.values())).gates[NAME].calibrated
    assert found is not None
    assert (found.runs, found.alarms) == (3, 1)
    assert found.power is not None
    save(path, session(record()), "", replace(known, environment="y"))
    assert next(iter(read(path).tests.values())).gates[NAME].calibrated is None
