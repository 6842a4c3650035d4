"""What stands in the result folder? Results, report, summary, ledger and logs of one session."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.drivers.version import version_of
from pytest_netbench.errors import DriverMissing
from pytest_netbench.gate.arms import MARK
from pytest_netbench.result.model import SessionRecord

if TYPE_CHECKING:
    from pytest_netbench.result.model import TestRecord
    from pytest_netbench.session.session import Session

CURVE_POINTS = 40
"""Points of a round's trace that the report is drawn from; the figures themselves come from all samples."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One test's record, and where its logs (``staging``) and the ledger of its hosts stand meanwhile.

    ``accepted``: the regressions that tests of its process were told to let pass until then, as they were written.
    """

    record: TestRecord
    staging: str = ""
    ledger: str = ""
    accepted: tuple[str, ...] = ()


def session_record(session: Session, parcels: Iterable[Parcel]) -> SessionRecord:
    """The whole session as results.json has it."""
    from pytest_netbench.result import environment

    tests = tuple(one.record for one in parcels)
    return SessionRecord(
        id=session.run,
        started=session.started,
        provider=session.settings.provider,
        versions={**environment.versions(), **_libraries(session, tests)},
        environment=environment.environment(),
        tests=tests,
    )


def _libraries(session: Session, tests: Iterable[TestRecord]) -> dict[str, str]:
    """What is inside the drivers that were run, also those of arms: without it, a figure says nothing of a library."""
    used = {name for test in tests if test.rounds for name in re.split(r"[/+]", test.driver)}
    found: dict[str, str] = {}
    for name in sorted(used | {name for name in session.drivers if MARK in name}):
        with suppress(DriverMissing):  # arms had other builds of it
            found[f"driver {name}"] = version_of(session.driver(name))
    return found


def thinned(record: TestRecord) -> TestRecord:
    """The record with a short curve in the place of each trace's samples, which may be millions."""
    return replace(
        record,
        rounds=tuple(
            replace(one, samples={}, curves={name: curve(values) for name, values in one.samples.items()})
            for one in record.rounds
        ),
    )


def curve(values: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    """Percentiles and values, as evenly spaced towards the tail as 90, 99 and 99.9 % are."""
    ordered, count = sorted(values), len(values)
    if count <= 1:
        return tuple((0.0, value) for value in ordered)
    shares = (1 - count ** (-index / (CURVE_POINTS - 1)) for index in range(CURVE_POINTS))
    ranks = dict.fromkeys(min(count - 1, int(share * count)) for share in shares)
    return tuple((rank / count, ordered[rank]) for rank in ranks)


class Folder:
    """The result folder: what of ours stands in it is replaced, nothing else is touched."""

    OURS = ("results.json", "report.html", "summary.md", "ledger.jsonl", "runs")

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """Find out before anything is started whether results can be written.

        :raises NetbenchError: names the folder and what the system said.
        """
        from pytest_netbench.result.store import write_whole

        existed, probe = self.path.exists(), self.path / ".netbench-probe"
        write_whole(probe, b"")
        probe.unlink()
        if not existed:
            self.path.rmdir()

    def clear(self) -> None:
        """Remove an earlier run's files of our names."""
        for name in self.OURS:
            place = self.path / name
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)

    def take_logs(self, parcel: Parcel) -> None:
        """Move the logs of one test in."""
        source = Path(parcel.staging) if parcel.staging else None
        if source is not None and source.is_dir():
            (self.path / "runs").mkdir(parents=True, exist_ok=True)
            shutil.move(source, self.path / "runs" / source.name)

    def write(self, record: SessionRecord, parcels: Iterable[Parcel]) -> None:
        """Write everything that is made from the records.

        :raises NetbenchError: if the disk is full or the folder can't be written to.
        """
        from pytest_netbench.report import html, markdown
        from pytest_netbench.result import store

        store.write(record, self.path / "results.json")
        html.write(record, self.path / "report.html")
        markdown.write(record, self.path / "summary.md")
        ledgers = dict.fromkeys(Path(one.ledger) for one in parcels if one.ledger)
        lines = b"".join(path.read_bytes() for path in ledgers if path.is_file())
        store.write_whole(self.path / "ledger.jsonl", lines)
