"""What costs more than before, and who called it? The difference of two profiles as a flame graph: an SVG and a table.

A frame is as wide as what it costs in both arms on average, so that what went is seen as well as what came; its colour
says which way it went, and it has none where so few samples can't tell. Costs are shares of samples times what the
arm's measured rounds came to: being watched changes what a round costs, less so where. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

from pytest_netbench.gate.words import signed
from pytest_netbench.result.words import show
from pytest_netbench.telemetry.stacks import Stack

WIDTH, ROW = 1000, 18
"""Of the picture, and the height of a frame: user units of the SVG."""

SURE = 2.0
"""Deviations from which on a difference has a colour."""

FULL = 0.05
"""The difference, as a share of all that the reference costs, from which on a colour is full."""

_NARROWEST = 0.003  # of the whole: narrower frames aren't drawn
_CHARACTER = 7.0  # units that a character takes
_LONGEST_TABLE = 12


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm's profile: its stacks, and what all of them cost in measured rounds, 1 where that isn't known."""

    stacks: Mapping[Stack, int]
    cost: float = 1.0

    @property
    def samples(self) -> int:
        """Of all stacks."""
        return sum(self.stacks.values())


@dataclass(frozen=True, slots=True)
class Difference:
    """What something costs in both arms, and the deviation of the difference."""

    ref: float
    cand: float
    deviation: float

    @property
    def change(self) -> float:
        """What the candidate costs more."""
        return self.cand - self.ref

    @property
    def sure(self) -> bool:
        """Whether so many samples tell it from chance."""
        return abs(self.change) > SURE * self.deviation

    def said(self, unit: str) -> str:
        """In words: ``12 ps/B, before 9 ps/B (+33 %)``."""
        if not unit:
            return f"{self.cand:.1%}, before {self.ref:.1%} of all"
        more = f" ({signed(self.change / self.ref)})" if self.ref else ""
        return f"{show(self.cand, unit)}, before {show(self.ref, unit)}{more}"


def difference(ref: Arm, cand: Arm, ours: int, theirs: int) -> Difference:
    """Of what has ``ours`` of the reference's samples and ``theirs`` of the candidate's.

    Samples are counted, so that a share's variance is binomial; one more of each keeps it from being none.
    """
    parts = []
    for arm, count in ((ref, ours), (cand, theirs)):
        every = max(1, arm.samples)
        likely = (count + 1) / (every + 2)
        parts.append((arm.cost * count / every, arm.cost**2 * likely * (1 - likely) / every))
    (before, one), (after, other) = parts
    return Difference(before, after, math.sqrt(one + other))


@dataclass
class Frame:
    """A function as it was called by those above it; samples of both arms in it and below it."""

    name: str
    ref: int = 0
    cand: int = 0
    below: dict[str, Frame] = field(default_factory=dict)

    def add(self, ref: int, cand: int) -> None:
        """More samples."""
        self.ref += ref
        self.cand += cand


def tree(ref: Arm, cand: Arm) -> Frame:
    """All stacks of both arms as one tree, without the calls with which every stack begins but for the last of them."""
    top = Frame("all")
    for arm in (ref, cand):
        for stack, count in arm.stacks.items():
            ours, theirs = (count, 0) if arm is ref else (0, count)
            at = top
            at.add(ours, theirs)
            for name in stack:
                at = at.below.setdefault(name, Frame(name))
                at.add(ours, theirs)
    while len(top.below) == 1:
        (only,) = top.below.values()
        if not only.below or (only.ref, only.cand) != (top.ref, top.cand):
            break
        top = only
    return top


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a function by itself, without what it calls."""

    name: str
    ref: str
    cand: str
    change: str
    sure: bool


def table(ref: Arm, cand: Arm, unit: str) -> list[Row]:
    """The functions whose own cost changed most; those that samples can tell from chance first."""
    own: dict[str, list[int]] = {}
    for at, arm in enumerate((ref, cand)):
        for stack, count in arm.stacks.items():
            own.setdefault(stack[-1], [0, 0])[at] += count
    found = [(name, difference(ref, cand, *counts)) for name, counts in own.items()]
    found.sort(key=lambda one: (not one[1].sure, -abs(one[1].change)))
    return [
        Row(name, _cost(one.ref, unit), _cost(one.cand, unit), _change(one.change, unit), one.sure)
        for name, one in found[:_LONGEST_TABLE]
    ]


def _cost(value: float, unit: str) -> str:
    return show(value, unit) if unit else f"{value:.1%}"


def _change(value: float, unit: str) -> str:
    return ("+" if value > 0 else "") + _cost(value, unit)


def svg(ref: Arm, cand: Arm, unit: str, title: str, mark: str) -> str:
    """The picture; ``mark``: what tells its ids from those of others on a page."""
    top = tree(ref, cand)
    drawn = [*_drawn(top, ref, cand, 0.0, 0)]
    height = ROW * (1 + max(depth for _, _, _, depth, _ in drawn))
    frames = "".join(_rectangle(name, x, width, depth, one, ref.cost, unit) for name, x, width, depth, one in drawn)
    about = "Each frame is a function above those that it calls, as wide as what it costs; red costs more than before."
    return (
        f'<svg class="flame" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="{mark}-title {mark}-about">'
        f'<title id="{mark}-title">{escape(title)}</title><desc id="{mark}-about">{about}</desc>{frames}</svg>'
    )


_Place = tuple[str, float, float, int, Difference]


def _drawn(frame: Frame, ref: Arm, cand: Arm, x: float, depth: int) -> Iterator[_Place]:
    """A frame's place and those of all below it, but for those that are too narrow."""
    one = difference(ref, cand, frame.ref, frame.cand)
    width = _width(one, ref, cand)
    if width < _NARROWEST * WIDTH:
        return
    yield frame.name, x, width, depth, one
    for below in sorted(frame.below.values(), key=lambda each: each.name):
        yield from _drawn(below, ref, cand, x, depth + 1)
        x += _width(difference(ref, cand, below.ref, below.cand), ref, cand)


def _width(one: Difference, ref: Arm, cand: Arm) -> float:
    return WIDTH * (one.ref + one.cand) / (ref.cost + cand.cost)


def _rectangle(name: str, x: float, width: float, depth: int, one: Difference, whole: float, unit: str) -> str:
    share = min(1.0, abs(one.change) / (FULL * whole)) if one.sure else 0.0
    way = "" if not one.sure else " more" if one.change > 0 else " less"
    fits = int((width - 4) / _CHARACTER)
    label = name if len(name) <= fits else f"{name[: fits - 1]}…" if fits > 3 else ""  # noqa: PLR2004 - no word is shorter
    text = f'<text x="{x + 3:.1f}" y="{depth * ROW + 13}">{escape(label)}</text>' if label else ""
    return (
        f"<g><title>{escape(f'{name}: {one.said(unit)}')}</title>"
        f'<rect class="frame{way}" style="--share:{15 + 60 * share:.0f}%" x="{x:.1f}" y="{depth * ROW}" '
        f'width="{max(width - 0.5, 0.5):.1f}" height="{ROW - 1}"/>{text}</g>'
    )
