"""How do several processes serve one address? Each with a socket of its own; their reports become one.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

from pytest_netbench.drivers.builtin.ending import DriverError, Failed, Status, Stopped
from pytest_netbench.drivers.builtin.recorder import Recorder
from pytest_netbench.drivers.builtin.signals import Signals
from pytest_netbench.errors import RunError
from pytest_netbench.telemetry.model import CpuScope, CpuUse, DriverReport, Held, Load
from pytest_netbench.telemetry.report_json import load, write

_Value = TypeVar("_Value")
_PR_SET_PDEATHSIG = 1

Serve: TypeAlias = Callable[[int, Callable[[], None]], Recorder]
"""Carries out the process of that number, calls the second when it is up, and gives what it has seen."""


class Pool:
    """Processes that serve until a signal comes. ``report``: of all of them, once they have ended."""

    def __init__(self) -> None:
        self._children: dict[int, int] = {}
        self._reports: list[DriverReport] = []
        self._problems: list[str] = []

    def run(self, processes: int, serve: Serve, ready: Callable[[], None]) -> None:
        """Start them, wait for the signal that ends them; ``ready`` is called when all serve.

        :raises Stopped: when the signal has come to this process, and they have ended.
        :raises Failed: if one ends by itself, with which the others are ended.
        """
        with tempfile.TemporaryDirectory(prefix="netbench-") as folder:
            paths = [Path(folder, f"{number}.json") for number in range(processes)]
            try:
                up = [self._start(number, serve, path) for number, path in enumerate(paths)]
                heard = [_heard(one) for one in up]
                if all(heard):
                    ready()
                self._watch()
            finally:
                self._stop()
                self._gather(paths)

    def _watch(self) -> None:
        """Wait for the signal; it may come to a whole group, of which some end before this process hears of it."""
        while self._children:
            number, code = self._ended()
            if code:
                raise Failed(f"server process {number} ended with status {code}")

    def _ended(self) -> tuple[int, int]:
        """Wait for one to end: its number, and its status."""
        pid, status = os.wait()
        return self._children.pop(pid), os.waitstatus_to_exitcode(status)

    def _start(self, number: int, serve: Serve, path: Path) -> int:
        """Start one; a descriptor where it says that it is up."""
        sys.stdout.flush()
        parent, (reader, writer) = os.getpid(), os.pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, Signals.NUMBERS)  # a new process would forget one that came
        try:
            pid = os.fork()
            if not pid:
                _live(parent, before, path, lambda: serve(number, lambda: _say(writer)))
            self._children[pid] = number
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(writer)
        return reader

    def _stop(self) -> None:
        Signals.ignore()  # it may come to the whole group, and so a second time
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):  # the signal came between its end and the note of it
                os.kill(pid, signal.SIGTERM)
        while self._children:
            try:
                number, code = self._ended()
            except ChildProcessError:  # that one was the last
                return
            if code:
                self._problems.append(f"server process {number} ended with status {code}")

    def _gather(self, paths: Iterable[Path]) -> None:
        for number, path in enumerate(paths):
            try:
                self._reports.append(load(path.read_bytes()))
            except (OSError, RunError) as error:
                self._problems.append(f"server process {number} left no report: {error}")

    def problem(self, text: str) -> None:
        """Something that the scenario doesn't say has happened."""
        self._problems.append(text)

    def report(self) -> DriverReport:
        """The reports of all, as one."""
        return merged(self._reports, self._problems)


def _say(writer: int) -> None:
    """Say that this process is up."""
    os.write(writer, b"*")
    os.close(writer)


def _heard(reader: int) -> bool:
    """Whether a process says that it is up; False if it ended before."""
    try:
        return bool(os.read(reader, 1))
    finally:
        os.close(reader)


def _live(parent: int, mask: Iterable[int], path: Path, serve: Callable[[], Recorder]) -> NoReturn:
    """Be one of the processes, to its end, or to its parent's."""
    status: int = Status.FAILED
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            raise Stopped(signal.SIGKILL)  # noqa: TRY301 - it has died already
        recorder = serve()
        Signals.ignore()
        write(recorder.report(), path)
        status = Status.OK
    except Stopped:  # before it had begun
        status = Status.OK
    except DriverError as error:
        os.write(sys.stderr.fileno(), f"{error}\n".encode())
        status = error.status
    except BaseException:  # noqa: BLE001 - a mistake of ours: this process must end here all the same
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def merged(reports: Sequence[DriverReport], problems: Sequence[str] = ()) -> DriverReport:
    """Several processes' reports as that of one driver: instants at the outside, the rest added up."""
    cpu = [one.cpu.seconds for one in reports if one.cpu is not None]
    memory = [one.peak_rss for one in reports if one.peak_rss is not None]
    held = [(one.held.connections, one.held.before, one.held.rss) for one in reports if one.held is not None]
    return DriverReport(
        began_ns=min((one.began_ns for one in reports if one.began_ns is not None), default=None),
        first_byte_ns=min((one.first_byte_ns for one in reports if one.first_byte_ns is not None), default=None),
        last_byte_ns=max((one.last_byte_ns for one in reports if one.last_byte_ns is not None), default=None),
        connections=tuple(one for report in reports for one in report.connections),
        samples=_joined([one.samples for one in reports]),
        cpu=CpuUse(sum(cpu), CpuScope.WINDOW) if cpu else None,
        peak_rss=sum(memory) if memory else None,
        problems=(*(one for report in reports for one in report.problems), *problems),
        marks=_joined([one.marks for one in reports]),
        loads=_loads(reports),
        held=Held(*map(sum, zip(*held, strict=True))) if held else None,
    )


def _loads(reports: Sequence[DriverReport]) -> dict[str, Load]:
    found: dict[str, Load] = {}
    for report in reports:
        for trace, more in report.loads.items():
            found[trace] = found[trace].together(more) if trace in found else more
    return found


def _joined(parts: Sequence[Mapping[str, tuple[_Value, ...]]]) -> dict[str, tuple[_Value, ...]]:
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: tuple(one for part in parts for one in part.get(name, ())) for name in names}
