"""Does a calibration measure what the gate would do, and does the gate heed it?"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_netbench.ab.standards import Standards
from pytest_netbench.cli.calibrate import lines
from pytest_netbench.errors import ResultsError
from pytest_netbench.gate import Gate
from pytest_netbench.gate.calibration import (
    Calibration,
    Recorded,
    Slower,
    from_text,
    sight,
    sights,
    to_text,
    upper_bound,
)
from pytest_netbench.gate.gathering import gathered
from pytest_netbench.gate.limits import limits
from pytest_netbench.result.model import Comparison, MetricVerdict, SessionRecord, TestRecord, Verdict
from tests.gate.gate_cases import CPU, Played

LIMITS = limits(CPU, Gate())


def recorded(noise: float = 0.02, shift: float = 0.0, sessions: int = 10, pairs: int = 20) -> Recorded:
    """Sessions of equal arms, each with a shift of its own."""
    rng = random.Random(4)
    shifts = [rng.gauss(0, shift) for _ in range(sessions)]
    return Recorded(tuple(tuple(one + rng.gauss(0, noise) for _ in range(pairs)) for one in shifts), 0, 0.25)


def test_quiet_sessions_see_what_they_must() -> None:
    """No alarm, every regression of 5 % caught, few pairs on unchanged code."""
    found = sight(recorded(), LIMITS, runs=100)
    assert found is not None
    assert (found.live, found.drawn_alarms) == (10, 0)
    assert found.power[0.05] > 0.95
    assert found.power[0.10] == 1
    assert found.detectable < 0.05
    assert found.seconds == pytest.approx(10)
    assert found.pairs < 15


def test_noisy_sessions_say_what_they_miss() -> None:
    """Little is caught, and what 40 pairs detect is far above 5 %."""
    found = sight(recorded(0.3), LIMITS, runs=30)
    assert found is not None
    assert found.power[0.03] < 0.5
    assert found.detectable > 0.15


def test_what_differs_between_sessions_is_told_from_noise() -> None:
    """The shift's deviation is found, none where there is none; one session tells nothing."""
    assert recorded(0.005, 0.03, sessions=40).sigma == pytest.approx(0.03, rel=0.4)
    assert recorded(0.02, sessions=40).sigma < 0.003
    assert recorded(sessions=1).sigma == 0


def test_two_noisy_sessions_dont_blind_the_gate() -> None:
    """A quiet session and one that differs from it within its own noise show nothing; a third that agrees does."""
    quiet, noisy, apart = (0.02, -0.03) * 6, (0.05, -0.2) * 6, (-0.06, -0.09) * 6
    assert replace(recorded(), sessions=(quiet, noisy)).sigma == 0
    assert replace(recorded(), sessions=(quiet, apart)).sigma == pytest.approx(0.05, abs=0.01)
    assert replace(recorded(), sessions=((0.0,) * 12,) * 3).sigma == 0


def test_too_few_blocks_say_nothing() -> None:
    """Three pairs are no calibration."""
    assert sight(Recorded(((0.1, 0.2, 0.3),), 0, 1.0), LIMITS) is None


@given(st.integers(1, 500), st.data())
def test_the_bound_is_that_of_clopper_and_pearson(runs: int, data: st.DataObject) -> None:
    """As scipy has it; 299 runs without an alarm claim 1 % with 95 %."""
    events = data.draw(st.integers(0, runs))
    expected = 1.0 if events == runs else float(stats.beta.ppf(0.95, events + 1, runs - events))
    assert upper_bound(events, runs) == pytest.approx(expected, abs=1e-6)
    assert upper_bound(0, 299) < 0.01 < upper_bound(0, 297)


def test_it_comes_back_from_its_text() -> None:
    """Sorted, with the limits that the test declared."""
    whole = replace(
        recorded(pairs=8),
        gate=Gate(0.02, 0.06),
        levels=(1e-9, 2e-9, 3e-9),
        builds=((0.02, 0.03), ()),
        slower=Slower("option:x=1", 3, 2, (0.05, 0.06)),
    )
    one = Calibration("abc", {"t::a": {CPU: whole}})
    seen = sights(one, runs=20)
    assert {"bound", "power", "builds_differ"} <= set(json.loads(to_text(one, seen))["tests"]["t::a"][CPU]["sees"])
    again = from_text(to_text(one, seen), "x")
    assert again.environment == "abc"
    assert again.tests["t::a"][CPU].gate == Gate(0.02, 0.06)
    assert again.tests["t::a"][CPU].sigma == pytest.approx(one.tests["t::a"][CPU].sigma, abs=1e-5)
    assert replace(again.tests["t::a"][CPU], sessions=()) == replace(whole, sessions=())
    with pytest.raises(ResultsError, match="calibration x"):
        from_text(to_text(one)[:-20], "calibration x")


