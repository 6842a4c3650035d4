"""Does the gate keep its two promises on simulated suites: hardly a false alarm, hardly a miss?"""

from __future__ import annotations

import pytest
from scipy import stats

from tests.gate.simulation import MODERATE, NOISY, ORDERED, QUIET, Noise, suites

ENTRIES = 20
NAMED = {"quiet": QUIET, "moderate": MODERATE, "noisy": NOISY, "ordered": ORDERED}

POWER = {("quiet", 0.05): 0.99, ("moderate", 0.05): 0.95, ("quiet", 0.10): 0.99, ("moderate", 0.10): 0.99}
"""How often a true effect is caught at least, by noise and effect, among 20 entries."""

PAIRS = {"quiet": 12, "moderate": 20, "noisy": 40, "ordered": 20}
"""Pairs spent on unchanged code at most, mean."""


def check_false_alarms(name: str, count: int) -> None:
    tally, failed = suites(NAMED[name], 0.0, count, ENTRIES, judged=ENTRIES, seed=5)
    assert failed <= stats.binom.ppf(0.999, count, 0.0005), f"{failed} of {count} suites of unchanged code failed"
    assert tally.pairs / tally.entries <= PAIRS[name]


def check_power(name: str, effect: float, count: int) -> None:
    tally, _ = suites(NAMED[name], effect, count, ENTRIES, judged=1, seed=6)
    least = stats.binom.ppf(0.001, count, POWER[name, effect])
    assert tally.fail >= least, f"{tally.fail} of {count} regressions of {effect:.0%} were caught"


@pytest.mark.parametrize("name", ["quiet", "moderate"])
def test_unchanged_code_hardly_ever_fails(name: str) -> None:
    """Of 1,000 suites of 20 gated entries, none fails but by a chance of 1 in 2,000; and they take few pairs."""
    check_false_alarms(name, 1_000)


@pytest.mark.parametrize(("name", "effect"), list(POWER))
def test_a_true_regression_is_caught(name: str, effect: float) -> None:
    """A regression of the size that must be detected is confirmed, whatever else is gated beside it."""
    check_power(name, effect, 1_000)


def test_where_it_is_too_noisy_it_says_so() -> None:
    """A regression in heavy noise is left open, never passed."""
    tally, _ = suites(NOISY, 0.05, 1_000, ENTRIES, judged=1, seed=7)
    assert tally.passed <= stats.binom.ppf(0.999, 1_000, 0.03)
    assert tally.open > 0


def test_what_lies_within_the_tolerance_hardly_fails() -> None:
    """A true 1 % is at the border: it fails with probability alpha over the entries at most."""
    tally, _ = suites(Noise(0.01, 0.01, 0.02), 0.01, 1_000, ENTRIES, judged=1, seed=8)
    assert tally.fail <= stats.binom.ppf(0.999, 1_000, 0.001)


@pytest.mark.deep
@pytest.mark.parametrize("name", list(NAMED))
def test_unchanged_code_hardly_ever_fails_in_20000_suites(name: str) -> None:
    """The same in every kind of noise."""
    check_false_alarms(name, 20_000)


@pytest.mark.deep
@pytest.mark.parametrize(("name", "effect"), list(POWER))
def test_a_true_regression_is_caught_in_20000_suites(name: str, effect: float) -> None:
    """The same power, bounded more tightly."""
    check_power(name, effect, 20_000)
