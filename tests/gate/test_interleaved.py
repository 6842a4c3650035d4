"""Does a contest run the pairs that its rules ask for, and come to the right verdict?"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from pytest_netbench.ab.interleaved import Interleaved
from pytest_netbench.errors import UsageError
from pytest_netbench.gate import Gate, verdict
from pytest_netbench.gate.course import Course, Track
from pytest_netbench.gate.limits import limits
from pytest_netbench.gate.pairs import usable
from pytest_netbench.result.model import MetricVerdict, Round, Verdict
from tests.gate.gate_cases import CPU, Played, spoilt


async def contest(
    played: Played, *, metric: str = CPU, budget: float | None = None, **more: Any
) -> tuple[MetricVerdict, Interleaved]:
    """One gated metric through screen and confirmation."""
    run = Interleaved(played.play, 7, budget, played.renew, played.clock)
    bounds = limits(metric, more.pop("gate", Gate()), **more)
    course = Course({metric: Track(bounds)}, 1)
    await run.gate(course)
    return verdict.gated(course, usable(run.screened), usable(run.fresh), "old")[metric], run


async def test_quiet_unchanged_code_passes_after_eight_pairs() -> None:
    """No confirmation is run, workers stay."""
    played = Played()
    found, run = await contest(played)
    assert (found.state, found.n, found.looks, found.fresh) == (Verdict.PASS, 8, (8,), 0)
    assert (len(run.screened), played.renewed) == (8, 0)


async def test_a_regression_fails_by_fresh_pairs_on_fresh_workers() -> None:
    """The effect is that of the twenty fresh pairs alone, with its interval around the truth."""
    played = Played(effect=0.08)
    found, run = await contest(played)
    assert (found.state, found.n, found.fresh, played.renewed) == (Verdict.FAIL, 20, 20, 1)
    assert found.effect == pytest.approx(0.08, abs=0.02)
    assert found.interval is not None
    assert found.interval.low < 0.08 < found.interval.high
    assert len(run.fresh) == 20


async def test_a_candidate_that_is_better_is_an_improvement() -> None:
    """8 % less cost is more than the tolerance."""
    assert (await contest(Played(effect=-0.08)))[0].state is Verdict.IMPROVED


async def test_a_metric_that_should_be_high_is_worse_when_it_is_low() -> None:
    """8 % more cost is 8 % less goodput."""
    assert (await contest(Played(effect=0.08), metric="goodput"))[0].state is Verdict.FAIL


async def test_blocks_of_two_pairs_are_mirrored() -> None:
    """ABBA or BAAB, by a coin that isn't always the same; the same seed gives the same order."""
    one, other = Played(noise=0.2), Played(noise=0.2)
    await contest(one)
    await contest(other)
    blocks = {"".join(arm[0] for arm in one.order[at : at + 4]) for at in range(0, 32, 4)}
    assert blocks == {"rccr", "crrc"}
    assert one.order == other.order


async def test_noise_that_hides_a_regression_leaves_it_open_and_says_what_it_takes() -> None:
    """After the last look: how many pairs would decide, and what these can see."""
    found, run = await contest(Played(noise=0.4))
    assert (found.state, found.n, len(run.screened)) == (Verdict.INCONCLUSIVE, 60, 60)
    assert found.required is not None
    assert found.required > 60
    assert "it needs about" in found.reason
    assert "the smallest regression that 60 pairs detect" in found.reason


