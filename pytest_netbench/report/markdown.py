"""What stands on a pull request or a CI page? The figures as a Markdown table, under the size that such pages take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_netbench.report.headline import first_line, headline, rounds
from pytest_netbench.result.model import SessionRecord, TestRecord
from pytest_netbench.result.store import write_whole
from pytest_netbench.result.words import count, show, show_all

LARGEST = 60_000
"""Bytes: a comment on a pull request takes 65,536 characters."""

LONGEST = 500
"""Characters of a text that somebody else wrote."""

_HEAD = ("| test | rounds | figure | median | 95 % interval |", "| --- | ---: | --- | ---: | ---: |")


def write(session: SessionRecord, path: Path) -> None:
    """Write ``summary.md``.

    :raises ResultsError: if it can't be written.
    """
    write_whole(path, render(session).encode())


def render(session: SessionRecord) -> str:
    """The summary; tests that don't fit any more are counted, those that didn't pass stand first."""
    head = [f"### netbench: {_outcomes(session)}", "", *_HEAD]
    size, left = sum(len(line.encode()) + 1 for line in head), 0
    body: list[str] = []
    for test in sorted(session.tests, key=lambda one: one.outcome in {"passed", "skipped"}):
        lines = list(_lines(test))
        more = sum(len(line.encode()) + 1 for line in lines)
        if size + more > LARGEST:
            left += 1
            continue
        size += more
        body += lines
    notes = sorted({test.note for test in session.tests if test.note and test.rounds})
    tail = [f"\n{count(left, 'more test')} in `results.json`"] if left else []
    return "\n".join([*head, *body, *tail, *(f"\n> {_cell(note)[:LONGEST]}" for note in notes[:5])]) + "\n"


def _outcomes(session: SessionRecord) -> str:
    words = dict.fromkeys(test.outcome for test in session.tests)
    return ", ".join(f"{sum(test.outcome == word for test in session.tests)} {word}" for word in words) or "no tests"


def _lines(test: TestRecord) -> Iterator[str]:
    name = _cell(test.nodeid)
    found = headline(test)
    if not found:
        yield f"| {name} | {rounds(test) if test.rounds else ''} | {_cell(test.outcome)} | | |"
    for index, (metric, one) in enumerate(found.items()):
        first = (name, rounds(test)) if index == 0 else ("", "")
        interval = "" if one.ci is None else show_all((one.ci.low, one.ci.high), one.unit, " .. ")
        yield f"| {first[0]} | {first[1]} | {_cell(metric)} | {show(one.median, one.unit)} | {interval} |"
    for one_round in test.rounds:
        if not one_round.valid:
            reasons = _cell("; ".join(map(first_line, one_round.validity)))[:LONGEST]
            yield f"| | | round {one_round.index} doesn't count: {reasons} | | |"


def _cell(text: str) -> str:
    """Text that can't end its cell, nor become a link, a mention or HTML."""
    for mark in "\\`*_{}[]<>|@#":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
