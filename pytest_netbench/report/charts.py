"""Which charts does a session have? Rows of numbers for the templates that were made when the package was built."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from pytest_netbench.report.headline import headline
from pytest_netbench.result.model import Round, SessionRecord, TestRecord
from pytest_netbench.result.words import prefix

ASSETS = Path(__file__).parent / "assets"
TRACES = 4
"""Distributions shown of one test: those of its outermost traces."""
DIGITS = 4
"""Significant digits of a number in a chart."""


class Kind(Enum):
    """Which template; the value is its name among the assets."""

    DISTRIBUTION = "distribution"
    ROUNDS = "rounds"
    COMPARISON = "comparison"


_COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    Kind.DISTRIBUTION: ("inverse", "value", "round"),
    Kind.ROUNDS: ("figure", "round", "value", "valid"),
    Kind.COMPARISON: ("test", "median", "low", "high"),
}


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: its template, its words, and its rows in the order of the template's columns."""

    kind: Kind
    title: str
    unit: str
    rows: tuple[tuple[object, ...], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns."""
        return _COLUMNS[self.kind]

    def spec(self) -> dict[str, Any]:
        """The whole Vega-Lite specification."""
        made = _filled(templates()[self.kind.value], {"__TITLE__": self.title, "__UNIT__": self.unit})
        made["datasets"] = {"values": [dict(zip(self.columns, row, strict=True)) for row in self.rows]}
        return dict(made)

    def svg(self) -> str:
        """The chart as a picture."""
        import vl_convert

        return str(vl_convert.vegalite_to_svg(self.spec()))


@cache
def templates() -> dict[str, Any]:
    """The templates by kind."""
    found: dict[str, Any] = json.loads((ASSETS / "templates.json").read_text(encoding="utf-8"))
    return found


def _filled(value: Any, words: Mapping[str, str]) -> Any:  # noqa: ANN401  JSON
    if isinstance(value, dict):
        return {key: _filled(one, words) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, words) for one in value]
    return words.get(value, value) if isinstance(value, str) else value


def of_test(test: TestRecord) -> tuple[Chart, ...]:
    """The charts of one test: distributions of its traces, its figures over the rounds."""
    return (*_distributions(test), *_rounds(test))


def _distributions(test: TestRecord) -> Iterator[Chart]:
    names = dict.fromkeys(name for one in test.rounds if one.valid for name in one.curves)
    by_length = sorted(names, key=lambda name: -_median(test, name))
    for name in by_length[:TRACES]:
        factor, unit = prefix(_median(test, name), "s")
        rows = tuple(
            (_short(1 / (1 - quantile)), _short(value / factor), label)
            for label, one in _drawn(test, name)
            for quantile, value in one.curves.get(name, ())
            if value > 0  # nothing has a place at zero on a logarithmic axis
        )
        if len(rows) > len(test.rounds):  # a point a round is no distribution
            yield Chart(Kind.DISTRIBUTION, name, unit, rows)


def _drawn(test: TestRecord, name: str) -> list[tuple[str, Round]]:
    """The rounds whose distribution is drawn: all of them, or of each arm the one that is in its middle."""
    valid = [one for one in test.rounds if one.valid and name in one.curves]
    arms = sorted({one.arm for one in valid if one.arm is not None}, reverse=True)
    if not arms:
        return [(str(one.index), one) for one in valid]
    by_median = sorted(valid, key=lambda one: one.metrics.get(f"{name}.p50", 0.0))
    of_arm = {arm: [one for one in by_median if one.arm == arm] for arm in arms}
    return [(arm, rounds[len(rounds) // 2]) for arm, rounds in of_arm.items()]


def _median(test: TestRecord, trace: str) -> float:
    known = test.summary.get(f"{trace}.p50")
    return known.median if known else 0.0


def _rounds(test: TestRecord) -> Iterator[Chart]:
    rows: list[tuple[object, ...]] = []
    if len(test.rounds) > 1:
        for name, summary in headline(test).items():
            factor, unit = prefix(summary.median, summary.unit)
            label = f"{name} ({unit})" if unit else name
            rows += [
                (label, one.index, _short(one.metrics[name] / factor), "yes" if one.valid else "no")
                for one in test.rounds
                if name in one.metrics
            ]
    if rows:
        yield Chart(Kind.ROUNDS, "round by round", "", tuple(rows))


def comparisons(session: SessionRecord) -> tuple[Chart, ...]:
    """One chart for each test that ran with several parameters: its first figure, a row a parameter."""
    families: dict[str, list[TestRecord]] = {}
    for test in session.tests:
        if test.summary:
            families.setdefault(re.sub(r"\[.*\]$", "", test.nodeid, flags=re.DOTALL), []).append(test)
    return tuple(_compared(name, tests) for name, tests in families.items() if len(tests) > 1)


def _compared(family: str, tests: Sequence[TestRecord]) -> Chart:
    name, first = next(iter(headline(tests[0]).items()), next(iter(tests[0].summary.items())))
    factor, unit = prefix(first.median, first.unit)
    rows = []
    for test in tests:
        if (one := test.summary.get(name)) is not None:
            low, high = (one.ci.low, one.ci.high) if one.ci else (one.median, one.median)
            label = test.nodeid.removeprefix(family).strip("[]")
            rows.append((label, *(_short(value / factor) for value in (one.median, low, high))))
    return Chart(Kind.COMPARISON, f"{family}: {name}", unit, tuple(rows))


def _short(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")
