"""How do records get from where tests ran into the result folder? Hung on reports, gathered by the controller."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_netbench.errors import NetbenchError
from pytest_netbench.session.bridge import BENCH, SESSION, is_ours, pair_of, session_of, spec
from pytest_netbench.session.folder import Folder, Parcel, session_record, thinned

if TYPE_CHECKING:
    from pytest_netbench.hosts.aws.publish import Published
    from pytest_netbench.result.model import SessionRecord, TestRecord

_OUTCOME: pytest.StashKey[str] = pytest.StashKey()
_REASON: pytest.StashKey[str] = pytest.StashKey()


# --- where the test ran ------------------------------------------------------------------------


def attach(item: pytest.Item, report: pytest.TestReport) -> None:
    """Note how each phase ended; after the last, hang the test's record on its report."""
    if report.outcome != "passed" or report.when == "call":
        word: str = "error" if report.failed and report.when != "call" else report.outcome
        if hasattr(report, "wasxfail"):
            word = "xpassed" if report.passed else "xfailed"
        item.stash[_OUTCOME] = word
        if report.skipped and isinstance(report.longrepr, tuple):
            item.stash[_REASON] = str(report.longrepr[2]).removeprefix("Skipped: ")
    if report.when == "call" and BENCH in item.stash and item.config.getoption("htmlpath", None):
        from pytest_netbench.report import pytest_html

        made = pytest_html.extras(thinned(item.stash[BENCH].record()))
        report.extras = [*getattr(report, "extras", []), *made]  # type: ignore[attr-defined]  # pytest-html's own field
    if report.when == "teardown":
        parcel = _parcel(item)
        report.netbench = parcel  # type: ignore[attr-defined]
        if parcel.record.verdicts:
            from pytest_netbench.report import verdicts

            report.user_properties += verdicts.properties(parcel.record)


def passed(item: pytest.Item) -> bool:
    """Whether the test itself, its clean-up aside, has passed."""
    return item.stash.get(_OUTCOME, "") == "passed"


def place_of(report: pytest.TestReport) -> tuple[str, int]:
    """File and line at which a test failed: of the assertion where that is in its own file, else of the test."""
    path, line, _ = report.location
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None and Path(crash.path).name == Path(path).name:
        return path, int(crash.lineno)
    return path, (line or 0) + 1


def skip(item: pytest.Item, report: pytest.TestReport, reason: str) -> None:
    """Make a report that of a skipped test."""
    path, line, _ = item.location
    report.outcome = "skipped"
    report.longrepr = (path, (line or 0) + 1, f"Skipped: {reason}")


def _parcel(item: pytest.Item) -> Parcel:
    session = session_of(item.config)
    bench = item.stash.get(BENCH, None)
    record = bench.record() if bench is not None else _never_ran(item)
    record = replace(
        thinned(record), outcome=item.stash.get(_OUTCOME, "passed"), note=item.stash.get(_REASON, record.note)
    )
    staging = str(bench.staging / bench.plan.folder) if bench is not None else ""
    ledger = str(session.ledger.path) if session.ledger is not None else ""
    return Parcel(record, staging, ledger, tuple(one.text for one in session.accepted))


def _never_ran(item: pytest.Item) -> TestRecord:
    from pytest_netbench.result.model import TestRecord
    from pytest_netbench.session import planning

    scenario = spec(item).scenario
    return TestRecord(
        nodeid=item.nodeid,
        scenario_id=scenario.id if scenario else "",
        scenario_name=str(scenario) if scenario else "",
        driver=planning.label(pair_of(item) or ("", "")),
        provider=session_of(item.config).settings.provider,
        hosts=(),
        outcome="",
        rounds=(),
        summary={},
    )


def pack(parcel: Parcel) -> str:
    """A parcel as text, for the way from an xdist worker to the controller."""
    from pytest_netbench.result import store
    from pytest_netbench.result.model import SessionRecord

    return json.dumps(
        {
            "session": store.session_to_json(SessionRecord("", "", "", {}, {}, (parcel.record,))),
            "curves": [dict(one.curves) for one in parcel.record.rounds],
            "staging": parcel.staging,
            "ledger": parcel.ledger,
            "accepted": list(parcel.accepted),
        }
    )


def unpack(text: str) -> Parcel:
    """The parcel again."""
    from pytest_netbench.result.store import from_json

    whole = json.loads(text)
    (record,) = from_json(whole["session"].encode(), name="a report of an xdist worker").tests
    rounds = tuple(
        replace(one, curves={name: tuple((share, value) for share, value in curve) for name, curve in curves.items()})
        for one, curves in zip(record.rounds, whole["curves"], strict=True)
    )
    return Parcel(replace(record, rounds=rounds), whole["staging"], whole["ledger"], tuple(whole["accepted"]))


# --- in the controller -------------------------------------------------------------------------


