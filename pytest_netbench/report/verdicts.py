"""What is said of verdicts in a report? A line a gated metric, the gravest first, and what stands out beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_netbench.gate.verdict import GRAVITY
from pytest_netbench.gate.words import change, line, percent, signed
from pytest_netbench.result.model import MetricVerdict, SessionRecord, TestRecord, Verdict

TELLING = frozenset({Verdict.FAIL, Verdict.INVALID, Verdict.INCONCLUSIVE})
"""The verdicts of which a reader has to know."""


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """A line of a table of verdicts, in words. ``state`` is ``not gated`` for an advisory figure."""

    name: str
    state: str
    effect: str
    interval: str
    pairs: str
    detectable: str
    reason: str


def judged(session: SessionRecord) -> list[TestRecord]:
    """The tests that have a verdict, the gravest first."""
    found = [test for test in session.tests if gated(test)]
    return sorted(found, key=lambda test: GRAVITY.index(test.verdict))


def gated(test: TestRecord) -> dict[str, MetricVerdict]:
    """The verdicts of a test's gated metrics, the gravest first."""
    found = {name: one for name, one in test.verdicts.items() if one.gated}
    return dict(sorted(found.items(), key=lambda item: GRAVITY.index(item[1].state)))


def lines(session: SessionRecord) -> list[str]:
    """The verdicts in plain text: a line a test, a line a metric."""
    made: list[str] = []
    for test in judged(session):
        arms = f" ({test.comparison.cand} against {test.comparison.ref})" if test.comparison is not None else ""
        made.append(f"{test.nodeid}: {test.verdict.value}{arms}")
        made += [f"  {line(name, one)}" for name, one in gated(test).items()]
    return made


def rows(verdicts: Mapping[str, MetricVerdict]) -> list[VerdictRow]:
    """Verdicts in words."""
    return [
        VerdictRow(
            name=name,
            state=one.state.value if one.gated else "not gated",
            effect="" if one.effect is None else change(one.effect),
            interval="" if one.interval is None else f"{signed(one.interval.low)} .. {signed(one.interval.high)}",
            pairs=str(one.n or ""),
            detectable="" if one.detectable is None else percent(one.detectable),
            reason=one.reason,
        )
        for name, one in verdicts.items()
    ]


def stale_notes(texts: Iterable[str]) -> tuple[str, ...]:
    """What is said of acceptances that nothing needed."""
    return tuple(f"stale: nothing needed to be accepted by `{text}`" for text in texts)


def properties(test: TestRecord) -> list[tuple[str, str]]:
    """The verdicts as properties of a JUnit test case."""
    made: list[tuple[str, str]] = []
    if test.verdicts:
        made.append(("netbench.verdict", test.verdict.value))
    for name, one in gated(test).items():
        head = f"netbench.{name}"
        made.append((f"{head}.verdict", one.state.value))
        numbers = {
            "effect": one.effect,
            "p": one.p,
            "detectable": one.detectable,
            "required": one.required,
            "e_value": one.evidence,
        }
        made += [(f"{head}.{key}", f"{value:.6g}") for key, value in numbers.items() if value is not None]
        if one.interval is not None:
            made.append((f"{head}.ci", f"{one.interval.low:.6g} {one.interval.high:.6g}"))
        made += [(f"{head}.n", str(one.n)), (f"{head}.reason", one.reason)]
    return made
