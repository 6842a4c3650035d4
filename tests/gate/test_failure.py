"""Does `no_regression()` read like a sentence, and fail when it should?"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest

from pytest_netbench import Gate, NetbenchWarning
from pytest_netbench.gate.mode import Mode
from pytest_netbench.gate.words import change, line, percent, signed
from pytest_netbench.result.model import Comparison, Interval, MetricVerdict, Verdict
from pytest_netbench.result.result import Result
from tests.gate.gate_cases import CPU, Played

COMPARED = Comparison(
    "main", "worktree", 7, pairs=8, entries=3, repeat="pytest 't.py::test_a' --netbench-ab main,worktree"
)


def verdict(state: Verdict, **more: Any) -> MetricVerdict:
    given = {
        "effect": 0.063,
        "interval": Interval(0.049, 0.077),
        "n": 20,
        "p": 1e-6,
        "detectable": 0.031,
        "required": 18,
    }
    reason = "confirmed by 20 fresh pairs to be above 2 %"
    return MetricVerdict(state, "main", True, 0.02, 0.06, **{**given, "reason": reason, **more})


def result(mode: Mode = Mode.WARN, **verdicts: MetricVerdict) -> Result:
    """A result of eight pairs with these verdicts; dots in names are written as two underscores."""
    played = Played(effect=0.06)
    rounds = tuple(played.now(arm) for _ in range(8) for arm in ("ref", "cand"))
    made = Result(rounds, {CPU: Gate()}, "netbench-results", mode=mode)
    made.judge({name.replace("__", "."): one for name, one in verdicts.items()}, COMPARED)
    return made


def test_a_failure_says_all_that_there_is_to_know() -> None:
    """What got slower, on which side, by how much, how sure, limits, sight, rounds of both arms, how to repeat it."""
    with pytest.raises(AssertionError) as caught:
        result(server__cpu_per_byte=verdict(Verdict.FAIL), goodput=verdict(Verdict.PASS, reason="fine")).no_regression()
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "server.cpu_per_byte on the server got 6.3 % worse in worktree than in main "
        "(95 % interval +4.9 % to +7.7 %, 20 pairs): confirmed by 20 fresh pairs to be above 2 %"
    )
    assert lines[1:3] == [
        "  limits: fails above 2 %, must detect 6 %; measured on the server",
        "  the smallest regression that 20 pairs detect here is 3.1 %",
    ]
    assert lines[3].startswith("  ref (main): ")
    assert lines[3].count(",") == 7
    assert lines[4].startswith("  cand (worktree): ")
    assert lines[5].startswith("goodput: pass")
    assert lines[6] == "rounds: netbench-results/runs/test"
    assert lines[7] == "repeat: pytest 't.py::test_a' --netbench-ab main,worktree  (seed 7, 3 gated in this session)"


def test_the_gravest_metric_comes_first() -> None:
    """A failure before what is invalid or open."""
    with pytest.raises(AssertionError) as caught:
        result(goodput=verdict(Verdict.INVALID, reason="x"), server__cpu_per_byte=verdict(Verdict.FAIL)).no_regression()
    text = str(caught.value)
    assert text.index("server.cpu_per_byte on the server got") < text.index("goodput is invalid against main: x")


@pytest.mark.parametrize("state", [Verdict.PASS, Verdict.IMPROVED, Verdict.NEW, Verdict.NONE])
def test_what_passes_passes_in_every_mode(state: Verdict) -> None:
    """The verdict is given back."""
    for mode in Mode:
        assert result(mode, goodput=verdict(state)).no_regression() is state


@pytest.mark.parametrize("state", [Verdict.FAIL, Verdict.INVALID])
def test_what_fails_fails_unless_the_gate_is_off(state: Verdict) -> None:
    """Off shows it only."""
    for mode in (Mode.WARN, Mode.STRICT):
        with pytest.raises(AssertionError):
            result(mode, goodput=verdict(state)).no_regression()
    assert result(Mode.OFF, goodput=verdict(state)).no_regression() is state


def test_what_stays_open_warns_fails_or_is_shown() -> None:
    """Never silently a pass: a warning with the reason, a failure when strict."""
    found = verdict(Verdict.INCONCLUSIVE, reason="it needs about 90 pairs")
    with pytest.warns(NetbenchWarning, match="inconclusive: goodput: inconclusive, .*it needs about 90 pairs"):
        result(goodput=found).no_regression()
    with pytest.raises(AssertionError, match="goodput is inconclusive against main: it needs about 90 pairs"):
        result(Mode.STRICT, goodput=found).no_regression()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert result(Mode.OFF, goodput=found).no_regression() is Verdict.INCONCLUSIVE


def test_a_figure_that_isnt_gated_decides_nothing() -> None:
    """However much worse it is."""
    found = replace(verdict(Verdict.FAIL), gated=False)
    assert result(goodput=found).no_regression() is Verdict.NONE


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (0.063, "6.3 % worse"),
        (-0.02, "2 % better"),
        (0.0, "unchanged"),
        (0.00001, "unchanged"),
        (46.2, "47.2 times as costly"),
    ],
)
def test_an_effect_in_words(effect: float, words: str) -> None:
    """Shares of the cost; far beyond, times."""
    assert change(effect) == words


def test_shares_in_words() -> None:
    """With their sign where that tells something."""
    assert [percent(0.05), signed(0.05), signed(-0.05), signed(20.0)] == ["5 %", "+5 %", "-5 %", "21 times"]
    assert (
        line("goodput", verdict(Verdict.PASS, reason="")) == "goodput: pass, 6.3 % worse (+4.9 % to +7.7 %), 20 pairs"
    )
