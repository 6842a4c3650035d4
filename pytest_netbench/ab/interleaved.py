"""How are two arms run against each other? Pair by pair in blocks, until what is gated is decided."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from pytest_netbench.gate.course import Course
from pytest_netbench.gate.decision import LEAST_CONFIRMING, LOOKS, confirmation, last_look, next_look
from pytest_netbench.gate.environment import Meant
from pytest_netbench.gate.estimate import LEAST
from pytest_netbench.gate.order import order
from pytest_netbench.gate.pairs import MOST_EXCLUDED, Pair, broken, too_many_excluded, unequal, usable
from pytest_netbench.result.model import Round
from pytest_netbench.result.words import count

OVERRUN = 2
"""How many times its budget a test may take for the first look: below it, all was for nothing."""


async def _nothing() -> None:
    return


@dataclass
class Interleaved:
    """Runs pairs; ``play`` carries out a round of one arm, ``renew`` puts fresh workers in the place of the used ones.

    ``budget``: seconds for all of it, None for as many as it takes. ``meant``: what the arms change of their
    environment. ``screened`` and ``fresh`` keep what was run.
    """

    play: Callable[[str], Awaitable[Round]]
    seed: int
    budget: float | None = None
    renew: Callable[[], Awaitable[None]] = _nothing
    clock: Callable[[], float] = time.monotonic
    meant: Meant = field(default_factory=Meant)
    screened: list[Pair] = field(default_factory=list)
    fresh: list[Pair] = field(default_factory=list)

    async def pairs(self, number: int) -> None:
        """Run so many pairs, within the budget and at least one; nothing is decided."""
        arms, began = order(self.seed, "screen"), self.clock()
        for done in range(number):
            if done and self.budget is not None and (self.clock() - began) * (1 + 1 / done) > self.budget:
                break
            await self._pair(self.screened, arms)

    async def gate(self, course: Course) -> None:
        """Screen all metrics of the course, and look into what is suspect.

        :raises UsageError: if the first pair shows that a metric can't be gated.
        """
        began = self.clock()
        await self._screen(course, began)
        if course.suspects:
            await self._confirm(course, began)

    async def _screen(self, course: Course, began: float) -> None:
        arms = order(self.seed, "screen")
        latest = None if self.budget is None else began + OVERRUN * self.budget
        while course.undecided:
            target = next_look(len(usable(self.screened))) or LOOKS[-1]
            trouble = await self._until(self.screened, arms, target, course, latest if target == LOOKS[0] else None)
            if trouble:
                course.stop(trouble)
                return
            short = len(usable(self.screened)) < target
            last = short or target >= last_look(len(self.screened), self.clock() - began, self.budget)
            course.look(usable(self.screened)[:target], last=last)

    async def _confirm(self, course: Course, began: float) -> None:
        await self.renew()
        arms, spent = order(self.seed, "confirm"), self.clock() - began
        most = LOOKS[-1]
        if self.budget is not None and spent > 0:
            most = int((self.budget - spent) / spent * len(self.screened))
        looks = confirmation(max(LEAST_CONFIRMING, most))
        for target, part in looks:
            trouble = await self._until(self.fresh, arms, target, course)
            if trouble:
                course.stop(trouble)
                return
            screened = usable(self.screened)
            course.look_again(usable(self.fresh)[:target], screened, part, last=target == looks[-1][0])
            if not course.suspects:
                return

    async def _until(
        self,
        pairs: list[Pair],
        arms: Iterator[tuple[str, str]],
        target: int,
        course: Course,
        latest: float | None = None,
    ) -> str:
        """Run pairs until so many count, or it is ``latest`` and a few do; why they can't, if so."""
        while len(usable(pairs)) < target and (course.undecided or course.suspects):
            if latest is not None and self.clock() >= latest and len(usable(pairs)) >= LEAST:
                return ""
            pair = await self._pair(pairs, arms)
            if pairs is self.screened and len(pairs) == 1:
                course.check(pair)
            trouble = broken([pair]) or unequal([*self.screened[:1], pair], self.meant)
            if trouble is not None:
                return trouble
            counting = usable(pairs)
            if len(pairs) >= LOOKS[0] and too_many_excluded(pairs, counting):
                return _excluded(pairs, len(counting))
        return ""

    async def _pair(self, pairs: list[Pair], arms: Iterator[tuple[str, str]]) -> Pair:
        first, second = turns = next(arms)
        rounds = {first: await self.play(first), second: await self.play(second)}
        pair = Pair(rounds["ref"], rounds["cand"], turns)
        pairs.append(pair)
        return pair


def _excluded(pairs: list[Pair], counting: int) -> str:
    reasons = [reason for pair in pairs for one in pair.rounds.values() for reason in one.exogenous]
    why = reasons[-1] if reasons else "other programs took the CPU"
    return (
        f"{len(pairs) - counting} of {count(len(pairs), 'pair')} were disturbed from outside, "
        f"{MOST_EXCLUDED:.0%} may be: {why}"
    )
