"""Does a calibration measure what the gate would do, and does the gate heed it?"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_netbench.cli.calibrate import gathered, lines
from pytest_netbench.errors import ResultsError
from pytest_netbench.gate import Gate
from pytest_netbench.gate.calibration import Calibration, Recorded, from_text, sight, to_text, upper_bound
from pytest_netbench.gate.limits import limits
from pytest_netbench.result.model import MetricVerdict, SessionRecord, TestRecord, Verdict
from pytest_netbench.standards import Standards
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
    one = Calibration("abc", {"t::a": {CPU: replace(recorded(pairs=8), gate=Gate(0.02, 0.06))}})
    again = from_text(to_text(one), "x")
    assert again.environment == "abc"
    assert again.tests["t::a"][CPU].gate == Gate(0.02, 0.06)
    assert again.tests["t::a"][CPU].sigma == pytest.approx(one.tests["t::a"][CPU].sigma, abs=1e-5)
    with pytest.raises(ResultsError, match="calibration x"):
        from_text(to_text(one)[:-20], "calibration x")


@pytest.mark.parametrize(("machine", "widened"), [("here", True), ("elsewhere", False)])
def test_the_gate_widens_itself_where_it_was_calibrated(machine: str, widened: bool) -> None:
    """What was measured on another machine says nothing of this one."""
    one = Calibration("here", {"t::a": {CPU: recorded(0.005, 0.03)}})
    standards = Standards(calibration=one, machine=lambda: {"hash": machine})
    assert (standards.limits("t::a", {CPU: Gate()})[CPU].sigma > 0.01) is widened
    assert standards.limits("t::b", {CPU: Gate()})[CPU].sigma == 0


def test_results_of_sessions_are_gathered_and_said() -> None:
    """Pairs in the order of their rounds; live failures counted; a line a metric."""
    played = Played()
    rounds = tuple(played.now(arm) for _ in range(8) for arm in ("ref", "cand"))
    found: dict[str, Any] = {
        "verdicts": {CPU: MetricVerdict(Verdict.FAIL, "same", True, 0.01, 0.05)},
        "gates": {CPU: (0.01, 0.05)},
    }
    test = TestRecord("t::a", "i", "n", "tcp", "local", (), "passed", rounds, {}, **found)
    session = SessionRecord("run", "now", "local", {}, {"hash": "abc"}, (test,))
    one = gathered([session, session])
    metric = one.tests["t::a"][CPU]
    assert (len(metric.sessions), len(metric.sessions[0]), metric.alarms, metric.seconds) == (2, 8, 2, 2.0)
    head, line = lines(one)
    assert head == "t::a"
    assert "sees " in line
    assert "2 of 2 live runs" in line
