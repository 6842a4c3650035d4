"""What does a terminal show at the end? A table of the figures, as wide as it fits; with more said, each round."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

from pytest_netbench.report.headline import headline, rounds
from pytest_netbench.result.model import Interval, SessionRecord, TestRecord
from pytest_netbench.result.words import show, show_all

NARROWEST = 60


def lines(session: SessionRecord, width: int, *, verbose: bool = False) -> list[str]:
    """The table's lines, in plain text; with ``verbose`` followed by each round's numbers and what made it invalid."""
    made = _table(session, max(width, NARROWEST))
    made += [line for test in session.tests for line in _invalid(test)]
    if verbose:
        made += [line for test in session.tests for line in _rounds(test)]
    return made


def _table(session: SessionRecord, width: int) -> list[str]:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("test", overflow="fold", ratio=2)
    table.add_column("rounds", justify="right", no_wrap=True)
    table.add_column("figure", overflow="fold")
    table.add_column("median", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    for test in session.tests:
        for cells in _rows(test):
            table.add_row(*cells)
    text = StringIO()
    Console(file=text, width=width, color_system=None, markup=False, highlight=False, emoji=False).print(table)
    return [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]


def _rows(test: TestRecord) -> Iterator[tuple[str, ...]]:
    found = headline(test)
    if not found:
        yield test.nodeid, rounds(test) if test.rounds else "-", test.outcome, "", ""
    for index, (name, one) in enumerate(found.items()):
        first = (test.nodeid, rounds(test)) if index == 0 else ("", "")
        yield *first, name, show(one.median, one.unit), _interval(one.ci, one.unit)


def _interval(ci: Interval | None, unit: str) -> str:
    return "" if ci is None else show_all((ci.low, ci.high), unit, " .. ")


def _invalid(test: TestRecord) -> Iterator[str]:
    for one in test.rounds:
        if not one.valid:
            yield f"{test.nodeid} round {one.index} doesn't count: {'; '.join(one.validity)}"


def _rounds(test: TestRecord) -> Iterator[str]:
    for one in test.rounds:
        known = [(name, test.summary[name].unit) for name in headline(test) if name in one.metrics]
        figures = ", ".join(f"{name} {show(one.metrics[name], unit)}" for name, unit in known)
        yield f"{test.nodeid} round {one.index}: {figures or 'no figures'} ({one.logs})"
