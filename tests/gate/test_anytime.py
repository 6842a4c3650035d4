"""Does the e-value keep its promise whenever one looks, and does it speak where there is a regression?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from pytest_netbench.gate.anytime import SCALES, evidence
from pytest_netbench.gate.pairs import blocks, ratios
from tests.gate.gate_cases import CPU, spoilt
from tests.gate.gate_cases import pairs as some_pairs
from tests.gate.simulation import MODERATE, NOISY, ORDERED, QUIET, Noise, pairs

TAU = math.log(1.01)
Numbers = NDArray[np.float64]
RATIO = st.floats(-5, 5)
BLOCKS = st.lists(st.lists(RATIO, max_size=2), max_size=30)


def courses(ratios: Numbers, tau: float) -> Numbers:
    """The e-value after each block, a row a session, by numpy."""
    means = ratios.reshape(len(ratios), -1, 2).mean(axis=2) - tau
    bets = [np.cumprod(1 + np.tanh(scale * means), axis=1) for scale in SCALES]
    found: Numbers = np.mean(bets, axis=0)
    return found


def reached(ratios: Numbers, tau: float) -> int:
    """Sessions in which it was 100 once, at whichever look."""
    return int((courses(ratios, tau).max(axis=1) >= 100).sum())


@given(BLOCKS, st.floats(0, 0.3))
def test_it_is_as_numpy_has_it(blocks: list[list[float]], tau: float) -> None:
    """Blocks without a pair that counts change nothing."""
    means = np.array([np.mean(one) - tau for one in blocks if one])
    wanted = np.mean([np.prod(1 + np.tanh(scale * means)) for scale in SCALES]) if len(means) else 1.0
    assert evidence(blocks, tau) == pytest.approx(wanted, rel=1e-6, abs=1e-12)


def test_nothing_says_nothing() -> None:
    """The bet is 1 before the first block, and after those of which no pair counts."""
    assert evidence([], TAU) == evidence([[], []], TAU) == 1


def test_blocks_stay_whole_where_a_pair_is_left_out() -> None:
    """The other pair of its block counts alone; no later block is shifted, whose order another coin decided."""
    run = some_pairs(6)
    run[1] = replace(run[1], ref=spoilt(run[1].ref, "stolen", exogenous=True))
    found = blocks(run, CPU)
    assert [len(one) for one in found] == [1, 2, 2]
    assert [one for block in found for one in block] == ratios([run[0], *run[2:]], CPU)


@given(BLOCKS, RATIO, st.floats(0, 1))
def test_more_cost_never_speaks_less_for_a_regression(blocks: list[list[float]], one: float, more: float) -> None:
    """It rises with each ratio: what holds where the truth is the tolerance holds for all below."""
    assert evidence([*blocks, [one + more]], TAU) >= evidence([*blocks, [one]], TAU)


@pytest.mark.parametrize("noise", [QUIET, MODERATE, NOISY, ORDERED, Noise(0.05, 0.01, 0.2, memory=0.99)])
def test_unchanged_code_hardly_ever_reaches_100(noise: Noise) -> None:
    """In 5,000 sessions of 60 pairs, looked at after each block, without any tolerance: at most one in 100."""
    ratios = pairs(np.random.default_rng(11), 5_000, 60, noise, 0.0)
    assert reached(ratios, 0.0) <= stats.binom.ppf(0.999, 5_000, 0.01)


def test_no_shape_of_noise_is_assumed() -> None:
    """Pairs without a mean (Cauchy), and blocks whose pairs deviate together: the coin is enough."""
    rng = np.random.default_rng(12)
    wild = 0.05 * rng.standard_cauchy((5_000, 60))
    together = np.repeat(rng.choice((-1, 1), (5_000, 30)) * rng.exponential(0.05, (5_000, 30)), 2, axis=1)
    for drawn in (wild, together):
        assert reached(drawn, 0.0) <= stats.binom.ppf(0.999, 5_000, 0.01)


def test_pairs_that_deviate_together_would_break_a_bet_on_each() -> None:
    """Why blocks are bet on: pair by pair, the second one's sign is known beforehand."""
    rng = np.random.default_rng(12)
    together = np.repeat(rng.choice((-1, 1), (5_000, 30)) * rng.exponential(0.05, (5_000, 30)), 2, axis=1)
    bets = [np.cumprod(1 + np.tanh(scale * together), axis=1) for scale in SCALES]
    assert (np.mean(bets, axis=0).max(axis=1) >= 100).mean() > 0.05


def test_a_regression_of_5_percent_reaches_it() -> None:
    """At moderate noise, within 60 pairs, nearly always."""
    ratios = pairs(np.random.default_rng(13), 1_000, 60, MODERATE, 0.05)
    assert reached(ratios, TAU) >= stats.binom.ppf(0.001, 1_000, 0.90)
