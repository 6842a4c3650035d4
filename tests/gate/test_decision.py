"""Does the decision follow its rules at every look?"""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.errors import UsageError
from pytest_netbench.gate import Gate
from pytest_netbench.gate.decision import (
    LOOKS,
    MOST,
    Confirmation,
    Screen,
    confirm,
    confirmation,
    discoveries,
    improved,
    last_look,
    next_look,
    required,
    screen,
    seen,
)
from pytest_netbench.gate.limits import Limits, limits
from pytest_netbench.result.model import Better

LIMITS = Limits(Better.LOWER, 0.01, 0.05)
RATIOS = st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=60)


def ratios(n: int, effect: float = 0.0, noise: float = 0.01, seed: int = 1) -> list[float]:
    """So many log ratios around an effect."""
    rng = random.Random(seed)
    return [math.log1p(effect) + rng.gauss(0, noise) for _ in range(n)]


def test_quiet_unchanged_code_passes_at_the_first_look() -> None:
    """Eight quiet pairs exclude a regression of 5 %."""
    assert screen(seen(ratios(8), LIMITS), LIMITS, last=False) is Screen.PASS


def test_a_clear_regression_is_suspect_at_the_first_look_and_confirmed() -> None:
    """10 % is seen at once; twenty fresh pairs confirm it, for one entry as for a hundred."""
    found = seen(ratios(8, 0.10), LIMITS)
    assert screen(found, LIMITS, last=False) is Screen.SUSPECT
    for alpha in (0.01, 0.0001):
        assert confirm(ratios(20, 0.10, seed=2), ratios(8, 0.10), LIMITS, alpha, last=False) is Confirmation.FAIL


def test_a_suspect_that_fresh_pairs_clear_passes() -> None:
    """Fresh pairs without an effect, and a pool that excludes 5 %, make a pass of it."""
    assert confirm(ratios(20, seed=3), ratios(8, 0.02), LIMITS, 0.01, last=False) is Confirmation.PASS


def test_a_suspect_that_stays_open() -> None:
    """Noisy fresh pairs neither confirm nor clear: more are due, or it stays open."""
    assert confirm(ratios(20, 0.03, 0.2), ratios(8, 0.05), LIMITS, 0.01, last=False) is Confirmation.NEXT
    assert confirm(ratios(60, 0.03, 0.4), ratios(8, 0.05), LIMITS, 0.01, last=True) is Confirmation.OPEN


def test_without_a_tolerance_exchanged_arms_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Student's t calls a regression isn't one unless the coins say so; with a tolerance they aren't asked."""
    fresh, exact = ratios(20, 0.05, seed=2), Limits(Better.LOWER, 0.0, 0.05)
    assert confirm(fresh, [], exact, 0.0025, last=True) is Confirmation.FAIL
    monkeypatch.setattr("pytest_netbench.gate.decision.flipped", lambda *_: 1.0)
    assert confirm(fresh, [], exact, 0.0025, last=True) is Confirmation.OPEN
    assert confirm(fresh, [], LIMITS, 0.0025, last=True) is Confirmation.FAIL


@pytest.mark.parametrize("most", [20, 30, 40, 60])
def test_a_confirmation_spends_its_error_rate_once(most: int) -> None:
    """The shares of its looks add up to one, however many pairs it may take."""
    looks = confirmation(most)
    assert sum(part for _, part in looks) == pytest.approx(1)
    assert looks[-1][0] <= most


@given(RATIOS, st.booleans())
def test_fewer_than_eight_pairs_decide_nothing(values: list[float], last: bool) -> None:
    """Below the first look the answer is to go on, or that the pairs are spent."""
    assert screen(seen(values[:7], LIMITS), LIMITS, last=last) is (Screen.SPENT if last else Screen.NEXT)


@given(st.lists(st.floats(-0.3, 0.3), min_size=8, max_size=60), st.floats(0, 0.5))
def test_a_worse_candidate_never_gets_the_milder_answer(values: list[float], worse: float) -> None:
    """If pairs are suspect, the same pairs made worse are, too; if the worse ones pass, so do the others."""
    mild = screen(seen(values, LIMITS), LIMITS, last=True)
    harsh = screen(seen([one + worse for one in values], LIMITS), LIMITS, last=True)
    assert not (mild is Screen.SUSPECT and harsh is Screen.PASS)


