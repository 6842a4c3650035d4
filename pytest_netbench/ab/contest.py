"""How does a test with two arms come to its verdict? It runs them interleaved, and says what the gate made of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from pytest_netbench import run as one_round
from pytest_netbench.ab.evidence import gather
from pytest_netbench.ab.interleaved import Interleaved
from pytest_netbench.ab.pilot import longer, pilot
from pytest_netbench.errors import NetbenchError
from pytest_netbench.gate import verdict
from pytest_netbench.gate.anytime import evidence
from pytest_netbench.gate.arms import REF
from pytest_netbench.gate.comparison import Comparison
from pytest_netbench.gate.course import Course, Track
from pytest_netbench.gate.length import WHOLE, Length, fitted
from pytest_netbench.gate.limits import Limits, all_limits
from pytest_netbench.gate.mode import Choice
from pytest_netbench.gate.order import new_seed
from pytest_netbench.gate.pairs import NoRatio, Pair, blocks, usable
from pytest_netbench.result.model import Comparison as Record
from pytest_netbench.result.model import MetricVerdict, Round, Verdict
from pytest_netbench.roles import Role

if TYPE_CHECKING:
    from pytest_netbench.ab.bench import Bench
    from pytest_netbench.gate.contenders import Contender
    from pytest_netbench.scenario.model import Scenario
    from pytest_netbench.settings.plan import Contest


PILOT = 0.1
"""The share of a test's budget that may be spent on finding out how long its rounds are to be."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All rounds of both arms, what was compared how, and the verdict of each metric."""

    rounds: tuple[Round, ...]
    record: Record
    verdicts: Mapping[str, MetricVerdict]


class Ring:
    """Where the rounds of both arms of one test take place; ``length``: how long they are."""

    def __init__(self, bench: Bench, contest: Contest, scenario: Scenario) -> None:
        self._bench = bench
        self._scenario = scenario
        self._contenders = {one.name: one for one in (contest.ref, contest.cand)}
        self._discarded = 0
        self.length = Length(why="nothing is gated")
        self.rounds: list[Round] = []
        self._take(scenario, WHOLE)

    def _take(self, scenario: Scenario, factor: Fraction) -> None:
        """From now on, run this."""
        bench, mark = self._bench, "" if factor == WHOLE else f"-x{factor.numerator}-{factor.denominator}"
        self._trials = {
            one.name: one_round.trial(
                scenario,
                one.drivers[Role.SERVER][0],
                one.drivers[Role.CLIENT][0],
                {},
                bench.plan.timeout,
                by_role=one.options,
                each=one.drivers,
                slope=bench.plan.gates_cpu,
                mark=mark,
            )
            for one in self._contenders.values()
        }

    async def find_length(self) -> None:
        """Run a pilot of the reference's rounds, unless the scenario's own length is wanted."""
        bench, gated = self._bench, self._bench.plan.spec.gate
        if bench.plan.length is Choice.GIVEN:
            self.length = Length(why="that is wanted")
            return
        if bench.standards.references:
            self.length = Length(why="stored numbers are of such")
            return
        began = time.monotonic()

        def in_time() -> bool:
            return bench.plan.budget is None or time.monotonic() - began < PILOT * bench.plan.budget

        async def play(scenario: Scenario, factor: Fraction) -> Round:
            self._take(scenario, factor)
            return await self._discard(REF, alone=True)

        self._set(await pilot(play, self._scenario, gated, in_time, whole_seconds=self._whole_seconds))

    @property
    def _whole_seconds(self) -> bool:
        """Whether a driver knows no scenarios: many tools take no other times."""
        sides = (rows for one in self._contenders.values() for rows in one.drivers.values())
        return any(row.foreign for rows in sides for row in rows)

    def _set(self, length: Length) -> None:
        self.length = length
        gated, whole = self._bench.plan.spec.gate, self._whole_seconds
        self._take(longer(self._scenario, length, gated, whole_seconds=whole), length.factor)

    @property
    def arms(self) -> dict[str, tuple[one_round.Trial, Contender]]:
        """What each arm runs, by its name."""
        return {name: (trial, self._contenders[name]) for name, trial in self._trials.items()}

    async def warm_up(self) -> None:
        """Run what isn't counted: at least one round of each arm."""
        for _ in range(max(1, self._bench.plan.warmup)):
            for name in self._trials:
                done = await self._discard(name)
                if (fitting := fitted(self.length, done.duration_s)) != self.length:
                    self._set(fitting)

    async def _discard(self, name: str, *, alone: bool = False) -> Round:
        """Run one that isn't counted; ``alone``: only its time matters, no smaller one need follow for a slope."""
        self._discarded += 1
        return await self._round(name, -self._discarded, alone=alone)

    async def play(self, name: str) -> Round:
        """Run one round of an arm."""
        done = await self._round(name, len(self._bench.rounds))
        self.rounds.append(done)
        return done

    async def _round(self, name: str, index: int, *, alone: bool = False) -> Round:
        trial = replace(self._trials[name], smaller=None) if alone else self._trials[name]
        try:
            return await self._bench.round_of(trial, index, self._contenders[name])
        except NetbenchError as error:
            raise type(error)(f"arm {name} ({self._contenders[name].label}): {error}") from None


