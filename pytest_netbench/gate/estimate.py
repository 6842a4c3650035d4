"""By how much do two arms differ? The trimmed mean of log ratios with the interval of its winsorised variance.

From Yuen and Dixon (Biometrika 60, 1973): the mean of what is left after trimming, over the winsorised standard error,
follows Student's t nearly; a few spoilt pairs move neither. All logarithms are of costs: above zero is worse.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_netbench.gate.limits import TRIM
from pytest_netbench.gate.student import quantile, tail
from pytest_netbench.result.model import Better, Interval

LEAST = 2
"""Values below which nothing can be estimated."""

FLIPS = 20_000
"""Draws of coins: enough for an error rate that is shared out over a hundred gated figures."""

POWER = 0.95
"""How likely a regression of the size that must be detected is to be found with the required pairs."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of log ratios of ``n`` pairs, its standard error, and that one's degrees of freedom."""

    n: int
    mean: float
    error: float
    freedom: int

    @property
    def deviation(self) -> float:
        """The winsorised standard deviation of the values, on which the error rests."""
        return self.error * (self.freedom + 1) / math.sqrt(self.n)

    def lower(self, alpha: float) -> float:
        """The bound that lies above the truth with probability ``alpha`` at most."""
        return self.mean - quantile(alpha, self.freedom) * self.error

    def upper(self, beta: float) -> float:
        """The bound that lies below the truth with probability ``beta`` at most."""
        return self.mean + quantile(beta, self.freedom) * self.error

    def p(self, margin: float) -> float:
        """How likely so large a mean is where the truth is ``margin`` at most."""
        if self.error == 0:
            return 0.0 if self.mean > margin else 1.0
        return tail((self.mean - margin) / self.error, self.freedom)

    def interval(self) -> Interval:
        """The 95 % interval."""
        return Interval(self.lower(0.025), self.upper(0.025))

    def widened(self, sigma: float) -> Estimate:
        """The same with what differs between sessions in its error."""
        return Estimate(self.n, self.mean, math.hypot(self.error, sigma), self.freedom)

    def required(self, tau: float, delta: float, alpha: float) -> int:
        """How many pairs find a truth of ``delta`` with probability ``POWER``, where ``tau`` fails with ``alpha``."""
        reach = self._reach(alpha) * math.sqrt(self.n) / (delta - tau)
        return max(LEAST, math.ceil(min(reach, 1e6) ** 2))

    def detectable(self, tau: float, alpha: float) -> float:
        """The smallest regression, as a share, that so many pairs find with probability ``POWER``."""
        return share(tau + self._reach(alpha))

    def _reach(self, alpha: float) -> float:
        return (quantile(alpha, self.freedom) + quantile(1 - POWER, self.freedom)) * self.error


def log_ratio(reference: float, candidate: float, better: Better) -> float:
    """How much worse the candidate is, as a logarithm.

    :raises ValueError: unless both values are finite and above zero.
    """
    if not (0 < reference < math.inf and 0 < candidate < math.inf):
        raise ValueError(f"a ratio needs values above zero, found {candidate:g} against {reference:g}")
    ratio = math.log(candidate) - math.log(reference)
    return ratio if better is Better.LOWER else -ratio


def share(logarithm: float) -> float:
    """A log ratio as a share: 0.05 for 5 % more cost; never above what a float holds."""
    return math.expm1(min(logarithm, 700.0))


def flipped(ratios: Sequence[float], trim: float = TRIM) -> float:
    """How likely so large a trimmed mean is where both arms are the same, by exchanging the arms of pairs by coins.

    It assumes nothing but that a pair's noise is as likely to be for as against an arm (Fisher's randomisation test, by
    ``FLIPS`` draws of which the pairs themselves are one). The same pairs always give the same answer.

    :raises ValueError: for less than two.
    """
    sought, coins = estimate(ratios, trim).mean, random.Random(len(ratios))  # noqa: S311 - draws, not keys
    cut, n = int(trim * len(ratios)), len(ratios)
    above = 1
    for _ in range(FLIPS - 1):
        signs = coins.getrandbits(n)
        drawn = sorted(one if signs >> at & 1 else -one for at, one in enumerate(ratios))
        above += math.fsum(drawn[cut : n - cut]) / (n - 2 * cut) >= sought
    return above / FLIPS


def estimate(ratios: Sequence[float], trim: float = TRIM) -> Estimate:
    """The trimmed mean of log ratios and its winsorised standard error.

    :raises ValueError: for less than two.
    """
    n = len(ratios)
    if n < LEAST:
        raise ValueError(f"an estimate needs {LEAST} pairs, there are {n}")
    ordered = sorted(ratios)
    cut = int(trim * n)
    kept = ordered[cut : n - cut]
    mean = math.fsum(kept) / len(kept)
    wins = [kept[0]] * cut + kept + [kept[-1]] * cut
    centre = math.fsum(wins) / n
    spread = math.sqrt(math.fsum((one - centre) ** 2 for one in wins) / (n - 1)) if kept[0] != kept[-1] else 0.0
    return Estimate(n, mean, spread / ((1 - 2 * cut / n) * math.sqrt(n)), n - 2 * cut - 1)


def hodges_lehmann(ratios: Sequence[float]) -> float:
    """The median of the means of all pairs of values: a cross-check that trims nothing.

    :raises ValueError: for no values.
    """
    if not ratios:
        raise ValueError("the estimate of no values isn't defined")
    return statistics.median((one + other) / 2 for at, one in enumerate(ratios) for other in ratios[at:])
