"""How are the commands of a round run? Started together, output into files, every exit status and its CPU time read.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_netbench.drivers.launcher import STATUS_NOT_EXECUTED
from pytest_netbench.telemetry import proc

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_FIRST_LOOK, _LOOK = 0.002, 0.1
"""Seconds between two looks at memory, at first and at last; the end of a command is seen at once."""

_SIGNALS = (signal.SIGTERM, signal.SIGCHLD)
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Running:
    """A command that was started; ``began_ns`` on the monotonic clock."""

    argv: tuple[str, ...]
    output: Path
    began_ns: int

    @property
    def shown(self) -> str:
        """The command as a person would write it."""
        return shlex.join(self.argv)

    @property
    def last_words(self) -> str:
        """The last line that it printed, where that isn't on standard error."""
        with contextlib.suppress(OSError):
            lines = self.output.read_text(errors="replace").strip().splitlines()
            return f"; it printed {lines[-1][:200]!r}" if lines else ""
        return ""


@dataclass(frozen=True, slots=True)
class Ended(Running):
    """How a command ended: its exit status, below zero the signal; when; CPU seconds."""

    status: int
    ended_ns: int
    cpu_s: float

    @property
    def how(self) -> str:
        """How it ended, for people."""
        return f"exited with status {self.status}" if self.status >= 0 else f"was ended by {_name(-self.status)}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass
class Children:
    """The commands that run. SIGTERM is seen by ``wait`` only, never in the middle of anything else.

    ``left``: processes that a command left behind when it ended. ``cpu_s``: of all that have ended, whoever they were.
    ``cpu_before``: of all, until they were ready.
    """

    cpu_s: float = 0.0
    cpu_before: float = 0.0
    peak_rss: int = 0
    ended: list[Ended] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    told_to_end: bool = False
    _pause: float = _FIRST_LOOK
    _running: dict[int, Running] = field(default_factory=dict)

    def __post_init__(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # who makes itself a daemon stays below us, and is seen

    @property
    def running(self) -> tuple[Running, ...]:
        """The commands that run."""
        return tuple(self._running.values())

    def start(self, argv: Sequence[str], env: Mapping[str, str], output: Path, root: Callable[[], None] | None) -> int:
        """Start a command; what it prints is added to the file. ``root`` is called in the child before the program.

        :raises OSError: if it can't be executed.
        """

        def before_execution() -> None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if root is not None:
                try:
                    root()
                except OSError as error:
                    os.write(2, f"{argv[0]}: its folders can't be put under the root: {error.strerror}\n".encode())
                    os._exit(STATUS_NOT_EXECUTED)

        with output.open("ab") as out:
            began_ns, self._pause = time.monotonic_ns(), _FIRST_LOOK
            child = subprocess.Popen(
                argv,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                process_group=0,  # ours gets SIGTERM, and passes it on: many tools take a second one for an abort
                preexec_fn=before_execution,  # noqa: PLW1509 - there is one thread
            )
        child.returncode = 0  # it is waited for here, not by that object
        self._running[child.pid] = Running(tuple(argv), output, began_ns)
        return child.pid

    def ready(self) -> None:
        """Note what all have used until now: what comes is asked of them."""
        trees = (one for pid in self._running for one in (pid, *proc.descendants(pid)))
        self.cpu_before = self.cpu_s + sum(proc.cpu_s(one) for one in trees)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until a command ends, SIGTERM comes, or so many seconds have passed."""
        before, until = len(self.ended), None if seconds is None else time.monotonic() + seconds
        while True:
            self._reap()
            if len(self.ended) > before or self.told_to_end:
                return
            self._look()
            rest = self._pause if until is None else min(self._pause, until - time.monotonic())
            if rest <= 0:
                return
            self._pause = min(1.25 * self._pause, _LOOK)
            came = signal.sigtimedwait(_SIGNALS, rest)
            if came is not None and came.si_signo == signal.SIGTERM:
                self.told_to_end = True
                self._reap()
                return

    def end(self, grace: float) -> list[str]:
        """Send SIGTERM to all that run, SIGKILL to those that are still there after a while; these, for people."""
        self._signal(signal.SIGTERM)
        until = time.monotonic() + grace
        while self._running and (rest := until - time.monotonic()) > 0:
            signal.sigtimedwait((signal.SIGCHLD,), min(rest, _LOOK))
            self._reap()
        deaf = [one.shown for one in self.running]
        while self._running:
            self._signal(signal.SIGKILL)
            signal.sigtimedwait((signal.SIGCHLD,), _LOOK)
            self._reap()
        return deaf

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._running:
            os.kill(pid, number)  # it isn't waited for yet, so the number is still its own

    def _look(self) -> None:
        rss = sum(proc.peak_rss(one) or 0 for pid in self._running for one in (pid, *proc.descendants(pid)))
        self.peak_rss = max(self.peak_rss, rss)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.cpu_s += usage.ru_utime + usage.ru_stime
            if pid not in self._running:
                continue  # an orphan of one of them
            one = self._running.pop(pid)
            code, cpu_s = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
            self.ended.append(Ended(one.argv, one.output, one.began_ns, code, time.monotonic_ns(), cpu_s))
            self.left += [one for one in proc.children(os.getpid()) if one not in self._running]

    @property
    def left_behind(self) -> list[int]:
        """Those of ``left`` that still run."""
        return [pid for pid in dict.fromkeys(self.left) if proc.rss(pid)]
