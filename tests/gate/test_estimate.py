"""Is the estimate that of the literature, and does it behave as one of a ratio must?"""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import mstats

from pytest_netbench.gate.estimate import Estimate, estimate, flipped, hodges_lehmann, log_ratio, share
from pytest_netbench.result.model import Better

RATIOS = st.lists(st.floats(-0.5, 0.5).map(lambda one: round(one, 9)), min_size=8, max_size=60)
COSTS = st.floats(1e-12, 1e12)


@given(RATIOS)
def test_the_mean_is_scipys_trimmed_mean(ratios: list[float]) -> None:
    """A fifth is cut off at each end."""
    assert estimate(ratios).mean == pytest.approx(float(stats.trim_mean(ratios, 0.2)), abs=1e-12)


@given(RATIOS)
def test_the_error_is_that_of_the_winsorised_values(ratios: list[float]) -> None:
    """Standard error by the definition, with scipy's winsorising and numpy's deviation."""
    n = len(ratios)
    wins = np.asarray(mstats.winsorize(np.array(ratios), limits=(0.2, 0.2)))
    cut = int(0.2 * n)
    expected = float(np.std(wins, ddof=1)) / ((1 - 2 * cut / n) * math.sqrt(n))
    assert estimate(ratios).error == pytest.approx(expected, abs=1e-12)


@given(RATIOS)
def test_hodges_lehmann_is_the_median_of_walsh_averages(ratios: list[float]) -> None:
    """The cross-check is that of numpy over all pairs, each value with itself included."""
    values = np.array(ratios)
    rows, columns = np.triu_indices(len(values))
    assert hodges_lehmann(ratios) == pytest.approx(float(np.median((values[rows] + values[columns]) / 2)), abs=1e-12)


@given(RATIOS)
def test_exchanging_the_arms_changes_the_sign_only(ratios: list[float]) -> None:
    """The estimate of the mirrored ratios is the mirrored estimate."""
    there, back = estimate(ratios), estimate([-one for one in ratios])
    assert back.mean == pytest.approx(-there.mean, abs=1e-12)
    assert back.error == pytest.approx(there.error, abs=1e-12)
    assert back.interval().low == pytest.approx(-there.interval().high, abs=1e-9)


@given(st.lists(st.tuples(COSTS, COSTS), min_size=8, max_size=20), st.floats(1e-3, 1e3))
def test_units_dont_matter(pairs: list[tuple[float, float]], factor: float) -> None:
    """Both arms in another unit give the same ratios."""
    one = estimate([log_ratio(ref, cand, Better.LOWER) for ref, cand in pairs])
    other = estimate([log_ratio(ref * factor, cand * factor, Better.LOWER) for ref, cand in pairs])
    assert other.mean == pytest.approx(one.mean, abs=1e-9)


@given(RATIOS, st.floats(0, 0.3))
def test_a_slower_candidate_is_more_suspect(ratios: list[float], slower: float) -> None:
    """Worse in every pair: a higher mean, a smaller p."""
    one, other = estimate(ratios), estimate([ratio + slower for ratio in ratios])
    assert other.mean >= one.mean - 1e-12
    assume(one.error > 1e-9)
    assert other.p(0.01) <= one.p(0.01) + 1e-9


@given(RATIOS, st.integers(0, 3))
def test_a_few_wild_pairs_hardly_matter(ratios: list[float], wild: int) -> None:
    """Pairs above all others may be as large as they like: trimmed ones have no weight of their own."""
    assume(int(0.2 * (len(ratios) + wild)) >= wild)
    top = max(ratios)
    assert estimate([*ratios, *[top + 1] * wild]).mean == pytest.approx(estimate([*ratios, *[top + 99] * wild]).mean)


def test_higher_is_better_turns_the_ratio_round() -> None:
    """Half the throughput is as bad as twice the time."""
    assert (
        log_ratio(100, 50, Better.HIGHER) == pytest.approx(log_ratio(1, 2, Better.LOWER)) == pytest.approx(math.log(2))
    )


@pytest.mark.parametrize("values", [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (math.nan, 1.0), (1.0, math.inf)])
def test_a_ratio_needs_values_above_zero(values: tuple[float, float]) -> None:
    """Zero, negative and not finite values have no ratio."""
    with pytest.raises(ValueError, match="above zero"):
        log_ratio(*values, Better.LOWER)


def test_without_variance_the_mean_is_certain() -> None:
    """Equal ratios have no error: bounds meet, p is 0 or 1, any number of pairs is enough."""
    found = estimate([0.03] * 10)
    assert (found.error, found.lower(0.01), found.upper(0.01)) == (0, 0.03, 0.03)
    assert (found.p(0.02), found.p(0.03), found.p(0.04)) == (0, 1, 1)
    assert found.required(math.log(1.01), math.log(1.05), 0.01) == 2
    assert found.detectable(math.log(1.01), 0.01) == pytest.approx(0.01)


def test_required_pairs_and_detectable_effect_agree() -> None:
    """With as many pairs as required, what must be detected is what can be."""
    found = Estimate(20, 0.0, 0.02, 11)
    needed = found.required(math.log(1.01), math.log(1.05), 0.01)
    enough = Estimate(20, 0.0, 0.02 * math.sqrt(20 / needed), 11)
    assert enough.detectable(math.log(1.01), 0.01) == pytest.approx(0.05, abs=0.002)
    assert share(1e9) < math.inf


def test_one_pair_is_no_estimate() -> None:
    """Two are the least."""
    with pytest.raises(ValueError, match="needs 2 pairs"):
        estimate([0.1])


def test_arms_exchanged_by_coins_are_counted() -> None:
    """As all exchanges of eight pairs say that there are."""
    ratios = [0.05, 0.02, -0.01, 0.04, 0.03, 0.06, -0.02, 0.01]
    means = [
        estimate([sign * one for sign, one in zip(signs, ratios, strict=True)]).mean
        for signs in itertools.product((1, -1), repeat=8)
    ]
    exact = sum(one >= estimate(ratios).mean - 1e-12 for one in means) / len(means)
    assert flipped(ratios) == pytest.approx(exact, abs=0.01)
    assert flipped(ratios) == flipped(ratios)


def test_exchanged_arms_alarm_as_rarely_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,000 runs of equal arms with heavy tails, 5 % at the level of 5 %; and a true effect is hardly missed."""
    monkeypatch.setattr("pytest_netbench.gate.estimate.FLIPS", 400)
    rng = random.Random(9)
    noise = [[rng.gauss(0, 0.03) * (10 if rng.random() < 0.1 else 1) for _ in range(20)] for _ in range(1000)]
    alarms = sum(flipped(one) <= 0.05 for one in noise)
    assert alarms <= stats.binom.ppf(0.999, 1000, 0.05)
    assert sum(flipped([each + 0.05 for each in one]) <= 0.05 for one in noise[:100]) >= 95
