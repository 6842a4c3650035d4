"""Are medians, quantiles, intervals and the index of fairness what their definitions say?"""

from __future__ import annotations

import math
import random
import statistics
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.result import stats
from pytest_netbench.result.model import Interval
from pytest_netbench.result.stats import coverage, jain, median, median_interval, quantile

NUMBERS = st.floats(0, 1e12, allow_subnormal=False)
LISTS = st.lists(NUMBERS, min_size=1, max_size=40)


def naive(values: list[float], q: float) -> float:
    """Linear interpolation on the straight line through the points (i / (n - 1), x_i), by search."""
    ordered, n = sorted(values), len(values)
    for i in range(n - 1):
        if i / (n - 1) <= q <= (i + 1) / (n - 1):
            return ordered[i] + (ordered[i + 1] - ordered[i]) * (q * (n - 1) - i)
    return ordered[0]


@given(LISTS, st.floats(0, 1))
def test_quantile_is_the_interpolated_order_statistic(values: list[float], q: float) -> None:
    """A quantile agrees with a naive interpolation, and lies between the smallest and the largest value."""
    found = quantile(sorted(values), q)
    assert math.isclose(found, naive(values, q), rel_tol=1e-9, abs_tol=1e-6 * max(values))
    assert min(values) <= found <= max(values)


@given(LISTS, st.floats(0, 1), st.floats(0, 1))
def test_quantile_grows_with_its_share(values: list[float], one: float, two: float) -> None:
    """A larger share never has a smaller quantile."""
    ordered = sorted(values)
    assert quantile(ordered, min(one, two)) <= quantile(ordered, max(one, two)) * (1 + 1e-12)


@given(LISTS)
def test_ends_and_middle(values: list[float]) -> None:
    """The quantiles at 0, 0.5 and 1 are minimum, median and maximum."""
    ordered = sorted(values)
    assert quantile(ordered, 0) == ordered[0]
    assert quantile(ordered, 1) == ordered[-1]
    assert math.isclose(quantile(ordered, 0.5), median(values), rel_tol=1e-12)


@pytest.mark.parametrize(("values", "q"), [([], 0.5), ([1.0], -0.1), ([1.0], 1.1)])
def test_what_has_no_quantile_is_refused(values: list[float], q: float) -> None:
    """No values, or a share outside 0..1, is an error, never a number."""
    with pytest.raises(ValueError, match="isn't defined"):
        quantile(values, q)


def test_no_values_have_no_median() -> None:
    """The median of nothing is an error, never zero."""
    with pytest.raises(ValueError, match="no values"):
        median([])


@given(st.lists(NUMBERS, max_size=2))
def test_below_three_values_there_is_no_interval(values: list[float]) -> None:
    """One or two rounds have no interval."""
    assert median_interval(values) is None


@given(st.lists(NUMBERS, min_size=3, max_size=60))
def test_the_interval_holds_the_median_of_its_values(values: list[float]) -> None:
    """Low end, sample median and high end stand in order, and are finite."""
    interval = median_interval(values)
    assert interval is not None
    low, high = interval.low, interval.high
    assert low <= median(values) * (1 + 1e-9)
    assert median(values) <= high * (1 + 1e-9)
    assert math.isfinite(low)
    assert math.isfinite(high)


@pytest.mark.parametrize("n", range(6, 13))
def test_ranks_cover_the_median_as_often_as_said(n: int) -> None:
    """Of all 2**n ways in which n values fall on the two sides of the median, at least 95 % leave it inside."""
    ranked = median_interval([float(one) for one in range(n)])
    assert ranked is not None
    low, high = int(ranked.low), int(ranked.high)
    sides = (sum(above) for above in product((0, 1), repeat=n))
    inside = sum(low < n - above <= high for above in sides)  # n - above values lie below: the ends enclose it
    assert inside / 2**n == coverage(n)
    assert coverage(n) >= 0.95


@pytest.mark.parametrize("n", [*range(6, 40), 100, 301, 1000])
def test_the_ranks_are_the_narrowest_that_cover_enough(n: int) -> None:
    """One rank further in, the interval would cover less than 95 %."""
    outside = 2 * sum(math.comb(n, below) for below in range(stats._rank(n) + 1))
    assert coverage(n) >= 0.95
    assert 1 - outside / 2**n < 0.95


def student(t: float, freedom: int) -> float:
    """P(T <= t) for 2, 3 and 4 degrees of freedom, by the closed forms."""
    if freedom == 2:
        return 0.5 + t / (2 * math.sqrt(2 + t * t))
    if freedom == 3:
        x = t / math.sqrt(3)
        return 0.5 + (x / (1 + x * x) + math.atan(x)) / math.pi
    y = t * t / (1 + t * t / 4)
    return 0.5 + 3 / 8 * math.sqrt(y) * (1 - y / 12)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_the_constants_of_student(n: int) -> None:
    """The three constants leave 2.5 % above them."""
    assert student(stats._T_975[n], n - 1) == pytest.approx(0.975, abs=1e-12)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_few_values_cover_a_lognormal_median(n: int) -> None:
    """Drawn from a log-normal distribution, 3 to 5 values cover its median in 95 % of cases."""
    chance = random.Random(n)
    tries = 4000
    hits = 0
    for _ in range(tries):
        interval = median_interval([math.exp(chance.gauss(0, 0.3)) for _ in range(n)])
        assert interval is not None
        hits += interval.low <= 1 <= interval.high
    assert hits / tries == pytest.approx(0.95, abs=0.015)


def test_zeros_have_an_interval_that_is_not_negative() -> None:
    """Counts like 0, 0, 3 are taken as they are, and nothing below zero is claimed."""
    interval = median_interval([0.0, 0.0, 3.0])
    assert interval is not None
    assert interval.low == 0
    assert interval.high == pytest.approx(1 + 4.302652729749464 * statistics.stdev([0, 0, 3]) / math.sqrt(3))


def test_equal_values_have_a_point() -> None:
    """Three equal values leave no doubt that they can show."""
    assert median_interval([0.1, 0.1, 0.1]) == Interval(0.1, 0.1)


@given(st.lists(NUMBERS, min_size=1, max_size=30).filter(any))
def test_fairness_lies_between_one_share_and_all(shares: list[float]) -> None:
    """Jain's index is at least 1/n and at most 1."""
    index = jain(shares)
    assert index is not None
    assert 1 / len(shares) - 1e-9 <= index <= 1 + 1e-9


@pytest.mark.parametrize(
    ("shares", "index"), [([5.0], 1), ([2.0, 2.0, 2.0], 1), ([1.0, 0.0, 0.0, 0.0], 0.25), ([1.0, 3.0], 0.8)]
)
def test_fairness_of_known_shares(shares: list[float], index: float) -> None:
    """Equal shares are 1, one that takes all is 1/n."""
    assert jain(shares) == pytest.approx(index)


@pytest.mark.parametrize("shares", [[], [0.0, 0.0]])
def test_nothing_is_neither_fair_nor_unfair(shares: list[float]) -> None:
    """Without any share there is no index."""
    assert jain(shares) is None
