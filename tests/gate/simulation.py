"""How would the gate do on a thousand suites? Rounds drawn from a model of noise, judged by the real rules.

The cost of a round is ``exp`` of a sum: drift that remembers (a first-order autoregression), jitter, bursts of 10 to
30 % that last two rounds on average, and what the second round of a pair costs more than the first. Pairs stand in
blocks of two, ABBA or BAAB by a coin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_netbench.gate.decision import LOOKS, MOST, Confirmation, Screen, confirm, confirmation, screen, seen
from pytest_netbench.gate.limits import Limits
from pytest_netbench.result.model import Better

Numbers = NDArray[np.float64]

LIMITS = Limits(Better.LOWER, 0.01, 0.05)


@dataclass(frozen=True)
class Noise:
    """Deviations of drift and jitter, the share of rounds in a burst, the order's effect, the memory of the drift."""

    drift: float
    jitter: float
    burst: float
    order: float = 0.0
    memory: float = 0.9


QUIET, MODERATE, NOISY = Noise(0.010, 0.010, 0.02), Noise(0.020, 0.020, 0.05), Noise(0.030, 0.035, 0.08)
ORDERED = Noise(0.020, 0.020, 0.05, order=0.010)


def rounds(rng: np.random.Generator, sessions: int, length: int, noise: Noise) -> Numbers:
    """Logarithms of costs, a row a session."""
    drift = rng.normal(0, 1, (sessions, length))
    drift[:, 0] *= noise.drift
    drift[:, 1:] *= noise.drift * math.sqrt(1 - noise.memory**2)
    leave, enter = 0.5, 0.5 * noise.burst / (1 - noise.burst)
    chance = rng.random((sessions, length))
    burst = np.empty((sessions, length), bool)
    burst[:, 0] = chance[:, 0] < noise.burst
    for at in range(1, length):
        drift[:, at] += noise.memory * drift[:, at - 1]
        burst[:, at] = np.where(burst[:, at - 1], chance[:, at] >= leave, chance[:, at] < enter)
    made: Numbers = (
        drift + rng.normal(0, noise.jitter, drift.shape) + burst * np.log1p(rng.uniform(0.10, 0.30, drift.shape))
    )
    return made


def pairs(rng: np.random.Generator, sessions: int, count: int, noise: Noise, effect: float) -> Numbers:
    """Log ratios of interleaved pairs, a row a session; ``effect``: what the candidate costs more, as a share."""
    costs = rounds(rng, sessions, 2 * count, noise)
    costs[:, 1::2] += noise.order
    coins = np.repeat(rng.random((sessions, (count + 1) // 2)) < 0.5, 2, axis=1)[:, :count]
    reference_first = coins ^ (np.arange(count) % 2 == 1)
    difference = costs[:, 1::2] - costs[:, 0::2]
    found: Numbers = np.where(reference_first, difference, -difference) + math.log1p(effect)
    return found


@dataclass
class Tally:
    """What came of many entries: how many failed, passed, stayed open, and the pairs that the screen took."""

    fail: int = 0
    passed: int = 0
    open: int = 0
    pairs: int = 0

    @property
    def entries(self) -> int:
        """All of them."""
        return self.fail + self.passed + self.open

    def share(self, count: int) -> float:
        """A count as a share of the entries."""
        return count / self.entries


def gate(
    rng: np.random.Generator, ratios: list[float], noise: Noise, effect: float, entries: int, tally: Tally
) -> bool:
    """Take one entry through screen and confirmation; whether it fails."""
    found, n, state = None, 0, Screen.NEXT
    for n in LOOKS:
        found = seen(ratios[:n], LIMITS)
        state = screen(found, LIMITS, last=n == MOST)
        if state is not Screen.NEXT:
            break
    assert found is not None
    tally.pairs += n
    outcome = Confirmation.PASS if state is Screen.PASS else Confirmation.OPEN
    if state is Screen.SUSPECT:
        outcome = confirmed(rng, ratios[:n], noise, effect, entries)
    tally.fail += outcome is Confirmation.FAIL
    tally.passed += outcome is Confirmation.PASS
    tally.open += outcome is Confirmation.OPEN
    return outcome is Confirmation.FAIL


def confirmed(
    rng: np.random.Generator, screened: list[float], noise: Noise, effect: float, entries: int
) -> Confirmation:
    """Look into a suspicion with fresh pairs."""
    fresh = pairs(rng, 1, MOST, noise, effect)[0].tolist()
    outcome = Confirmation.NEXT
    for look, part in confirmation():
        alpha = LIMITS.alpha / entries * part
        outcome = confirm(fresh[:look], screened, LIMITS, alpha, last=look == MOST)
        if outcome is not Confirmation.NEXT:
            break
    return outcome


def suites(noise: Noise, effect: float, count: int, entries: int, *, judged: int, seed: int) -> tuple[Tally, int]:
    """Run so many suites of so many entries, of which ``judged`` are drawn; the tally, and the suites that fail."""
    rng = np.random.default_rng(seed)
    tally, failed = Tally(), 0
    for start in range(0, count, 500):
        size = min(500, count - start)
        drawn = pairs(rng, size * judged, MOST, noise, effect).reshape(size, judged, MOST).tolist()
        for suite in drawn:
            failures = [gate(rng, one, noise, effect, entries, tally) for one in suite]
            failed += any(failures)
    return tally, failed