async def test_a_budget_ends_the_looks_early() -> None:
    """A second a pair: forty seconds leave room for twenty pairs of confirmation; four for one look, twice as long."""
    assert (await contest(Played(noise=0.4), budget=40.0))[0].looks == (8, 12, 16, 20)
    found, _ = await contest(Played(noise=0.4), budget=4.0)
    assert (found.looks, found.state) == ((8,), Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(("budget", "pairs"), [(3.0, 6), (0.0, 2)])
async def test_a_budget_too_short_for_eight_pairs_is_inconclusive(budget: float, pairs: int) -> None:
    """Whatever they say, also of a regression that can't be missed; with what it takes."""
    found, run = await contest(Played(effect=0.5), budget=budget)
    assert (found.state, found.n, len(run.fresh)) == (Verdict.INCONCLUSIVE, pairs, 0)
    assert f"8 pairs are the least, the budget left time for {pairs} (--netbench-budget)" in found.reason
    assert bool(re.search(r"by these it needs about [\d,]+$", found.reason)) == (pairs >= 4)


async def test_a_suspect_whose_reference_loses_the_metric_is_no_new_one() -> None:
    """What the screen has measured can't be new when it is looked into."""

    def lose(one: Round) -> Round:
        return replace(one, metrics={"goodput": 1.0}) if one.arm == "ref" and one.index >= 16 else one

    found, run = await contest(Played(effect=0.2, spoil=lose))
    assert len(run.fresh) > 0
    assert (found.state, "of ref gave no" in found.reason) == (Verdict.INVALID, True)


async def test_a_round_that_doesnt_count_makes_the_verdict_invalid_at_once() -> None:
    """Leaving it out would depend on the arm: the reason says round, arm and why."""

    def crash(one: Round) -> Round:
        return spoilt(one, "server-0: its driver was ended by SIGSEGV") if one.index == 5 else one

    found, run = await contest(Played(spoil=crash))
    assert (found.state, len(run.screened)) == (Verdict.INVALID, 3)
    assert "round 5 of" in found.reason
    assert "SIGSEGV" in found.reason


async def test_what_comes_from_outside_excludes_whole_pairs() -> None:
    """A stolen round takes its pair with it; another one is run instead."""

    def steal(one: Round) -> Round:
        return spoilt(one, "the hypervisor took 30 %", exogenous=True) if one.index == 5 else one

    found, run = await contest(Played(spoil=steal))
    assert (found.state, found.n, len(run.screened)) == (Verdict.PASS, 8, 9)


async def test_more_than_a_fifth_excluded_is_invalid() -> None:
    """Every other pair is disturbed: nothing can be trusted."""

    def steal(one: Round) -> Round:
        return spoilt(one, "the hypervisor took 30 %", exogenous=True) if one.index % 4 == 0 else one

    found, _ = await contest(Played(spoil=steal))
    assert found.state is Verdict.INVALID
    assert "4 of 8 pairs were disturbed from outside, 20% may be: the hypervisor took 30 %" in found.reason


async def test_other_programs_that_take_the_cpu_exclude_what_stands_out() -> None:
    """A round with much more foreign load than the others is left out, a machine that is always busy isn't."""

    def busy(one: Round) -> Round:
        return replace(one, foreign=0.95 if one.index == 3 else 0.4)

    found, run = await contest(Played(spoil=busy))
    assert (found.n, len(run.screened)) == (8, 9)


async def test_a_metric_that_the_reference_lacks_is_new() -> None:
    """It passes, and says that it is new."""

    def lack(one: Round) -> Round:
        return replace(one, metrics={"goodput": 1.0}) if one.arm == "ref" else one

    found, run = await contest(Played(spoil=lack))
    assert (found.state, len(run.screened)) == (Verdict.NEW, 1)


async def test_a_metric_that_the_candidate_lost_is_invalid() -> None:
    """Losing a figure is no way to pass."""

    def lose(one: Round) -> Round:
        return replace(one, metrics={"goodput": 1.0}) if one.arm == "cand" else one

    found, _ = await contest(Played(spoil=lose))
    assert (found.state, "of cand gave no" in found.reason) == (Verdict.INVALID, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"whole_process": frozenset({CPU})}, "whole process"), ({"metrics": {"goodput": 1.0}}, "don't give it")],
)
async def test_what_cant_be_gated_is_refused_after_the_first_pair(change: dict[str, Any], words: str) -> None:
    """A metric of the whole process, or one that neither arm gives, is a mistake in the marker."""
    played = Played(spoil=lambda one: replace(one, **change))
    with pytest.raises(UsageError, match=words):
        await contest(played)
    assert len(played.order) == 2


async def test_a_value_of_zero_has_no_ratio() -> None:
    """A counter at zero can't be gated by a ratio: invalid, with the rounds."""
    found, _ = await contest(Played(spoil=lambda one: replace(one, metrics={CPU: 0.0})))
    assert (found.state, "above zero" in found.reason) == (Verdict.INVALID, True)


async def test_a_percentile_waits_for_its_samples() -> None:
    """p99 needs 3,000 samples an arm: with 200 a round it is looked at from 16 pairs on; with 10 it is invalid."""

    def sampled(size: int) -> Any:
        return lambda one: replace(one, metrics={"t.p99": one.metrics[CPU]}, samples={"t": (1.0,) * size})

    found, _ = await contest(Played(spoil=sampled(200)), metric="t.p99")
    assert (found.state, found.looks) == (Verdict.PASS, (16,))
    found, _ = await contest(Played(spoil=sampled(10)), metric="t.p99")
    assert (found.state, "needs 3,000 samples" in found.reason) == (Verdict.INVALID, True)


async def test_a_rebuild_that_hides_everything_is_inconclusive_and_says_so() -> None:
    """Calibration found that two builds of one commit differ by more than what must be detected."""
    found, _ = await contest(Played(), rebuild=0.06)
    assert found.state is Verdict.INCONCLUSIVE
    assert "two builds of one commit differ by 6 %" in found.reason


async def test_without_gates_so_many_pairs_are_run_as_asked_for() -> None:
    """Nothing is decided; figures that stand out are said, none fails."""
    played = Played(effect=0.3)
    run = Interleaved(played.play, 1)
    await run.pairs(8)
    found = verdict.advisory(run.screened, (), "old", 0)
    assert verdict.of_test(found.values()) is Verdict.NONE
    assert "stands out" in found[CPU].reason
