"""What does a host see of a driver? Samples of its process tree, and the kernel's counters over a window.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pytest_netbench.telemetry import allowances, proc
from pytest_netbench.telemetry.model import KernelCounters, MachineUse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PERIOD = 0.1
"""Seconds between two samples."""

STARVED_SHARE = 0.1
STARVED_TICKS = 5
"""From which share of all CPU time on, and how many ticks, stolen time says that a load generator was starved."""

CLOCK_STEP_S = 0.001
"""From how much on a clock that gained on the monotonic one was set, and not only read a little later."""

_READINGS, _SURE_NS = 10, 100_000

_IN_MODIFY = 0x2
_IN_ONESHOT = 0x80000000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Sample:
    """A driver's process tree at one moment.

    ``at_ns``: monotonic clock. ``cpu_s``: CPU seconds since its start. ``rss``: bytes resident. ``output``: bytes that
    it has written to standard output, which dates the lines in it.
    """

    at_ns: int
    cpu_s: float
    rss: int
    output: int

    def to_json(self) -> dict[str, Any]:
        """The sample as one line of ``collector.jsonl``."""
        return {"at_ns": self.at_ns, "cpu_s": round(self.cpu_s, 9), "rss": self.rss, "output": self.output}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Sample:
        """The sample from its line."""
        return cls(int(line["at_ns"]), float(line["cpu_s"]), int(line["rss"]), int(line["output"]))


class Collector:
    """Samples a driver's tree ten times a second while its ``async with`` lasts, and at both its ends."""

    def __init__(self, tree: Callable[[], Iterable[int]], output: Path, path: Path) -> None:
        self._tree = tree
        self._output = output
        self._path = path
        self._last: Sample | None = None
        self.peak_rss = 0
        self.problem = ""

    async def __aenter__(self) -> Self:
        self._file = self._path.open("a")
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self.take()
        with contextlib.suppress(OSError):
            self._file.close()

    async def _run(self) -> None:
        while True:
            self.take()
            await asyncio.sleep(PERIOD)

    def take(self) -> None:
        """Take a sample now, if there is something to sample."""
        pids = tuple(self._tree())
        if not pids:
            return
        rss = sum(proc.rss(pid) for pid in pids)
        # The kernel remembers the highest of each process; it is that of the tree where this is one process.
        highest = (proc.peak_rss(pids[0]) or 0) if len(pids) == 1 else 0
        self.peak_rss = max(self.peak_rss, rss, highest)
        cpu = sum(proc.cpu_s(pid) for pid in pids)
        self._write(Sample(time.monotonic_ns(), cpu, rss, self._output.stat().st_size))

    def _write(self, sample: Sample) -> None:
        if self.problem:
            return
        try:
            self._file.write(json.dumps(sample.to_json()) + "\n")
            self._file.flush()
        except OSError as error:  # a full disk ends the record, not the driver
            self.problem = f"the collector's record ends early: {error.strerror}"


