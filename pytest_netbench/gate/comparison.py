"""How do two arms compare that a test sets against each other? Ratios with their intervals, for assertions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from pytest_netbench.errors import RunError, TooFewSamples, UnknownMetric, nearest
from pytest_netbench.gate.environment import Meant
from pytest_netbench.gate.estimate import estimate
from pytest_netbench.gate.pairs import NoRatio, Pair, broken, ratios, shared, unequal, usable
from pytest_netbench.gate.sender import limited
from pytest_netbench.result.catalogue import describe
from pytest_netbench.result.model import Better, Interval
from pytest_netbench.result.result import Result
from pytest_netbench.result.summary import too_few

LEAST_FOR_INTERVAL = 3
"""Pairs below which a ratio has no interval."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A metric of the second arm over the first one's: ``value`` by the trimmed mean of logarithms over ``n`` pairs."""

    name: str
    value: float
    ci: Interval
    n: int

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.4g} times ({self.ci.low:.4g} to {self.ci.high:.4g}, {self.n} pairs)"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms that were run interleaved, from ``netbench.compare()``; ``ref`` is the first, ``cand`` the second."""

    pairs: tuple[Pair, ...]
    ref_label: str
    cand_label: str
    folder: str = ""
    meant: Meant = field(default_factory=Meant)

    @property
    def ref(self) -> Result:
        """The first arm's results."""
        return self.cand.ref

    @property
    def cand(self) -> Result:
        """The second arm's results."""
        return Result(tuple(one for pair in self.pairs for one in pair.rounds.values()), folder=self.folder)

    def ratio(self, name: str) -> Ratio:
        """A metric of the second arm over the first one's: above 1 is more, which may be better or worse.

        :raises UnknownMetric: if the rounds didn't give it.
        :raises TooFewSamples: below 3 pairs, or for a percentile that the pooled samples can't carry.
        :raises RunError: if a round doesn't count that nothing outside has spoilt: to leave it out would favour an arm;
            if the environment differs though no arm is meant to change it; for goodput that the application limits.
        """
        __tracebackhide__ = True
        if (reason := broken(self.pairs) or unequal(self.pairs, self.meant)) is not None:
            raise RunError(f"{self.ref_label} and {self.cand_label} can't be compared: {reason}")
        counting = usable(self.pairs)
        if len(counting) < LEAST_FOR_INTERVAL:
            raise TooFewSamples(f"a ratio needs {LEAST_FOR_INTERVAL} pairs, there are {len(counting)}: raise pairs=")
        for arm in ("ref", "cand"):
            if (scarce := too_few([pair.rounds[arm] for pair in counting], name)) is not None:
                raise TooFewSamples(f"{arm}: {scarce}")
        if (why := limited(name, counting)) is not None:
            raise RunError(why)
        if name not in shared(counting):
            raise UnknownMetric(f"these rounds gave no {name!r} in both arms: {nearest(name, shared(counting))}")
        try:
            found = estimate(ratios(counting, name))
        except NoRatio as error:
            raise RunError(str(error)) from None
        sign = 1 if describe(name).better is Better.LOWER else -1
        ends = found.interval()
        low, high = sorted(math.exp(sign * end) for end in (ends.low, ends.high))
        return Ratio(name, math.exp(sign * found.mean), Interval(low, high), found.n)
