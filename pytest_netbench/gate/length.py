"""How long is a round? The shortest that leaves slow start and handshake out, found by a short pilot; runs nothing.

A round costs some tenth of a second beside what it measures, so that one shorter than that saves nothing; and many
short rounds see more than few long ones. From there on it is made longer until its start is a small part of it. The
start is what two lengths have in common: with the rate between them, the longer one's work would have taken less time.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

from pytest_netbench.gate.decision import LOOKS
from pytest_netbench.gate.words import percent
from pytest_netbench.result.catalogue import LEAST_SAMPLES, distribution
from pytest_netbench.result.model import Round

LEAST_S, MOST_S = 0.1, 2.0
"""Seconds that a round takes at least, and at most unless the scenario itself says more."""

START = 0.1
"""The share of a round that its start may be: a true regression of 5 % then shows as 4.5 % at least."""

REPEATS = 5
"""Rounds of each length that is looked at; their median counts."""

LIMIT = 64
"""How many times longer, or shorter, a round may become."""

SAMPLES = 100
"""Of a gated latency, in each round."""

WHOLE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Seen:
    """A round of the pilot: seconds from its start to its end, what it did in them, samples of each trace.

    ``work``: in any unit that is the same for all lengths; 0 where it isn't known.
    """

    seconds: float
    work: float
    samples: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Length:
    """How many times as long a round is as the scenario says, and why."""

    factor: Fraction = WHOLE
    why: str = ""

    def __str__(self) -> str:
        if self.factor == WHOLE:
            return f"rounds are as the scenario says: {self.why}"
        times = f"{self.factor} times" if self.factor > 1 else f"{self.factor} of"
        return f"rounds are {times} what the scenario says: {self.why}"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a round must have. ``samples``: of each trace; ``loop_s``: the shortest time for which it repeats something.

    ``can``: whether the scenario can be had at so many times its length.
    """

    samples: Mapping[str, int]
    loop_s: float | None
    can: Callable[[Fraction], bool]


def needed_samples(gated: Iterable[str]) -> dict[str, int]:
    """How many samples of each trace a round needs, for a percentile so many that the first look has enough."""
    found: dict[str, int] = {}
    for name in gated:
        if (split := distribution(name)) is not None:
            trace, point = split
            least = math.ceil(LEAST_SAMPLES.get(point, 0) / LOOKS[0])
            found[trace] = max(found.get(trace, SAMPLES), least)
    return found


def by_bytes(gated: Iterable[str]) -> str:
    """Why a round can't be made longer by moving more bytes at once; nothing if it can.

    The time and the cost of a whole transfer are others where that is another one.
    """
    others = [one for one in gated if not (one.partition(".")[0] == "goodput" or one.endswith(".cpu_per_byte"))]
    return f"{others[0]} is of whole transfers, and another size is another figure" if others else ""


def work_of(one: Round, factor: Fraction, *, timed: bool) -> float:
    """What a round did: where a time decides, as many samples as it took; else as many times what the scenario says."""
    return float(sum(map(len, one.samples.values()))) if timed else float(factor)


def step(first: Seen, seen: Mapping[Fraction, Sequence[Seen]], needs: Needs) -> Fraction | Length:
    """The length of the pilot's next round, or what was found; ``first``: the round as the scenario says, cold."""
    factor = guess(first, needs)
    while True:
        shorter = factor / 2
        pair = [one for one in (shorter, factor) if needs.can(one) or one == WHOLE]
        fewest = min(pair, key=lambda one: len(seen.get(one, ())))  # in turns, so that drift meets both
        if len(seen.get(fewest, ())) < REPEATS:
            return fewest
        seconds = statistics.median(one.seconds for one in seen[factor])
        share = start_share(seen[shorter], seen[factor]) if shorter in pair else 0.0
        if seconds >= LEAST_S and share <= START:
            return Length(factor, f"{_took(seconds)}, of which the start is {percent(START)} at most")
        if (longer := _longer(factor, seconds, share, needs)) == factor:
            rest = f"the start still is {percent(share)} of it" if share > START else "it can't be longer"
            return Length(factor, f"{_took(seconds)}; {rest}")
        factor = longer


def _longer(factor: Fraction, seconds: float, share: float, needs: Needs) -> Fraction:
    """The next length to look at: as much longer as it takes for the start to be small, as far as that may be."""
    start, each = share * seconds, (1 - share) * seconds / float(factor)
    while 2 * factor <= LIMIT and needs.can(2 * factor) and start + 2 * each * float(factor) <= MOST_S:
        factor *= 2
        taken = start + each * float(factor)
        if taken >= LEAST_S and start <= START * taken:
            break
    return factor


def _took(seconds: float) -> str:
    return f"one takes {seconds:.2g} s"


def guess(first: Seen, needs: Needs) -> Fraction:
    """From which length on it is looked: the first power of two that is long enough, and has the samples."""
    factor = Fraction(1, LIMIT)
    while factor < LIMIT:
        enough = all(first.samples.get(trace, 0) * factor >= least for trace, least in needs.samples.items())
        loops = needs.loop_s is None or needs.loop_s * factor >= LEAST_S
        if first.seconds * factor >= LEAST_S and enough and loops and (needs.can(factor) or factor == WHOLE):
            return factor
        if factor >= 1 and (2 * factor * first.seconds > MOST_S or not needs.can(2 * factor)):
            return factor
        factor *= 2
    return factor


def fitted(found: Length, seconds: float) -> Length:
    """The same for both arms, where the candidate took so many seconds: no longer than it may be, nor than it was."""
    factor = found.factor
    while factor > 1 and seconds > MOST_S:
        factor, seconds = factor / 2, seconds / 2
    return found if factor == found.factor else Length(factor, f"{found.why}; the candidate takes longer")


def start_share(shorter: Sequence[Seen], longer: Sequence[Seen]) -> float:
    """Which share of the longer rounds isn't explained by the rate between both lengths; 0 where work isn't known."""
    one, other = (
        (statistics.median(each.seconds for each in several), statistics.median(each.work for each in several))
        for several in (shorter, longer)
    )
    seconds, work = other[0] - one[0], other[1] - one[1]
    if seconds <= 0 or work <= 0:
        return 0.0 if other[1] <= 0 else 1.0
    return max(0.0, 1 - other[1] * seconds / (work * other[0]))
