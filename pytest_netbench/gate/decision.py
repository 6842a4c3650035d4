"""Is it a regression? The screen at the declared looks, and the confirmation of what it suspects; pure rules.

A suspect is confirmed with fresh pairs at ``alpha`` over the number of gated entries of the whole session. So a session
of unchanged code fails with probability ``alpha`` at most, whatever the screen does (Bonferroni over the entries). The
confirmation has looks of its own: how noisy eight pairs are says too little of how many more it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType

from pytest_netbench.gate.estimate import Estimate, estimate, flipped
from pytest_netbench.gate.limits import Limits

LOOKS = (8, 12, 16, 20, 30, 40, 60)
"""After how many pairs it is looked; never otherwise."""

MOST = LOOKS[-1]
CONFIRMING: Mapping[int, int] = MappingProxyType({20: 1, 40: 1, 60: 2})
"""After how many fresh pairs a suspicion is looked into, and with which weight of the error rate."""

LEAST_CONFIRMING = min(CONFIRMING)

SUSPECT_EARLY, SUSPECT_LAST = 0.01, 0.05
PASS_BETA, POOLED_BETA = 0.005, 0.01


class Screen(Enum):
    """What a look at the pairs so far says."""

    SUSPECT = "suspect"
    PASS = "pass"  # noqa: S105 - a verdict
    NEXT = "next look"
    SPENT = "spent"
    """The last look didn't decide."""


class Confirmation(Enum):
    """What fresh pairs say of a suspect."""

    FAIL = "fail"
    PASS = "pass"  # noqa: S105 - a verdict
    NEXT = "next look"
    OPEN = "suspected, not confirmed"


def seen(ratios: Sequence[float], limits: Limits) -> Estimate:
    """The estimate that the rules work on, widened by what calibration found, where that matters."""
    found = estimate(ratios, limits.trim)
    return found.widened(limits.sigma) if 3 * limits.sigma > limits.tau else found


def screen(found: Estimate, limits: Limits, *, last: bool) -> Screen:
    """What one look says; below the first look, and where a rebuild hides what is sought, nothing is decided."""
    if found.n >= LOOKS[0] and not limits.blind:
        if found.p(limits.tau) <= (SUSPECT_LAST if last else SUSPECT_EARLY):
            return Screen.SUSPECT
        if found.upper(PASS_BETA) < limits.delta:
            return Screen.PASS
    return Screen.SPENT if last else Screen.NEXT


def confirmation(most: int = MOST) -> tuple[tuple[int, float], ...]:
    """The looks of a confirmation that may take so many pairs: after how many, and at which share of the error rate.

    The shares add up to one, so that all looks together fail unchanged code as rarely as one would.
    """
    looks = [(look, weight) for look, weight in CONFIRMING.items() if look <= most]
    whole = sum(weight for _, weight in looks)
    return tuple((look, weight / whole) for look, weight in looks)


def confirm(
    fresh: Sequence[float], screened: Sequence[float], limits: Limits, alpha: float, *, last: bool
) -> Confirmation:
    """What a look at fresh pairs says, at this share of the error rate.

    Those of the screen count only towards a pass, never towards a failure.
    """
    if len(fresh) >= LEAST_CONFIRMING and not limits.blind:
        # Without a tolerance, Student's t alone is slightly liberal: 1.1 to 1.5 % where 1 % is meant.
        if seen(fresh, limits).p(limits.tau) <= alpha and (limits.tau > 0 or flipped(fresh, limits.trim) <= alpha):
            return Confirmation.FAIL
        if seen([*screened, *fresh], limits).upper(POOLED_BETA) < limits.delta:
            return Confirmation.PASS
    return Confirmation.OPEN if last else Confirmation.NEXT


def improved(found: Estimate, limits: Limits) -> bool:
    """Whether a pass is more than that: better by more than the tolerance."""
    return found.upper(PASS_BETA) < -limits.tau


def required(found: Estimate, limits: Limits, entries: int) -> int | None:
    """How many pairs would find a regression of the size that must be detected; None if none do."""
    return None if limits.blind else found.required(limits.tau, limits.delta, limits.alpha / entries)


def detectable(found: Estimate, limits: Limits, entries: int) -> float:
    """The smallest regression, as a share, that so many pairs find."""
    return found.detectable(limits.tau, limits.alpha / entries)


def last_look(done: int, spent: float, budget: float | None) -> int:
    """The last look that a budget of seconds allows, given what the pairs so far took; the first one at least.

    Room is left for the shortest confirmation: a suspicion that can't be looked into helps nobody.
    """
    if budget is None or done == 0 or spent <= 0:
        return MOST
    affordable = budget / (spent / done) - LEAST_CONFIRMING
    return max((look for look in LOOKS if look <= affordable), default=LOOKS[0])


def next_look(done: int) -> int | None:
    """The first look after so many pairs."""
    return next((look for look in LOOKS if look > done), None)


def discoveries(p_values: Sequence[float], rate: float = 0.05) -> frozenset[int]:
    """Which of many p-values stand out, at so many false ones among them (Benjamini and Hochberg, 1995).

    It orders the report; nothing fails by it.
    """
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    passing = [rank for rank, at in enumerate(order, 1) if p_values[at] <= rate * rank / len(p_values)]
    return frozenset(order[: max(passing, default=0)])


assert all(look % 2 == 0 for look in LOOKS)