async def gate(bench: Bench, contest: Contest, scenario: Scenario) -> Outcome:
    """Run both arms of a test interleaved, as many pairs as its gated metrics take."""
    ring, began = Ring(bench, contest, scenario), time.monotonic()
    seed = bench.plan.spec.seed if bench.plan.spec.seed is not None else new_seed()
    if bench.plan.spec.gate:
        await ring.find_length()
    await ring.warm_up()
    budget = None if bench.plan.budget is None else bench.plan.budget - (time.monotonic() - began)
    run = Interleaved(ring.play, seed, budget, bench.renew, meant=contest.meant)
    rebuilt = contest.ref.rebuilds(contest.cand)
    bounds = bench.standards.limits(bench.plan.nodeid, bench.plan.spec.gate, rebuilt=rebuilt)
    course = Course({name: Track(one) for name, one in bounds.items()}, max(1, contest.entries))
    if bounds:
        await run.gate(course)
    else:
        await run.pairs(bench.plan.rounds)
    outcome = _outcome(contest, ring, run, course, bounds)
    if not any(one.state is Verdict.FAIL for one in outcome.verdicts.values()):
        return outcome
    return replace(outcome, record=replace(outcome.record, evidence=await gather(bench, ring.arms)))


def without_verdict(bench: Bench, contest: Contest, reason: str) -> Outcome:
    """What is left of a contest that an arm could not finish."""
    verdicts = verdict.missing(all_limits(bench.plan.spec.gate), Verdict.INVALID, contest.ref.label, reason)
    rounds = tuple(bench.rounds)
    record = Record(
        ref=contest.ref.label,
        cand=contest.cand.label,
        seed=bench.plan.spec.seed or 0,
        pairs=len(rounds) // 2,
        entries=contest.entries,
        attempt=contest.attempt,
        repeat=contest.repeat,
        note=contest.note,
        ref_commit=contest.commits[0],
        cand_commit=contest.commits[1],
    )
    return Outcome(rounds, record, verdicts)


def _outcome(contest: Contest, ring: Ring, run: Interleaved, course: Course, bounds: Mapping[str, Limits]) -> Outcome:
    screened, fresh = usable(run.screened), usable(run.fresh)
    against = contest.ref.label
    verdicts = verdict.gated(course, screened, fresh, against)
    verdicts = {name: _with_evidence(name, one, run, bounds[name]) for name, one in verdicts.items()}
    verdicts |= verdict.advisory([*screened, *fresh], bounds, against, contest.entries)
    pairs = len(run.screened) + len(run.fresh)
    record = Record(
        ref=contest.ref.label,
        cand=contest.cand.label,
        seed=run.seed,
        pairs=pairs,
        screened=len(run.screened),
        excluded=pairs - len(screened) - len(fresh),
        entries=contest.entries,
        attempt=contest.attempt,
        repeat=contest.repeat,
        note=contest.note,
        ref_commit=contest.commits[0],
        cand_commit=contest.commits[1],
        scale=float(ring.length.factor),
        length=str(ring.length) if bounds else "",
    )
    return Outcome(tuple(ring.rounds), record, verdicts)


def _with_evidence(name: str, one: MetricVerdict, run: Interleaved, bounds: Limits) -> MetricVerdict:
    """The verdict with what all its pairs say together, where they say something."""
    try:
        found = [*blocks(run.screened, name), *blocks(run.fresh, name)]
    except NoRatio:
        return one
    return replace(one, evidence=evidence(found, bounds.tau))


async def compare(bench: Bench, contest: Contest, scenario: Scenario, pairs: int) -> tuple[Outcome, Comparison]:
    """Run so many pairs of two arms; what their ratios are is for the test to judge."""
    ring = Ring(bench, contest, scenario)
    await ring.warm_up()
    seed = bench.plan.spec.seed if bench.plan.spec.seed is not None else new_seed()
    run = Interleaved(ring.play, seed, bench.plan.budget)
    await run.pairs(pairs)
    outcome = _outcome(replace(contest, entries=0), ring, run, Course({}, 1), {})
    found: tuple[Pair, ...] = tuple(run.screened)
    return outcome, Comparison(found, contest.ref.label, contest.cand.label, str(bench.out), contest.meant)
