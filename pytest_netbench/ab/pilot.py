"""How does a contest find out how long its rounds are to be? By a few of the reference's, before the first pair."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

from pytest_netbench.errors import Unsupported
from pytest_netbench.gate.length import WHOLE, Length, Needs, Seen, by_bytes, needed_samples, step, work_of
from pytest_netbench.scenario.scale import Part, scaled, shortest_loop_s

if TYPE_CHECKING:
    from pytest_netbench.result.model import Round
    from pytest_netbench.scenario.model import Scenario

DOUBLED = Fraction(2)


def part_of(scenario: Scenario, gated: Iterable[str]) -> Part | str:
    """What of a scenario may be more or less without being another one; or why nothing."""
    if scaled(scenario, DOUBLED, Part.REPETITIONS) is not None:
        return Part.REPETITIONS
    if scaled(scenario, DOUBLED, Part.BYTES) is None:
        return "nothing in it is repeated, or large"
    return by_bytes(gated) or Part.BYTES


def longer(scenario: Scenario, length: Length, gated: Iterable[str], *, whole_seconds: bool = False) -> Scenario:
    """The scenario at that length."""
    part = part_of(scenario, gated)
    if length.factor == WHOLE or isinstance(part, str):
        return scenario
    return scaled(scenario, length.factor, part, whole_seconds=whole_seconds) or scenario


async def pilot(
    play: Callable[[Scenario, Fraction], Awaitable[Round]],
    scenario: Scenario,
    gated: Iterable[str],
    in_time: Callable[[], bool],
    *,
    whole_seconds: bool = False,
) -> Length:
    """The length of the rounds of a test with these gated metrics.

    ``in_time``: whether another round may be run. ``whole_seconds``: its driver takes no other.

    :raises Unsupported: if the scenario itself is.
    """
    names = tuple(gated)
    part = part_of(scenario, names)
    if isinstance(part, str):
        return Length(why=part)

    @cache
    def at(factor: Fraction) -> Scenario | None:
        return scenario if factor == WHOLE else scaled(scenario, factor, part, whole_seconds=whole_seconds)

    loop_s = shortest_loop_s(scenario)
    needs = Needs(needed_samples(names), loop_s, lambda factor: at(factor) is not None)
    seen: dict[Fraction, list[Seen]] = {}
    first: Seen | None = None
    due: Fraction | Length = WHOLE
    while not isinstance(due, Length):
        if not in_time():
            return Length(why="the budget leaves no time to find another length")
        made = at(due)
        assert made is not None
        try:
            done = await play(made, due)
        except Unsupported as error:
            if due == WHOLE:
                raise
            return Length(why=f"another is unsupported: {error}")
        if own := [reason for reason in done.validity if reason not in done.exogenous]:
            return Length(why=f"a round of the pilot doesn't count: {own[0]}")
        found = Seen(
            done.duration_s,
            work_of(done, due, timed=loop_s is not None),
            {trace: len(taken) for trace, taken in done.samples.items()},
        )
        if first is None:
            first = found
        else:
            seen.setdefault(due, []).append(found)
        due = step(first, seen, needs)
    return due