class Writes:
    """When is something written into a file, and how long is it then? Told by the kernel (inotify).

    The first write is seen, then one after each of pauses that double: enough to date the lines in a driver's output,
    too few to disturb it. Where the kernel can't tell, nothing is seen.
    """

    def __init__(self, path: Path) -> None:
        self.seen: list[tuple[int, int]] = []
        self._path = path
        self._pause = 0.001
        self._loop = asyncio.get_running_loop()
        self._later: asyncio.TimerHandle | None = None
        self._descriptor: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor >= 0:
            self._loop.add_reader(self._descriptor, self._written)
            self._watch()

    def _watch(self) -> None:
        mask = ctypes.c_uint32(_IN_MODIFY | _IN_ONESHOT)
        _libc.inotify_add_watch(self._descriptor, os.fsencode(self._path), mask)

    def _written(self) -> None:
        at_ns = time.monotonic_ns()
        os.read(self._descriptor, 4096)
        self.seen.append((at_ns, self._path.stat().st_size))
        if self._pause < PERIOD:  # from there on, the collector's samples are as good
            self._later = self._loop.call_later(self._pause, self._watch)
            self._pause *= 2

    def close(self) -> None:
        """Watch no longer."""
        if self._later is not None:
            self._later.cancel()
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True, slots=True)
class Window:
    """The kernel's counters at one moment; ``until`` makes the growth of two."""

    namespace: str
    tcp_retransmits: int
    udp_rcvbuf_drops: int
    cpu_ticks: int
    stolen_ticks: int
    busy_ticks: int = 0
    clock_ns: int = 0
    allowances: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def now(cls, net: Path = Path("/proc/self/net"), stat: Path = Path("/proc/stat")) -> Window:
        """The counters of this process's network namespace, and of the machine."""
        snmp, snmp6 = counters(_text(net / "snmp")), counters6(_text(net / "snmp6"))
        cpu, stolen, busy = cpu_ticks(_text(stat))
        drops = snmp.get("Udp.RcvbufErrors", 0) + snmp6.get("Udp6RcvbufErrors", 0)
        return cls(
            _namespace(),
            snmp.get("Tcp.RetransSegs", 0),
            drops,
            cpu,
            stolen,
            busy,
            _clock_ns(),
            allowances.exceeded(),
        )

    def until(self, end: Window) -> KernelCounters:
        """How much the counters grew."""
        return KernelCounters(
            self.namespace,
            end.tcp_retransmits - self.tcp_retransmits,
            end.udp_rcvbuf_drops - self.udp_rcvbuf_drops,
            {name: grown for name, value in end.allowances.items() if (grown := value - self.allowances.get(name, 0))},
        )

    def use(self, end: Window) -> MachineUse:
        """What all programs of the machine used."""
        return MachineUse(
            _line(Path("/proc/sys/kernel/random/boot_id")),
            (end.busy_ticks - self.busy_ticks) * proc.TICK,
            (end.cpu_ticks - self.cpu_ticks) * proc.TICK,
        )

    def clock_step_s(self, end: Window) -> float:
        """By how much the clock was set: what it gained on the monotonic one, which can't be set."""
        gained = (end.clock_ns - self.clock_ns) / 1e9
        return gained if abs(gained) >= CLOCK_STEP_S else 0.0

    def starved(self, end: Window) -> str:
        """Why the load generator may have been starved of CPU, or nothing."""
        stolen, total = end.stolen_ticks - self.stolen_ticks, end.cpu_ticks - self.cpu_ticks
        if stolen < STARVED_TICKS or stolen < STARVED_SHARE * total:
            return ""
        return f"the hypervisor took {stolen / total:.0%} of all CPU time"


def counters(snmp: str) -> dict[str, int]:
    """``/proc/net/snmp`` by ``Table.Name``: pairs of lines, the names and their values."""
    lines = [line.split() for line in snmp.splitlines()]
    return {
        f"{names[0].rstrip(':')}.{name}": int(value)
        for names, values in zip(lines[::2], lines[1::2], strict=False)
        for name, value in zip(names[1:], values[1:], strict=False)
    }


def counters6(snmp6: str) -> dict[str, int]:
    """``/proc/net/snmp6``: a name and a value a line."""
    return {fields[0]: int(fields[1]) for line in snmp6.splitlines() if len(fields := line.split()) == 2}  # noqa: PLR2004


def cpu_ticks(stat: str) -> tuple[int, int, int]:
    """All ticks of all processors; those that the hypervisor took (``steal``, the eighth); those that programs used."""
    fields = [int(one) for one in stat.partition("\n")[0].split()[1:9]]
    stolen, idle = (fields[7:8] or [0])[0], sum(fields[3:5])
    return sum(fields), stolen, sum(fields) - stolen - idle


def _line(path: Path) -> str:
    return _text(path).strip()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # a kernel without IPv6, or without these counters
        return ""


def _clock_ns() -> int:
    """How much more the clock that can be set shows than the one that can't.

    This process may lose the processor between the two readings: of several tries the surest counts.
    """
    tries: list[tuple[int, int]] = []
    while len(tries) < _READINGS and (not tries or min(tries)[0] > _SURE_NS):
        before, shown, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        tries.append((after - before, shown - (before + after) // 2))
    return min(tries)[1]


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/net").readlink())
    except OSError:
        return ""
