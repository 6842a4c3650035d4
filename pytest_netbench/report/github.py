"""What does a job on GitHub show? Annotations at the lines that failed, and the summary on the job's page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_netbench.gate.verdict import GRAVITY
from pytest_netbench.gate.words import line
from pytest_netbench.report.headline import first_line
from pytest_netbench.report.verdicts import TELLING, gated
from pytest_netbench.result.model import SessionRecord, TestRecord, Verdict
from pytest_netbench.result.words import count

MOST = 10
"""Annotations of one kind that GitHub shows of a step; the last is a roll-up where there are more."""

LARGEST_SUMMARY = 1 << 20
"""Bytes of a step's summary; with more, none is shown."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a test failed."""

    file: str
    line: int


def from_workspace(file: str, root: Path, workspace: str) -> str:
    """A file of pytest's root as annotations name it: from the top of what is checked out, where it is below that."""
    place = root / file
    if workspace and place.is_relative_to(workspace):
        return place.relative_to(workspace).as_posix()
    return file


def commands(session: SessionRecord, places: Mapping[str, Place]) -> list[str]:
    """The workflow commands: at most ten, the gravest first."""
    grave = [test for test in session.tests if test.outcome in {"failed", "error"} or test.verdict in TELLING]
    grave.sort(key=lambda test: (test.outcome not in {"failed", "error"}, GRAVITY.index(test.verdict), -_worst(test)))
    shown = grave if len(grave) <= MOST else grave[: MOST - 1]
    made = [_annotation(test, places.get(test.nodeid)) for test in shown]
    if left := len(grave) - len(shown):
        words = f"{count(left, 'more test')} failed or stayed open: see the summary"
        made.append(f"::error title=netbench::{_data(words)}")
    return made


def _worst(test: TestRecord) -> float:
    """The largest regression among its gated figures."""
    return max((one.effect or 0.0 for one in gated(test).values()), default=0.0)


def _annotation(test: TestRecord, place: Place | None) -> str:
    level = "error" if test.outcome in {"failed", "error"} else "warning"
    where = "" if place is None else f"file={_property(place.file)},line={place.line},"
    title = _property(f"{test.nodeid}: {test.verdict.value if test.verdict is not Verdict.NONE else test.outcome}")
    return f"::{level} {where}title={title}::{_data('; '.join(_words(test)))}"


def _words(test: TestRecord) -> Iterator[str]:
    grave = [line(name, one) for name, one in gated(test).items() if one.state in TELLING]
    yield from grave
    if not grave:
        reasons = [first_line(reason) for one in test.rounds for reason in one.validity]
        yield test.reason or (reasons[0] if reasons else test.note) or test.outcome


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summarise(path: Path, markdown: str) -> None:
    """Append the summary to that of the step, if it still fits.

    :raises OSError: if it can't be written.
    """
    with path.open("a", encoding="utf-8") as file:
        if file.tell() + len(markdown.encode()) <= LARGEST_SUMMARY:
            file.write(markdown)
