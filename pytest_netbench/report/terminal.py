"""What does a terminal show at the end? A table of the figures; with more said, each round."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_netbench.report import verdicts
from pytest_netbench.report.headline import first_line, headline, rounds
from pytest_netbench.result.model import Interval, SessionRecord, TestRecord
from pytest_netbench.result.words import show, show_all

MEDIAN, INTERVAL, NARROWEST = 12, 24, 16
"""Characters of the columns; of the name's, at least."""


def lines(session: SessionRecord, width: int, *, verbose: bool = False) -> list[str]:
    """The table's lines, in plain text; with ``verbose`` followed by each round's numbers.

    A test has a line of its own, then a line a figure; what made a round invalid, and the verdicts, follow all of them.
    """
    figure = max((len(name) for test in session.tests for name in headline(test)), default=0)
    figure = min(figure, max(width - MEDIAN - INTERVAL - 4, NARROWEST))
    made = [_line("", "median", "95 % interval", figure)]
    for test in session.tests:
        how = f"{rounds(test)} round{'s' * (len(test.rounds) != 1)}" if test.rounds else test.outcome
        made.append(f"{test.nodeid}  ({how})" + (f"  {test.cost}" if test.cost else ""))
        for name, one in headline(test).items():
            line = _line(name, show(one.median, one.unit), _interval(one.ci, one.unit), figure)
            made.append(f"{line}  ({one.note})" if one.note else line)
    made += [line for test in session.tests for line in _invalid(test)]
    made += verdicts.lines(session)
    made += session.notes
    if verbose:
        made += [line for test in session.tests for line in _rounds(test)]
    return made


def _line(name: str, median: str, interval: str, figure: int) -> str:
    return f"  {name:{figure}}  {median:>{MEDIAN}}  {interval:>{INTERVAL}}".rstrip()


def _interval(ci: Interval | None, unit: str) -> str:
    return "" if ci is None else show_all((ci.low, ci.high), unit, " .. ")


def _invalid(test: TestRecord) -> Iterator[str]:
    for one in test.rounds:
        if not one.valid:
            yield f"{test.nodeid} round {one.index} doesn't count: {'; '.join(map(first_line, one.validity))}"


def _rounds(test: TestRecord) -> Iterator[str]:
    for one in test.rounds:
        known = [(name, test.summary[name].unit) for name in headline(test) if name in one.metrics]
        figures = ", ".join(f"{name} {show(one.metrics[name], unit)}" for name, unit in known)
        yield f"{test.nodeid} round {one.index}: {figures or 'no figures'} ({one.logs})"