class Recorder:
    """Gathers the records of a session and writes the result folder at its end; silent where there are none."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._parcels: list[Parcel] = []
        self._places: dict[str, tuple[str, int]] = {}
        self._cleared = False
        self._written: SessionRecord | None = None
        self._error: NetbenchError | None = None
        self._published: Published | None = None

    @property
    def _folder(self) -> Folder:
        return Folder(session_of(self._config).settings.out)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Where benchmarks will run: check that results can be written, before anything is started."""
        if session.config.option.collectonly or not any(map(is_ours, session.items)):
            return
        try:
            self._folder.check()
        except NetbenchError as error:
            raise pytest.UsageError(str(error)) from error

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a record, and its logs; of a test that fails, where it did."""
        if report.failed:
            self._places[report.nodeid] = place_of(report)
        parcel: Parcel | None = getattr(report, "netbench", None)
        if parcel is None:
            return
        self._parcels.append(parcel)
        try:
            if not self._cleared:
                self._folder.clear()
                self._cleared = True
            self._folder.take_logs(parcel)
        except OSError as error:
            self._error = NetbenchError(f"can't keep logs in {self._folder.path}: {error}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Who ends the run and may not wait is spared the source of every frame, which pytest reads for a second."""
        if SESSION in self._config.stash and self._config.stash[SESSION].hurried:
            excinfo.traceback = excinfo.traceback[-1:]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the folder; a session whose results are lost doesn't end well."""
        if not self._parcels:
            return
        record = session_record(session_of(self._config), self._parcels)
        try:
            record = replace(record, notes=self._notes(record))
        except NetbenchError as error:  # what was measured is written all the same
            self._error = error
        try:
            self._folder.write(record, self._parcels)
            self._config.hook.pytest_netbench_report(config=self._config, session=record)
            self._publish(record)
        except NetbenchError as error:
            self._error = error
        self._written = record
        if self._error is not None and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    def _notes(self, record: SessionRecord) -> tuple[str, ...]:
        """Store a baseline if asked for, and say so; and which acceptances nothing needed."""
        from pytest_netbench.gate import accept, baseline_file
        from pytest_netbench.report.verdicts import stale_notes
        from pytest_netbench.result.words import count

        session = session_of(self._config)
        session.acceptances()
        told = (accept.acceptance(text) for parcel in self._parcels for text in parcel.accepted)
        old = accept.stale(
            session.accepted | dict.fromkeys(told), {test.nodeid: test.verdicts for test in record.tests}
        )
        notes = [*stale_notes(one.text for one in old)]
        if (name := session.settings.save) is not None:
            path = baseline_file.place(session.settings.home, name)
            saved = baseline_file.save(path, record, session.settings.reason or "", session.calibration)
            failed = sum(bool(test.summary) and test.outcome in {"failed", "error"} for test in record.tests)
            though = f", {failed} of which failed" if failed else ""
            notes.append(f"baseline {name}: {count(saved, 'test')} stored in {path}{though}")
        return tuple(notes)

    def _tell_github(self, terminalreporter: pytest.TerminalReporter, record: SessionRecord) -> None:
        """Annotate what failed, where this is a job on GitHub."""
        from pytest_netbench.report import github, markdown

        root, top = self._config.rootpath, os.environ.get("GITHUB_WORKSPACE", "")
        places = {
            nodeid: github.Place(github.from_workspace(file, root, top), line)
            for nodeid, (file, line) in self._places.items()
        }
        if os.environ.get("GITHUB_ACTIONS") == "true":
            terminalreporter.ensure_newline()
            for line in github.commands(record, places):
                terminalreporter.write_line(line)
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            try:
                github.summarise(Path(summary), markdown.render(record))
            except OSError as error:
                terminalreporter.write_line(f"netbench: no summary in {summary}: {error.strerror}", red=True)

    def _publish(self, record: SessionRecord) -> None:
        """To the bucket, where the configuration asks for it; an emulated one ends before anybody could look."""
        section = session_of(self._config).settings.providers.get("aws", {})
        if section.get("publish") and not section.get("emulate"):
            from pytest_netbench.hosts.aws.publish import publish

            self._published = publish(section, record.id, self._folder.path, Folder.OURS)

    def _tell_of_kept_hosts(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Until when, and how they are ended before."""
        from pytest_netbench.hosts.reap import kept_until

        ledger = session_of(self._config).ledger
        if ledger is not None and (until := kept_until(ledger.path)) is not None:
            when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(until))
            terminalreporter.write_line(
                f"netbench: hosts are kept until {when}: `netbench reap {ledger.run}` ends them"
            )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the table and the report's path; with ``-v`` each round, with ``-q`` only what went wrong."""
        if self._error is not None:
            terminalreporter.write_line(f"netbench: {self._error}", red=True)
        self._tell_of_kept_hosts(terminalreporter)
        verbosity = self._config.get_verbosity()
        if self._written is not None:
            self._tell_github(terminalreporter, self._written)
        if self._written is None or verbosity < 0:
            return
        from pytest_netbench.report import terminal

        terminalreporter.section("netbench", sep="=")
        for line in terminal.lines(self._written, width=shutil.get_terminal_size().columns, verbose=verbosity > 0):
            terminalreporter.write_line(line)
        if self._error is None:
            terminalreporter.write_line(f"report: {self._folder.path / 'report.html'}")
        if self._published is not None:
            terminalreporter.write_line(f"published: {self._published.place} ({self._published.files} files)")
            terminalreporter.write_line(f"  {self._published.link}")
