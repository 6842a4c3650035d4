"""What stands on a pull request or a CI page? The figures as a Markdown table, under the size that such pages take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_netbench.report import verdicts
from pytest_netbench.report.headline import first_line, headline, rounds
from pytest_netbench.result.model import SessionRecord, TestRecord
from pytest_netbench.result.store import write_whole
from pytest_netbench.result.words import count, show, show_all

LARGEST = 60_000
"""Bytes: a comment on a pull request takes 65,536 characters."""

LARGEST_VERDICTS = 20_000
"""Bytes that the verdicts may take of that."""

LARGEST_NOTES = 10_000
"""The same of notes."""

LONGEST = 500
"""Characters of a text that somebody else wrote."""

_NO_MENTION = "\N{ZERO WIDTH SPACE}"
_HEAD = ("| test | rounds | figure | median | 95 % interval |", "| --- | ---: | --- | ---: | ---: |")


def write(session: SessionRecord, path: Path) -> None:
    """Write ``summary.md``.

    :raises ResultsError: if it can't be written.
    """
    write_whole(path, render(session).encode())


def render(session: SessionRecord) -> str:
    """The summary; tests that don't fit any more are counted, those that didn't pass stand first."""
    head = [f"### netbench: {_outcomes(session)}", "", *_HEAD]
    said = list(_notes(session, LARGEST_NOTES))
    verdict_lines = list(_verdicts(session, LARGEST_VERDICTS))
    size, left = sum(len(line.encode()) + 1 for line in (*head, *said, *verdict_lines)), 0
    body: list[str] = []
    for test in sorted(session.tests, key=lambda one: one.outcome in {"passed", "skipped"}):
        lines = list(_lines(test))
        more = sum(len(line.encode()) + 1 for line in lines)
        if size + more > LARGEST:
            left += 1
            continue
        size += more
        body += lines
    tail = [f"\n{count(left, 'more test')} in `results.json`"] if left else []
    return "\n".join([head[0], *verdict_lines, *head[1:], *body, *tail, *said]) + "\n"


def _notes(session: SessionRecord, room: int) -> Iterator[str]:
    """What a reader must know of the session and of hosts, as far as there is room."""
    of_hosts = sorted({test.note for test in session.tests if test.note and test.rounds})
    for note in (*session.notes[:20], *of_hosts[:5]):
        text = f"\n> {_cell(note)[:LONGEST]}"
        room -= len(text.encode()) + 1
        if room < 0:
            return
        yield text


def _verdicts(session: SessionRecord, room: int) -> Iterator[str]:
    """The verdicts as a table of their own, above the figures; the gravest first."""
    tests = verdicts.judged(session)
    if not tests:
        return
    yield ""
    yield "| verdict | test | metric | change | 95 % interval | pairs | why |"
    yield "| --- | --- | --- | ---: | ---: | ---: | --- |"
    for number, test in enumerate(tests):
        for row in verdicts.rows(verdicts.gated(test)):
            words = (f"**{row.state}**", _cell(test.nodeid), _cell(row.name), row.effect, row.interval, row.pairs)
            text = f"| {' | '.join(words)} | {_cell(row.reason)[:LONGEST]} |"
            room -= len(text.encode()) + 1
            if room < 0:
                yield f"\n{count(len(tests) - number, 'more verdict')} in `results.json`"
                return
            yield text
    repeats = [test.comparison.repeat for test in tests if test.comparison and test.verdict in verdicts.TELLING]
    for command in [one for one in repeats if one][:3]:
        yield f"\nrepeat: `{' '.join(command.replace('`', '').split())[:LONGEST]}`"


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
    """Text that can't end its cell, nor become a link, a mention or HTML; a mention isn't stopped by a backslash."""
    for mark in "\\`*_{}[]<>|#&":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split()).replace("@", f"@{_NO_MENTION}")
