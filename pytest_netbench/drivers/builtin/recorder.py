"""What did this driver see? Samples, connections and the window of CPU time, gathered with little cost, then a report.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Protocol

from pytest_netbench.telemetry.model import ConnectionReport, CpuScope, CpuUse, DriverReport, Held, Load, Pace

_SHOWN = 100
"""So many problems are spelled out; the rest are counted."""


class Recorded(Protocol):
    """A connection as the report wants it."""

    def report(self) -> ConnectionReport:
        """What it did, as of now."""


class Tally:
    """How many events a loop had, and when the first and the last."""

    __slots__ = ("_first", "_last", "events")

    def __init__(self) -> None:
        self.events = self._first = self._last = 0

    def add(self, now: int) -> None:
        """One more event."""
        if not self.events:
            self._first = now
        self.events += 1
        self._last = now

    def pace(self) -> Pace:
        """As it is reported."""
        return Pace(1, self.events, self._first, self._last)


class Recorder:
    """Everything that becomes the report. ``samples`` and ``marks``: nanoseconds, by trace id.

    ``index``: which endpoint of its role this is. ``holds``: whether the scenario holds connections, so that memory is
    looked at.
    """

    def __init__(self, traces: tuple[str, ...], index: int = 0, *, holds: bool = False) -> None:
        self.index = index
        self._traces = traces
        self._loads: dict[int, Load] = {}
        self._rss = 0
        self._holds = holds
        self._held: Held | None = None
        self.samples = tuple(list[int]() for _ in traces)
        self.marks = tuple(list[int]() for _ in traces)
        self._connections: list[Recorded] = []
        self.began_ns: int | None = None
        self._problems: list[str] = []
        self._unsaid = 0
        self._cpu_from: int | None = None
        self._cpu_to: int | None = None
        self._running = 0

    def begin(self) -> None:
        """The first operation begins now."""
        if self._holds:
            self._rss = _rss()
        self.began_ns = time.monotonic_ns()

    def open_window(self) -> None:
        """A connection is up: with the first one, the window of CPU time begins."""
        self._running += 1
        self._cpu_to = None
        if self._cpu_from is None:
            self._cpu_from = time.process_time_ns()

    def close_window(self) -> bool:
        """A connection has done its work; whether it was the last that is open, with which the window may end."""
        if self._holds and (self._held is None or self._running > self._held.connections):
            self._held = Held(self._running, self._rss, _rss())
        self._running -= 1
        return not self._running

    def rest(self) -> None:
        """Nobody goes on just now: where no connection is open, the window ends here unless another one follows."""
        self._cpu_to = None if self._running else time.process_time_ns()

    def load(self, trace: int, done: Tally, arrived: Tally | None = None) -> None:
        """A loop came to its end: repetitions that ended, and arrivals that it was to begin at."""
        load = Load(done.pace(), None if arrived is None else arrived.pace())
        before = self._loads.get(trace)
        self._loads[trace] = load if before is None else before.together(load)

    def add(self, connection: Recorded) -> None:
        """A connection is there; what it did is asked for when the report is made."""
        self._connections.append(connection)

    def problem(self, text: str) -> None:
        """Something that the scenario doesn't say has happened."""
        if len(self._problems) < _SHOWN:
            self._problems.append(text)
        else:
            self._unsaid += 1

    def report(self) -> DriverReport:
        """The report, as of now."""
        connections = tuple(one.report() for one in self._connections)
        firsts = [one.first_byte_ns for one in connections if one.first_byte_ns is not None]
        lasts = [one.last_byte_ns for one in connections if one.last_byte_ns is not None]
        more = (f"and {self._unsaid:,} more problems",) if self._unsaid else ()
        return DriverReport(
            began_ns=self.began_ns,
            first_byte_ns=min(firsts, default=None),
            last_byte_ns=max(lasts, default=None),
            connections=connections,
            samples={
                name: tuple(one / 1e9 for one in taken)
                for name, taken in zip(self._traces, self.samples, strict=True)
                if taken
            },
            cpu=self._cpu(),
            peak_rss=_peak_rss(),
            problems=(*self._problems, *more),
            marks={name: tuple(taken) for name, taken in zip(self._traces, self.marks, strict=True) if taken},
            loads={self._traces[trace]: load for trace, load in self._loads.items()},
            held=self._held,
        )

    def _cpu(self) -> CpuUse | None:
        if self._cpu_from is None:
            return None
        until = self._cpu_to or time.process_time_ns()
        return CpuUse((until - self._cpu_from) / 1e9, CpuScope.WINDOW)


def _rss() -> int:
    """The memory that is resident now, in bytes."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _peak_rss() -> int | None:
    """The most memory that was resident, in bytes; ``getrusage`` would count the process that started this one."""
    try:
        status = Path("/proc/self/status").read_bytes()
    except OSError:
        return None
    _, found, rest = status.partition(b"VmHWM:")
    return int(rest.split(None, 1)[0]) * 1024 if found else None
