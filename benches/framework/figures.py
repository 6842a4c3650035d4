"""What is a figure, and how does a script give its figures? Arguments, medians with intervals, one object, one table.

A script names itself and hands over one function::

    def measure(quick: bool) -> list[Figure]:
        ...

    if __name__ == "__main__":
        main("fixed_cost", measure)

``--quick`` is given on to it; ``--json FILE`` writes the object (``-`` is standard output, where nothing else is then
written); ``--only TEXT`` keeps the figures whose name contains it. What can't be measured here is left out, and said by
``missing``.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import json
import math
import os
import platform
import random
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_RESAMPLES = 2000
_FEWEST = 6
"""Fewer values have no 95 % interval of their median."""

_MISSING: list[str] = []


class Better(Enum):
    """Which way a figure should go."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. ``n``: from how many rounds or pairs. ``reach``: where it should be, None for orientation only.

    ``ci``: the 95 % interval of the value, where there is one. ``why``: what stands in the way where it doesn't hold.
    """

    name: str
    value: float
    unit: str
    n: int
    reach: float | None = None
    better: Better = Better.LOWER
    why: str = ""
    ci: tuple[float, float] | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the value is where it should be; None without a goal."""
        if self.reach is None:
            return None
        return self.value >= self.reach if self.better is Better.HIGHER else self.value <= self.reach

    def to_json(self) -> dict[str, object]:
        """The figure as it stands in the object."""
        said = {
            "value": self.value,
            "unit": self.unit,
            "n": self.n,
            "reach": self.reach,
            "better": self.better.value,
            "holds": self.holds,
            "why": "" if self.holds is not False else self.why,
        }
        return said if self.ci is None else {**said, "ci": list(self.ci)}

    def line(self) -> str:
        """The figure for a person."""
        interval = "" if self.ci is None else f"  [{self.ci[0]:.4g}, {self.ci[1]:.4g}]"
        goal = ""
        if self.reach is not None:
            sign = ">=" if self.better is Better.HIGHER else "<="
            goal = f"  {'holds' if self.holds else 'MISSED'} ({sign} {self.reach:g})"
        why = f"  {self.why}" if self.why and self.holds is False else ""
        return f"{self.name:34}{self.value:12.5g} {self.unit:4} n={self.n}{interval}{goal}{why}"


def missing(figure: str, reference: str) -> None:
    """Say that a figure is left out, since what it is held against isn't installed."""
    text = f"{figure}: left out, {reference}"
    _MISSING.append(text)
    print(text, file=sys.stderr, flush=True)


def median(
    name: str,
    values: Sequence[float],
    unit: str,
    *,
    reach: float | None = None,
    better: Better = Better.LOWER,
    why: str = "",
) -> Figure:
    """The median of several measurements of one thing, with its 95 % interval."""
    return Figure(name, statistics.median(values), unit, len(values), reach, better, why, interval(values))


def ratio(
    name: str, ours: Sequence[float], theirs: Sequence[float], *, reach: float | None, better: Better, why: str = ""
) -> Figure:
    """The ratio of two medians, from pairs that were measured one beside the other, with its 95 % interval.

    The interval comes from resampling whole pairs, so that what disturbed both of a pair doesn't widen it.
    """
    pairs = list(zip(ours, theirs, strict=True))
    chance = random.Random(1)  # the same interval from the same measurements
    found = sorted(_ratio_of_medians(chance.choices(pairs, k=len(pairs))) for _ in range(_RESAMPLES))
    ci = (found[_RESAMPLES // 40], found[-_RESAMPLES // 40]) if len(pairs) >= _FEWEST else None
    return Figure(name, _ratio_of_medians(pairs), "1", len(pairs), reach, better, why, ci)


def _ratio_of_medians(pairs: Sequence[tuple[float, float]]) -> float:
    return statistics.median(one for one, _ in pairs) / statistics.median(other for _, other in pairs)


def interval(values: Iterable[float]) -> tuple[float, float] | None:
    """The 95 % interval of a median by ranks, whatever the distribution; None for too few values to have one."""
    ordered = sorted(values)
    n = len(ordered)
    outside, dropped = 0.0, -1
    while outside <= 0.025:
        dropped += 1
        outside += math.comb(n, dropped) / 2**n
    return (ordered[dropped - 1], ordered[n - dropped]) if dropped else None


def environment() -> dict[str, object]:
    """Where this was measured."""
    facts: dict[str, object] = {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
    }
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        facts["processor"] = next(one.partition(":")[2].strip() for one in lines if one.startswith("model name"))
    return facts


def main(name: str, measure: Callable[..., list[Figure]]) -> None:
    """Run a script: parse its arguments, measure, write the object or the lines; ends the process.

    ``measure`` takes ``quick``, and ``only`` too if it has a parameter of that name: a predicate over figures' names.
    """
    parser = argparse.ArgumentParser(description=(sys.modules["__main__"].__doc__ or "").strip())
    parser.add_argument("--quick", action="store_true", help="the same figures from fewer repeats, within 50 s")
    parser.add_argument("--json", metavar="FILE", help="write the figures there; - is standard output")
    parser.add_argument("--only", metavar="TEXT", default="", help="only figures whose name contains this")
    given = parser.parse_args()

    def wanted(figure: str) -> bool:
        return given.only in figure

    keywords = {"only": wanted} if "only" in inspect.signature(measure).parameters else {}
    before = environment()
    with contextlib.redirect_stdout(sys.stderr):  # what is measured may print; the object stands alone
        figures = [one for one in measure(given.quick, **keywords) if wanted(one.name)]
    document = {
        "benchmark": name,
        "figures": {one.name: one.to_json() for one in figures},
        "environment": {**before, **({"left_out": _MISSING} if _MISSING else {})},
    }
    text = json.dumps(document, indent=1)
    if given.json == "-":
        print(text)
    else:
        if given.json:
            Path(given.json).write_text(text + "\n", encoding="utf-8")
        for one in figures:
            print(one.line())
    sys.exit(0)
