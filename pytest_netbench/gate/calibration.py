"""How good is the gate here? By sessions of equal arms: false alarms, power, what sessions and builds differ by.

Regressions are put into the recorded ratios, per byte or per operation: a candidate that costs 5 % more in each of its
units has ratios that are ln 1.05 higher. That is scaled, not run; what an arm that really is slower came to is kept
beside it. Runs beyond those that were live are drawn from whole blocks of two pairs, whose arms a coin exchanges: they
are equal, so that which of them is called the candidate says nothing.
"""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pytest_netbench.gate.decision import LOOKS, MOST, Confirmation, Screen, confirm, confirmation, screen, seen
from pytest_netbench.gate.estimate import LEAST, Estimate, estimate, share
from pytest_netbench.gate.limits import Gate, Limits, limits
from pytest_netbench.gate.student import beta_share
from pytest_netbench.result import reading
from pytest_netbench.result.reading import Element

SCHEMA = 1
FILE = Path(".netbench") / "calibration.json"
"""Where it stands, beside the configuration."""

EFFECTS = (0.03, 0.05, 0.10)
"""The regressions whose detection is measured, as shares."""

RUNS = 400
"""Gate runs that are drawn for each figure."""

BLOCK = 2
SHOWN_PAIRS = 40


CHANCE = 0.05
"""How likely sessions may differ so much by chance; beyond that they do differ."""

WIDTH = 1.96
"""Standard deviations to either side of 95 %."""


@dataclass(frozen=True, slots=True)
class Slower:
    """What live runs against an arm that really is slower came to; ``ratios`` of their screens' and fresh pairs."""

    arm: str
    runs: int
    caught: int
    ratios: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One metric of one test in sessions of equal arms: log ratios by session, and the live runs' failures.

    ``seconds``: from the begin of a pair to that of the next. ``gate``: the limits that the test declared. ``levels``:
    the reference's median in each session. ``builds``: log ratios of other builds of the same commit over the first,
    by build; none where a build is the same, byte for byte.
    """

    sessions: tuple[tuple[float, ...], ...]
    alarms: int
    seconds: float
    gate: Gate = field(default_factory=Gate)
    levels: tuple[float, ...] = ()
    builds: tuple[tuple[float, ...], ...] = ()
    slower: Slower | None = None

    @property
    def rebuild(self) -> float:
        """By what share two builds of one commit were found to differ at most, beyond the error of finding it."""
        found = [estimate(one) for one in self.builds if len(one) >= LEAST]
        return share(max((math.sqrt(max(0.0, one.mean**2 - one.error**2)) for one in found), default=0.0))

    @property
    def spread(self) -> float:
        """By what share the values of two sessions differ at most, in 95 of 100 cases."""
        levels = [math.log(one) for one in self.levels if one > 0]
        return share(WIDTH * math.sqrt(2) * statistics.stdev(levels)) if len(levels) > 2 else 0.0  # noqa: PLR2004

    @property
    def sigma(self) -> float:
        """How much the mean of equal arms differs from session to session beyond its standard error.

        0 where that may be chance (analysis of variance): a few noisy sessions would blind the gate.
        """
        found = [estimate(one) for one in self.sessions if len(one) >= LOOKS[0]]
        if len(found) < 2:  # noqa: PLR2004 - one session differs from none
            return 0.0
        between = statistics.variance(one.mean for one in found)
        within = statistics.fmean(one.error**2 for one in found)
        freedom, inside = len(found) - 1, sum(one.freedom for one in found)
        whole = inside * within + freedom * between
        if whole == 0 or beta_share(inside / 2, freedom / 2, inside * within / whole) > CHANCE:
            return 0.0
        return math.sqrt(between - within)

    @property
    def blocks(self) -> list[tuple[float, ...]]:
        """Whole blocks of all sessions."""
        return [one[at : at + BLOCK] for one in self.sessions for at in range(0, len(one) - BLOCK + 1, BLOCK)]


@dataclass(frozen=True, slots=True)
class Sight:
    """What the gate can and can't see of a metric here.

    ``live`` runs failed ``alarms`` times, ``drawn`` ones ``drawn_alarms`` times; ``bound``: the rate of false alarms is
    below it with 95 %, by the drawn ones. ``power``: by effect. ``detectable`` by 40 pairs, which take ``seconds``.
    """

    live: int
    alarms: int
    drawn: int
    drawn_alarms: int
    bound: float
    power: Mapping[float, float]
    detectable: float
    seconds: float
    sigma: float
    pairs: float


def sight(recorded: Recorded, bounds: Limits, *, runs: int = RUNS, seed: int = 1) -> Sight | None:
    """Measure it by drawing; None if there are too few blocks to draw from."""
    blocks = recorded.blocks
    if len(blocks) < LOOKS[0] // BLOCK:
        return None
    rng = random.Random(seed)  # noqa: S311 - draws, not keys
    spent: list[int] = []
    alarms = sum(drawn_run(rng, blocks, 0.0, bounds, spent) for _ in range(runs))
    power = {
        effect: sum(drawn_run(rng, blocks, math.log1p(effect), bounds, []) for _ in range(runs)) / runs
        for effect in EFFECTS
    }
    whole = estimate([one for block in blocks for one in block], bounds.trim)
    error = math.hypot(whole.error * math.sqrt(whole.n / SHOWN_PAIRS), recorded.sigma)
    typical = Estimate(SHOWN_PAIRS, 0.0, error, SHOWN_PAIRS - 2 * int(bounds.trim * SHOWN_PAIRS) - 1)
    return Sight(
        live=len(recorded.sessions),
        alarms=recorded.alarms,
        drawn=runs,
        drawn_alarms=alarms,
        bound=upper_bound(alarms, runs),
        power=MappingProxyType(power),
        detectable=typical.detectable(bounds.tau, bounds.alpha),
        seconds=SHOWN_PAIRS * recorded.seconds,
        sigma=share(recorded.sigma),
        pairs=statistics.fmean(spent),
    )


def drawn_run(
    rng: random.Random, blocks: Sequence[tuple[float, ...]], effect: float, limits: Limits, spent: list[int]
) -> bool:
    """One gate run of one metric on blocks that are drawn; whether it fails."""

    def draw() -> list[float]:
        drawn = [(block, rng.choice((1, -1))) for block in rng.choices(blocks, k=MOST // BLOCK)]
        return [sign * one + effect for block, sign in drawn for one in block]

    ratios, look = draw(), 0
    state = Screen.NEXT
    while state is Screen.NEXT:
        look = next(one for one in LOOKS if one > look)
        state = screen(seen(ratios[:look], limits), limits, last=look == MOST)
    spent.append(look)
    if state is not Screen.SUSPECT:
        return False
    fresh = draw()
    for count, part in confirmation():
        found = confirm(fresh[:count], ratios[:look], limits, limits.alpha * part, last=count == MOST)
        if found is not Confirmation.NEXT:
            return found is Confirmation.FAIL
    return False


def upper_bound(events: int, runs: int, confidence: float = 0.95) -> float:
    """The rate below which the truth lies with that confidence, after so many events (Clopper and Pearson, 1934)."""
    if events >= runs:
        return 1.0
    low, high = 0.0, 1.0
    while high - low > 1e-9:  # noqa: PLR2004 - finer than anybody reads
        middle = (low + high) / 2
        if 1 - beta_share(events + 1, runs - events, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


# --- as text -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was recorded: by environment, test and metric."""

    environment: str = ""
    tests: Mapping[str, Mapping[str, Recorded]] = field(default_factory=lambda: MappingProxyType({}))

    def recorded(self, nodeid: str, metric: str, environment: str) -> Recorded | None:
        """What was recorded of a metric, for a test that runs where that was; None elsewhere."""
        return self.tests.get(nodeid, {}).get(metric) if environment == self.environment else None

    def spread(self, environment: str) -> float:
        """By what share the values of two sessions differ at most, of any metric, here."""
        if environment != self.environment:
            return 0.0
        return max((one.spread for metrics in self.tests.values() for one in metrics.values()), default=0.0)


