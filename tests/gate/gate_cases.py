"""What do the gate's tests start from? Pairs of rounds with known ratios, and an arm that is played instead of run."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pytest_netbench.gate.arms import CAND, REF
from pytest_netbench.gate.pairs import Pair
from pytest_netbench.result.model import Round

CPU = "server.cpu_per_byte"


def round_(arm: str, index: int = 0, value: float = 1e-9, **more: Any) -> Round:
    """A valid round of an arm, in which a byte costs the server so much; two begin a second."""
    given: dict[str, Any] = {"metrics": {CPU: value, "goodput": 1 / value}, "validity": ()}
    return Round(
        index=index,
        arm=arm,
        started=f"2026-01-01T00:{index // 120 % 60:02}:{index / 2 % 60:06.3f}Z",
        duration_s=1.0,
        start_skew_s=0.0,
        armed=True,
        control_bytes_in_run=0,
        logs=f"runs/test/{index}",
        **(given | more),
    )


def pair(ref: Round | None = None, cand: Round | None = None) -> Pair:
    return Pair(ref or round_(REF), cand or round_(CAND), (REF, CAND))


def pairs(count: int, effect: float = 0.0, noise: float = 0.01, seed: int = 3) -> list[Pair]:
    """So many pairs in which the candidate costs more by a share."""
    play = Played(effect, noise, seed)
    return [Pair(play.now(REF), play.now(CAND), (REF, CAND)) for _ in range(count)]


class Played:
    """Plays rounds of two arms: noise around 1 ns a byte, the candidate's above it by ``effect``.

    ``spoil`` changes a round before it is given, as by a crash of one arm.
    """

    def __init__(
        self, effect: float = 0.0, noise: float = 0.01, seed: int = 3, spoil: Callable[[Round], Round] | None = None
    ) -> None:
        self.effect, self.noise, self.spoil = effect, noise, spoil
        self.rng = random.Random(seed)
        self.order: list[str] = []
        self.renewed = 0
        self.time = 0.0

    def now(self, arm: str) -> Round:
        cost = 1e-9 * (1 + self.effect * (arm == CAND)) * self.rng.lognormvariate(0, self.noise)
        self.order.append(arm)
        self.time += 0.5
        made = round_(arm, len(self.order) - 1, cost)
        return made if self.spoil is None else self.spoil(made)

    async def play(self, arm: str) -> Round:
        return self.now(arm)

    async def renew(self) -> None:
        self.renewed += 1

    def clock(self) -> float:
        return self.time


def set_to(one: Round, host: str = "server-0", **facts: str) -> Round:
    """The round on a host that is set in these ways, besides what it was."""
    return replace(one, environment={**one.environment, host: {**one.environment.get(host, {}), **facts}})


def spoilt(one: Round, reason: str, *, exogenous: bool = False, **more: Any) -> Round:
    """The round with a reason not to count."""
    return replace(one, validity=(reason,), exogenous=(reason,) if exogenous else (), **more)
