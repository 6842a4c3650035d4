"""What is one metric of a test? A number that compares as a float, and shows where it comes from when it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, SupportsFloat

from pytest_netbench.errors import TooFewSamples
from pytest_netbench.result.model import Better, Interval, Round, Summary
from pytest_netbench.result.stats import LEAST_FOR_INTERVAL
from pytest_netbench.result.words import count, show, show_all

_FEW = 8  # so many rounds are shown one by one in one line


@dataclass(frozen=True, slots=True, repr=False)
class Metric:
    """One metric over the valid rounds of one arm.

    ``rounds``: those that gave it; ``invalid``: those that don't count, of the same arm. ``folder``: the result folder.
    """

    name: str
    summary: Summary
    rounds: tuple[Round, ...]
    invalid: tuple[Round, ...] = ()
    folder: str = ""

    @property
    def value(self) -> Value:
        """The median over valid rounds, in SI base units."""
        return Value(self.summary.median, self)

    @property
    def ci(self) -> Interval:
        """The 95 % interval of the median over rounds, ``.low`` and ``.high``.

        :raises TooFewSamples: below 3 valid rounds.
        """
        interval = self.summary.ci
        if interval is None:
            raise TooFewSamples(
                f"the interval of {self.name} needs {LEAST_FOR_INTERVAL} valid rounds, there are {self.n}: "
                f"raise rounds= or --netbench-rounds{self._excuse()}"
            )
        low, high = (Value(end, self, f"ci.{word}") for end, word in ((interval.low, "low"), (interval.high, "high")))
        return Interval(low, high)

    @property
    def n(self) -> int:
        """How many valid rounds gave it."""
        return self.summary.n

    @property
    def unit(self) -> str:
        """The SI unit: ``s``, ``B``, ``B/s``, ``s/B``, or ``1`` for a pure number."""
        return self.summary.unit

    @property
    def better(self) -> Better:
        """In which direction it improves."""
        return self.summary.better

    @property
    def whole_process(self) -> bool:
        """Whether it covers the drivers' whole run, their start included: then no limit holds on it."""
        return any(self.name in one.whole_process for one in self.rounds)

    @property
    def by_round(self) -> tuple[float, ...]:
        """Its value in each valid round."""
        return tuple(one.metrics[self.name] for one in self.rounds)

    @property
    def logs(self) -> str:
        """The folder that keeps what the rounds left; empty where none is kept."""
        folders = [one.logs for one in (*self.rounds, *self.invalid) if one.logs]
        if not folders:
            return ""
        inner = folders[0] if len(set(folders)) == 1 else folders[0].rpartition("/")[0]
        return "/".join(part for part in (self.folder, inner) if part)

    def spread(self) -> str:
        """The rounds' values in one line; of many, the smallest and the largest."""
        values = self.by_round
        if len(values) <= _FEW:
            return show_all(values, self.unit)
        return f"{count(len(values), 'round')} from {show(min(values), self.unit)} to {show(max(values), self.unit)}"

    def lines(self) -> list[str]:
        """Where the number comes from: interval, rounds, those that don't count and why, logs; for a failure's text."""
        kind = f" ({self.summary.note})" if self.summary.note else ""
        ci = self.summary.ci
        interval = "" if ci is None else f", 95 % interval {show_all((ci.low, ci.high), self.unit, between=' to ')}"
        made = [f"{self.name}{kind}: median of {count(self.n, 'valid round')}{interval}", f"rounds: {self.spread()}"]
        made += [f"round {one.index} doesn't count: {'; '.join(one.validity)}" for one in self.invalid[:_FEW]]
        if len(self.invalid) > _FEW:
            made.append(f"... and {len(self.invalid) - _FEW} more rounds that don't count")
        return [*made, f"logs: {self.logs}"] if self.logs else made

    def _excuse(self) -> str:
        return f" ({count(len(self.invalid), 'round')} did not count)" if self.invalid else ""

    def __str__(self) -> str:
        return f"{self.name} = {show(self.summary.median, self.unit)}"

    def __repr__(self) -> str:
        logs = f", logs {self.logs}" if self.logs else ""
        return f"<{self}, median of {count(self.n, 'round')}: {self.spread()}{logs}>"


class Value(float):
    """A float in every way, but for its ``repr``, which says what it is and where it comes from.

    pytest shows that in the text of a failing assertion. Arithmetic gives plain floats. ``end``: ``ci.low`` or
    ``ci.high`` for an end of the interval, empty for the median.
    """

    __slots__ = ("end", "metric")

    metric: Metric
    end: str

    def __new__(cls, number: SupportsFloat, metric: Metric, end: str = "") -> Self:  # noqa: D102 - the class says it
        made = super().__new__(cls, number)
        made.metric, made.end = metric, end
        return made

    def __repr__(self) -> str:
        return f"<{self.words()}, median of {count(self.metric.n, 'round')}: {self.metric.spread()}>"

    def words(self) -> str:
        """What it is, and the number for people: ``goodput 91 MB/s``, ``goodput ci.low 82 MB/s``."""
        name = " ".join(part for part in (self.metric.name, self.end) if part)
        return f"{name} {show(float(self), self.metric.unit)}"

    __str__ = float.__repr__

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)


def compare_lines(op: str, left: object, right: object) -> list[str] | None:
    """What pytest shows for a failing comparison with a metric's value, for ``pytest_assertrepr_compare``; or None.

    The first line has both numbers in units for people, the next ones the rounds, and where the logs are.
    """
    values = [one for one in (left, right) if isinstance(one, Value)]
    if not values or not all(isinstance(one, (int, float)) for one in (left, right)):
        return None
    unit = values[0].metric.unit
    shown = [_said(one, unit) for one in (left, right)]
    numbers = [show(_float(one), unit) for one in (left, right)]
    made = [f"{shown[0]} {op} {shown[1]}"]
    if numbers[0] == numbers[1] or unit == "1":
        made.append(f"exactly: {_float(left)!r} {op} {_float(right)!r}")
    seen: set[str] = set()
    for value in values:
        if value.metric.name not in seen:
            seen.add(value.metric.name)
            made += value.metric.lines()
    return made


def _said(one: object, unit: str) -> str:
    return one.words() if isinstance(one, Value) else show(_float(one), unit)


def _float(one: object) -> float:
    assert isinstance(one, SupportsFloat)
    return float(one)