@pytest.mark.parametrize(("machine", "widened"), [("here", True), ("elsewhere", False)])
def test_the_gate_widens_itself_where_it_was_calibrated(machine: str, widened: bool) -> None:
    """What was measured on another machine says nothing of this one."""
    one = Calibration("here", {"t::a": {CPU: recorded(0.005, 0.03)}})
    standards = Standards(calibration=one, machine=lambda: {"hash": machine})
    assert (standards.limits("t::a", {CPU: Gate()})[CPU].sigma > 0.01) is widened
    assert standards.limits("t::b", {CPU: Gate()})[CPU].sigma == 0


@pytest.mark.parametrize(("rebuilt", "margin"), [(True, 0.03), (False, 0.01)])
def test_between_builds_the_tolerance_is_what_a_rebuild_does(rebuilt: bool, margin: float) -> None:
    """Two arms of one binary aren't concerned."""
    one = Calibration("here", {"t::a": {CPU: replace(recorded(), builds=((0.03,) * 24, (0.01,) * 24, ()))}})
    found = Standards(calibration=one, machine=lambda: {"hash": "here"}).limits("t::a", {CPU: Gate()}, rebuilt=rebuilt)
    assert found[CPU].tau == pytest.approx(margin, abs=1e-3)
    assert not found[CPU].blind


def test_builds_that_differ_within_their_noise_dont_differ() -> None:
    """What is found is beyond the error of finding it; builds that are the same differ by nothing."""
    rng = random.Random(1)
    noisy = tuple(rng.gauss(0, 0.05) for _ in range(24))
    assert replace(recorded(), builds=(noisy,)).rebuild < 0.01
    assert replace(recorded(), builds=((),)).rebuild == 0
    assert replace(recorded(), builds=((0.06,) * 24,)).rebuild == pytest.approx(0.062, abs=1e-3)


def test_stored_numbers_trip_beyond_what_sessions_differ_by() -> None:
    """Levels of sessions that differ by a tenth make a tripwire of a third; elsewhere nothing is known."""
    one = Calibration("here", {"t::a": {CPU: replace(recorded(), levels=(0.9, 1.0, 1.1, 1.0, 0.9, 1.1))}})
    assert one.spread("here") == pytest.approx(0.29, abs=0.05)
    assert one.spread("elsewhere") == 0
    assert replace(recorded(), levels=(1.0, 2.0)).spread == 0


def session(state: Verdict = Verdict.FAIL, note: str = "", effect: float = 0.0) -> SessionRecord:
    """A session of one test whose rounds were played, with this verdict."""
    played = Played(effect)
    rounds = tuple(played.now(arm) for _ in range(8) for arm in ("ref", "cand"))
    found: dict[str, Any] = {
        "verdicts": {CPU: MetricVerdict(state, "same", True, 0.01, 0.05)},
        "gates": {CPU: (0.01, 0.05)},
        "comparison": Comparison("a", "b", 1, note=note),
    }
    test = TestRecord("t::a", "i", "n", "tcp", "local", (), "passed", rounds, {}, **found)
    return SessionRecord("run", "now", "local", {}, {"hash": "abc"}, (test,))


def test_results_of_sessions_are_gathered_and_said() -> None:
    """Pairs in the order of their rounds; live failures counted; builds, and an arm that is slower; a line a metric."""
    equal = [session(), session(Verdict.PASS)]
    builds = [[session(effect=0.03)] * 2, [session(note="both arms are the same")]]
    one = gathered(equal, builds, [session(effect=0.1)] * 3, "option:x=1")
    metric = one.tests["t::a"][CPU]
    assert (len(metric.sessions), len(metric.sessions[0]), metric.alarms, metric.seconds) == (2, 8, 1, 1.0)
    assert [len(build) for build in metric.builds] == [16, 0]
    assert metric.rebuild == pytest.approx(0.03, abs=0.01)
    head, line = lines(one, sights(one, runs=20))
    assert head == "t::a"
    assert " % with 40 pairs, 40 s; 1 of 2 live runs" in line
    assert "2 other builds of the same commit: they differ by " in line
    assert "caught 3 of 3 times in option:x=1, which is " in line


def test_a_rebuild_that_hides_what_is_sought_is_said() -> None:
    """The gate between builds is then inconclusive, whatever it finds."""
    one = Calibration("abc", {"t::a": {CPU: replace(recorded(), builds=((0.08,) * 24,))}})
    assert any("between builds nothing can be decided" in line for line in lines(one, sights(one, runs=20)))
