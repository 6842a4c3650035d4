"""What does a test get from a run? Its metrics by name, its samples, its rounds, and the ways to assert on them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_netbench.errors import NetbenchWarning, RunError, TooFewSamples, UnknownMetric, UsageError, nearest
from pytest_netbench.gate.mode import Mode
from pytest_netbench.result.catalogue import CATALOGUE
from pytest_netbench.result.metric import Metric, Value, compare_lines
from pytest_netbench.result.model import Comparison, MetricVerdict, Round, Summary, Verdict
from pytest_netbench.result.summary import counting, of_arm, summarise, too_few
from pytest_netbench.result.words import count, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_netbench.gate import Gate

__all__ = ["Metric", "Result", "Value", "compare_lines"]


@dataclass
class Result:
    """What came out of the rounds of one test; ``netbench.run()`` returns it.

    ``result[NAME]`` is a :class:`Metric`. ``rounds``: all rounds of both arms, also those that don't count.
    ``folder``: the result folder, to which the rounds' ``logs`` are relative. ``verdict`` and ``reason`` are the
    gate's, ``verdicts`` those of each metric, ``comparison`` says how the arms were run; without a reference there is
    no verdict. ``asked``: whether the test has asked for it by ``no_regression()``.
    """

    rounds: tuple[Round, ...]
    gates: Mapping[str, Gate] = field(default_factory=lambda: MappingProxyType({}))
    folder: str = ""
    reference: bool = False
    verdict: Verdict = Verdict.NONE
    reason: str = ""
    mode: Mode = Mode.WARN
    verdicts: Mapping[str, MetricVerdict] = field(default_factory=lambda: MappingProxyType({}))
    comparison: Comparison | None = None
    asked: bool = field(default=False, repr=False)
    summary: Mapping[str, Summary] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.summary = MappingProxyType(summarise(self.rounds, reference=self.reference))

    @property
    def valid(self) -> tuple[Round, ...]:
        """The rounds that count."""
        return counting(self.rounds, reference=self.reference)

    @property
    def invalid(self) -> tuple[Round, ...]:
        """The rounds that don't count; each says why in ``validity``."""
        return tuple(one for one in of_arm(self.rounds, reference=self.reference) if not one.valid)

    @property
    def ref(self) -> Result:
        """The reference's results, where two arms were run.

        :raises RunError: if there is no reference.
        """
        if not of_arm(self.rounds, reference=True):
            raise RunError("this run has no reference: only its own rounds were run")
        return Result(self.rounds, self.gates, self.folder, reference=True, mode=self.mode)

    def __getitem__(self, name: str) -> Metric:
        """One metric.

        :raises UnknownMetric: if the rounds didn't give it; names those that they gave.
        :raises TooFewSamples: for a percentile that the pooled samples can't carry.
        :raises RunError: if no round counts; says why, round by round.
        """
        __tracebackhide__ = True
        valid = self.valid
        if not valid:
            raise RunError(self._nothing_counts(name))
        if name in self.summary:
            giving = tuple(one for one in valid if name in one.metrics)
            return Metric(name, self.summary[name], giving, self.invalid, self.folder)
        if any(name in one.metrics for one in valid):
            raise TooFewSamples(too_few(valid, name) or f"{name} can't be had from these samples")
        if name in CATALOGUE and "TRACE" not in name:
            raise UnknownMetric(
                f"these rounds gave no {name!r} ({CATALOGUE[name].meaning}): the driver doesn't tell what it is made "
                f"of, or the scenario doesn't do that; there are: {', '.join(sorted(self.summary))}"
            )
        raise UnknownMetric(f"unknown metric {name!r}: {nearest(name, self.summary)}")

    def __contains__(self, name: object) -> bool:
        return name in self.summary

    def __iter__(self) -> Iterator[str]:
        return iter(self.summary)

    def samples(self, trace: str) -> tuple[float, ...]:
        """All samples of a trace, or of ``connect``, over the valid rounds, in seconds, round by round.

        :raises UnknownMetric: if no round took samples of that name; names those that there are.
        :raises RunError: if no round counts.
        """
        __tracebackhide__ = True
        valid = self.valid
        if not valid:
            raise RunError(self._nothing_counts(trace))
        known = dict.fromkeys(name for one in valid for name in one.samples)
        if trace not in known:
            raise UnknownMetric(f"no samples of {trace!r}: {nearest(trace, known)}")
        return tuple(sample for one in valid for sample in one.samples.get(trace, ()))

    def expect(self, name: str, *, above: float | None = None, below: float | None = None) -> None:
        """Fail with a whole sentence unless the metric's value lies strictly above, or below, or between.

        :raises AssertionError: with value, bound, rounds, and where the logs are.
        :raises UsageError: without a bound.
        """
        __tracebackhide__ = True
        if above is None and below is None:
            raise UsageError(f"expect({name!r}) needs above= or below=, in SI base units")
        metric = self[name]
        for bound, word, holds in (
            (above, "above", above is None or metric.value > above),
            (below, "below", below is None or metric.value < below),
        ):
            if bound is not None and not holds:
                numbers = f"{show(metric.value, metric.unit)}, expected {word} {show(bound, metric.unit)}"
                raise AssertionError("\n  ".join([f"{name} is {numbers}", *metric.lines()]))

    def judge(self, verdicts: Mapping[str, MetricVerdict], comparison: Comparison | None) -> None:
        """Take what the gate made of it."""
        from pytest_netbench.gate.failure import reason
        from pytest_netbench.gate.verdict import of_test

        self.verdicts, self.comparison = MappingProxyType(dict(verdicts)), comparison
        self.verdict = of_test(verdicts.values())
        self.reason = reason(self.verdict, self.verdicts, comparison)

    def no_regression(self) -> Verdict:
        """Fail if a gated metric got worse than its reference; without a reference, say so and pass as ``none``.

        What could not be decided passes with a warning, and fails with ``--netbench-gate strict``.

        :raises AssertionError: says what got worse, on which side, by how much, and how to repeat it.
        :raises RunError: if no round counts: then nothing can be said.
        """
        __tracebackhide__ = True
        self.asked = True
        if self.verdict is Verdict.NONE and not self.verdicts:
            if not self.valid:
                raise RunError(self._nothing_counts("no_regression()"))
            self.reason = f"no reference to compare {', '.join(self.gates) or 'any metric'} with"
        if self._fails:
            from pytest_netbench.gate.failure import failure

            raise AssertionError(failure(self.verdicts, self.comparison, self.rounds, self.folder))
        if self.mode is not Mode.OFF and self.verdict is Verdict.INCONCLUSIVE:
            warnings.warn(NetbenchWarning(f"inconclusive: {self.reason}"), stacklevel=2)
        return self.verdict

    @property
    def _fails(self) -> bool:
        failing = {Verdict.FAIL, Verdict.INVALID} | ({Verdict.INCONCLUSIVE} if self.mode is Mode.STRICT else set())
        return self.mode is not Mode.OFF and self.verdict in failing

    @property
    def unasked(self) -> str:
        """What to warn of: a verdict that fails a test, for which this one never asked; empty if there is none."""
        if self.asked or not self._fails:
            return ""
        return f"{self.verdict.value}, but no test fails by it without .no_regression(): {self.reason}"

    def lines(self) -> list[str]:
        """The result for people: one line a metric, then the rounds that don't count."""
        width = max((len(name) for name in self.summary), default=0)
        made = [f"{name:{width}}  {_line(one)}" for name, one in self.summary.items()]
        made += dict.fromkeys(one for valid in self.valid for one in valid.untold)
        return made + [f"round {one.index} doesn't count: {'; '.join(one.validity)}" for one in self.invalid]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return f"<Result of {count(len(self.valid), 'valid round')}, {count(len(self.summary), 'metric')}>"

    def _nothing_counts(self, name: str) -> str:
        invalid = self.invalid
        reasons = [f"round {one.index}: {'; '.join(one.validity)}" + self._logs(one) for one in invalid]
        head = f"{name} can't be had: none of {count(len(invalid), 'round')} counts"
        return "\n  ".join([head, *reasons]) if invalid else f"{name} can't be had: no round was run"

    def _logs(self, one: Round) -> str:
        where = "/".join(part for part in (self.folder, one.logs) if part and one.logs)
        return f" (logs: {where})" if where else ""


def _line(one: Summary) -> str:
    interval = "" if one.ci is None else f"  [{show(one.ci.low, one.unit)} .. {show(one.ci.high, one.unit)}]"
    note = f"  ({one.note})" if one.note else ""
    return f"{show(one.median, one.unit)}{interval}  n={one.n}{note}"
