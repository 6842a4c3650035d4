"""What do a few numbers say? Medians, quantiles, the interval of a median, fairness: pure, standard library only."""

from __future__ import annotations

import math
import statistics
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_netbench.result.model import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_FOR_INTERVAL = 3
"""Below this many values there is no interval."""

LEAST_FOR_RANKS = 6
"""From here on the smallest and the largest value enclose the true median with at least 95 %: 1 - 2 / 2**6."""

_T_975 = {3: 4.302652729749464, 4: 3.182446305283708, 5: 2.776445105197793}
# Student's t, 0.975, by the number of values (degrees of freedom: one less).


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two middle ones.

    :raises ValueError: for no values.
    """
    if not values:
        raise ValueError("the median of no values isn't defined")
    return statistics.median(values)


def quantile(ordered: Sequence[float], q: float) -> float:
    """The value below which a share ``q`` of an *ascending* sequence lies, interpolated linearly between neighbours.

    It is Hyndman and Fan's definition 7 (The American Statistician 50, 1996), the default of numpy and R; at 0.5 it is
    the median, at 0 and 1 the smallest and the largest value.

    :raises ValueError: for no values, or ``q`` outside 0..1.
    """
    if not ordered or not 0 <= q <= 1:
        raise ValueError(f"quantile {q} of {len(ordered)} values isn't defined")
    place = (len(ordered) - 1) * q
    below = int(place)
    low = ordered[below]
    if place == below:
        return low
    high = ordered[below + 1]
    share = place - below
    return min(high, max(low, low * (1 - share) + high * share))


def median_interval(values: Sequence[float]) -> Interval | None:
    """The 95 % interval of the median of what the values are drawn from, independently; None below 3 values.

    From 6 values on: two order statistics, chosen by the binomial distribution of how many values fall below the median
    (David and Nagaraja, Order Statistics, 7.1). It assumes nothing of the distribution and covers the median in *at
    least* 95 % of cases, since ranks are whole numbers: 96.9 % at 6, 99.2 % at 8, 97.9 % at 10 (see :func:`coverage`).

    With 3 to 5 values no pair of them reaches 95 % (the extremes reach 75, 87.5 and 93.75 %), so something has to be
    assumed: that the logarithms are normal, where the mean of the logarithms is the logarithm of the median, and
    Student's t gives 95 % exactly. Times, rates and costs are positive and skewed to the right, which makes that the
    usual choice. If a value is zero or negative, the values themselves are taken to be normal. Such an interval is wide
    (4.3 standard errors each way at 3 values), and it is only as good as the assumption.
    """
    n = len(values)
    if n < LEAST_FOR_INTERVAL:
        return None
    ordered = sorted(values)
    if n >= LEAST_FOR_RANKS:
        rank = _rank(n)
        return Interval(ordered[rank - 1], ordered[n - rank])
    if ordered[0] == ordered[-1]:
        return Interval(ordered[0], ordered[0])
    if ordered[0] > 0:
        low, high = _student([math.log(one) for one in ordered])
        return Interval(_exp(low), _exp(high))
    low, high = _student(ordered)
    return Interval(max(low, 0.0) if ordered[0] == 0 else low, high)


def coverage(n: int) -> float:
    """How often the interval by ranks of ``n`` values, ``n`` >= 6, covers the median of a continuous distribution."""
    outside = 2 * sum(math.comb(n, below) for below in range(_rank(n)))
    return 1 - outside / (1 << n)


@lru_cache(maxsize=256)
def _rank(n: int) -> int:
    """The highest rank k for which the k-th smallest and the k-th largest value enclose the median with >= 95 %."""
    tail, count, rank = 0, 1, 0
    whole: int = 1 << n
    while 40 * (tail + count) <= whole:
        tail += count
        rank += 1
        count = count * (n - rank + 1) // rank
    return rank


def _student(values: Sequence[float]) -> tuple[float, float]:
    """Mean less and more t standard errors; over the largest value, so that no square leaves the range of floats."""
    n = len(values)
    scale = max(abs(one) for one in values)
    scaled = [one / scale for one in values]
    centre = math.fsum(scaled) / n
    half = _T_975[n] * math.sqrt(math.fsum((one - centre) ** 2 for one in scaled) / (n - 1) / n)
    return (centre - half) * scale, (centre + half) * scale


def _exp(power: float) -> float:
    """``e**power`` within the range of floats, so that an absurdly wide interval stays a pair of numbers."""
    return math.exp(power) if power < math.log(sys.float_info.max) else sys.float_info.max


def jain(shares: Sequence[float]) -> float | None:
    """Jain's index of fairness, (sum x)**2 / (n * sum x**2): 1 if all are equal, 1/n if one has all; None for nothing.

    From Jain, Chiu, Hawe: A Quantitative Measure of Fairness, DEC-TR-301, 1984.
    """
    largest = max(shares, default=0.0)
    if largest <= 0:
        return None
    scaled = [one / largest for one in shares]  # so that no square leaves the range of floats
    return math.fsum(scaled) ** 2 / (len(scaled) * math.fsum(one * one for one in scaled))