def sights(one: Calibration, *, runs: int = RUNS) -> dict[str, dict[str, Sight | None]]:
    """What the gate sees of each metric of each test, with all that it is widened by."""
    return {
        nodeid: {
            name: sight(each, limits(name, each.gate, sigma=each.sigma, rebuild=each.rebuild), runs=runs)
            for name, each in metrics.items()
        }
        for nodeid, metrics in one.tests.items()
    }


def to_text(one: Calibration, seen: Mapping[str, Mapping[str, Sight | None]] | None = None) -> str:
    """The calibration as it is stored, sorted; ``seen``: what it says, for people, since it follows from the rest."""
    tests = {
        nodeid: {
            name: {
                "alarms": recorded.alarms,
                "fail_above": recorded.gate.fail_above,
                "must_detect": recorded.gate.must_detect,
                "seconds": round(recorded.seconds, 3),
                "sessions": _rounded(recorded.sessions),
                "levels": list(recorded.levels),
                "builds": _rounded(recorded.builds),
                **({} if recorded.slower is None else {"slower": asdict(recorded.slower)}),
                **_sees((seen or {}).get(nodeid, {}).get(name), recorded),
            }
            for name, recorded in metrics.items()
        }
        for nodeid, metrics in one.tests.items()
    }
    whole = {"schema": SCHEMA, "environment": one.environment, "tests": tests}
    return json.dumps(whole, sort_keys=True, allow_nan=False, indent=1) + "\n"


def _sees(one: Sight | None, recorded: Recorded) -> dict[str, Any]:
    if one is None:
        return {}
    power = {f"{effect:g}": caught for effect, caught in one.power.items()}
    differ = {"sessions_differ": share(recorded.sigma), "builds_differ": recorded.rebuild}
    return {"sees": {**asdict(replace(one, power={})), **differ, "power": power}}


def _rounded(several: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[round(ratio, 6) for ratio in one] for one in several]


def from_text(text: str | bytes, name: str) -> Calibration:
    """A calibration from its text.

    :raises ResultsError: if it is cut, of another schema, or malformed; names the element.
    """
    return reading.parse(text, name, SCHEMA, _read)


def _read(whole: Element) -> Calibration:
    return Calibration(
        environment=whole.get("environment", reading.text),
        tests=whole.get("tests", lambda one: one.members(lambda test: test.members(_read_recorded))),
    )


def _read_recorded(one: Element) -> Recorded:
    return Recorded(
        sessions=one.get("sessions", lambda each: each.each(lambda session: session.each(reading.number))),
        alarms=one.get("alarms", reading.whole_number),
        seconds=one.get("seconds", reading.number),
        gate=Gate(one.get("fail_above", reading.optional_number), one.get("must_detect", reading.optional_number)),
        levels=one.get("levels", lambda each: each.each(reading.number), ()),
        builds=one.get("builds", lambda each: each.each(lambda build: build.each(reading.number)), ()),
        slower=one.get("slower", _read_slower) if "slower" in one else None,
    )


def _read_slower(one: Element) -> Slower:
    return Slower(
        arm=one.get("arm", reading.text),
        runs=one.get("runs", reading.whole_number),
        caught=one.get("caught", reading.whole_number),
        ratios=one.get("ratios", lambda each: each.each(reading.number)),
    )