@given(RATIOS, st.floats(1e-6, 0.01))
def test_a_smaller_share_makes_a_failure_harder(values: list[float], alpha: float) -> None:
    """What fails among many entries fails alone; fewer than twenty fresh pairs never fail."""
    if confirm(values, [], LIMITS, alpha, last=True) is Confirmation.FAIL:
        assert len(values) >= 20
        assert confirm(values, [], LIMITS, 0.01, last=True) is Confirmation.FAIL


def test_without_variance() -> None:
    """Equal pairs pass, equal pairs 2 % worse fail, for any number of entries."""
    assert screen(seen([0.0] * 8, LIMITS), LIMITS, last=False) is Screen.PASS
    assert screen(seen([0.02] * 8, LIMITS), LIMITS, last=False) is Screen.SUSPECT
    assert confirm([0.02] * 20, [0.02] * 8, LIMITS, 0.01 / 500, last=False) is Confirmation.FAIL


def test_better_by_more_than_the_tolerance_is_an_improvement() -> None:
    """10 % less cost is one, none is none."""
    assert improved(seen(ratios(8, -0.10), LIMITS), LIMITS)
    assert not improved(seen(ratios(8), LIMITS), LIMITS)


def test_a_noisy_metric_says_how_many_pairs_it_would_take() -> None:
    """More than may be run, and more for a share of the error rate."""
    found = seen(ratios(8, 0.5, 0.3), LIMITS)
    alone, among = required(found, LIMITS, 1), required(found, LIMITS, 20)
    assert alone is not None
    assert among is not None
    assert among > alone > MOST


def test_a_rebuild_that_does_what_is_sought_blinds_the_gate() -> None:
    """Where two builds of one commit differ by what must be detected, nothing is decided."""
    blind = Limits(Better.LOWER, 0.01, 0.05, rebuild=0.06)
    assert screen(seen(ratios(60), blind), blind, last=True) is Screen.SPENT
    assert required(seen(ratios(60), blind), blind, 1) is None
    assert confirm(ratios(60, 0.5), [], blind, 0.01, last=True) is Confirmation.OPEN


def test_what_differs_between_sessions_widens_the_error() -> None:
    """Only where it is more than a third of the tolerance."""
    plain, small, large = (seen(ratios(20), Limits(Better.LOWER, 0.01, 0.05, sigma=one)) for one in (0, 0.002, 0.02))
    assert plain == small
    assert large.error > 0.02 > plain.error


@pytest.mark.parametrize(("budget", "expected"), [(None, 60), (1e6, 60), (60, 40), (45, 20), (3, 8)])
def test_a_budget_bounds_the_looks_and_leaves_room_to_confirm(budget: float | None, expected: int) -> None:
    """A second a pair: sixty seconds are 40 pairs and 20 to confirm; the first look is always taken."""
    assert last_look(8, 8.0, budget) == expected


def test_looks_are_the_declared_ones() -> None:
    """One after the other, and no more after the last."""
    assert [next_look(done) for done in (0, 8, 9, 40, 60)] == [8, 12, 12, 60, None]
    assert next_look(LOOKS[-1]) is None


def test_discoveries_are_those_of_benjamini_and_hochberg() -> None:
    """The example of their article (1995, 3.2): fifteen p-values, four stand out at a rate of 5 %."""
    values = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1,
    ]
    assert discoveries(values) == {0, 1, 2, 3}
    assert discoveries([0.9]) == discoveries([]) == frozenset()


@pytest.mark.parametrize(
    ("name", "gate", "expected"),
    [
        ("goodput", Gate(), (0.01, 0.05)),
        ("server.cpu_per_byte", Gate(), (0.01, 0.05)),
        ("ping_1KB.p50", Gate(fail_above=0.02), (0.02, 0.05)),
        ("ping_1KB.p99", Gate(), (0.05, 0.20)),
        ("connect.max", Gate(must_detect=0.5), (0.05, 0.5)),
    ],
)
def test_defaults_depend_on_the_kind_of_metric(name: str, gate: Gate, expected: tuple[float, float]) -> None:
    """1 and 5 %, of the far end of a latency 5 and 20 %; what is given holds."""
    found = limits(name, gate)
    assert (found.fail_above, found.must_detect) == expected


@pytest.mark.parametrize(
    ("name", "gate"), [("goodput", Gate(fail_above=0.05)), ("connect.p99", Gate(must_detect=0.05))]
)
def test_a_limit_that_contradicts_the_other_ones_default_is_refused(name: str, gate: Gate) -> None:
    """must_detect has to be above fail_above, whichever of them is the default."""
    with pytest.raises(UsageError, match="isn't below must_detect"):
        limits(name, gate)
