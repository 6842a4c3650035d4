"""How is a driver's process tree started, watched and ended? Output into files, every exit status read, nothing left.

A driver leads its own session and process group, and dies with the worker that started it (``PR_SET_PDEATHSIG``). The
worker is the reaper of orphans, so that also a child that made itself a daemon is found and ended.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_netbench.telemetry import proc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MARK = "NETBENCH_TREE"
"""The variable whose value tells one driver's processes from another's."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TAIL = 4000
_KILL_DEADLINE = 10.0
_SWEEP_DEADLINE = 5.0
_STACKS_DEADLINE = 5.0

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: its status, or the signal; CPU seconds of it and the children that it waited for.

    ``peak_rss``: bytes, None where the kernel's figure may be that of the worker from which it was forked.
    ``ended_ns``: when that was seen, on the monotonic clock.
    """

    status: int | None
    signal: int | None
    cpu_s: float
    peak_rss: int | None
    ended_ns: int

    def __str__(self) -> str:
        if self.signal is None:
            return f"exited with status {self.status}"
        return f"was ended by {signal.Signals(self.signal).name}"


def half_of(cpus: set[int], half: int | None) -> frozenset[int] | None:
    """The processors of one half; None for all, also where there is only one."""
    if half is None or len(cpus) < 2:  # noqa: PLR2004 - a half each
        return None
    ordered, middle = sorted(cpus), len(cpus) // 2
    return frozenset(ordered[middle:] if half else ordered[:middle])


class Process:
    """A driver that runs; made by ``start``, ended by ``stop``, which leaves nothing of its tree."""

    def __init__(self, popen: subprocess.Popen[bytes], mark: str, errors: Path, rss_at_fork: int) -> None:
        self.pid = popen.pid
        self.errors = errors
        self.killed = False
        self._popen = popen
        self._mark = mark
        self._rss_at_fork = rss_at_fork
        self._orphaned: set[int] = set()
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[Exit] = self._loop.create_future()
        self._descriptor = os.pidfd_open(popen.pid)
        self._loop.add_reader(self._descriptor, self._reap)
        _RUNNING[self.pid] = self

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        output: Path,
        errors: Path,
        folder: Path,
        pass_fds: Sequence[int] = (),
        cpus: frozenset[int] | None = None,
    ) -> Process:
        """Start a driver in ``folder``; ``output`` and ``errors`` are the files of its two streams, made here.

        ``cpus``: those on which it may run, None for all.

        :raises OSError: if a file can't be made, or the program can't be executed.
        """
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        mark, worker = secrets.token_hex(8), os.getpid()

        def before_execution() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if cpus is not None:
                os.sched_setaffinity(0, cpus)
            if os.getppid() != worker:  # it died before that was set
                os._exit(1)

        with output.open("wb") as out, errors.open("wb") as err:
            popen = subprocess.Popen(
                argv,
                env={**env, MARK: mark},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=tuple(pass_fds),
                start_new_session=True,
                preexec_fn=before_execution,  # noqa: PLW1509 - the worker has one thread
            )
        return cls(popen, mark, errors, proc.peak_rss(worker) or 0)

    def _reap(self) -> None:
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            return
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        code = os.waitstatus_to_exitcode(status)
        self._popen.returncode = code
        _RUNNING.pop(self.pid, None)
        peak = usage.ru_maxrss * 1024
        self._exit.set_result(
            Exit(
                status=code if code >= 0 else None,
                signal=-code if code < 0 else None,
                cpu_s=usage.ru_utime + usage.ru_stime,
                peak_rss=peak if peak > self._rss_at_fork else None,
                ended_ns=time.monotonic_ns(),
            )
        )

    @property
    def exit(self) -> Exit | None:
        """How it ended, or None while it runs."""
        return self._exit.result() if self._exit.done() else None

    async def wait(self) -> Exit:
        """How it ended, once it has; its descendants may still run."""
        return await asyncio.shield(self._exit)

    def tree(self) -> tuple[int, ...]:
        """The process ids of the driver and all its living descendants."""
        return (self.pid, *proc.descendants(self.pid)) if self.exit is None else ()

    async def stop(self, grace: float) -> Exit:
        """End the whole tree: SIGTERM to the group, after ``grace`` seconds SIGKILL; returns when nothing is left."""
        if self.exit is None:
            self._signal_group(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), grace)
        return await self.kill()

    async def kill(self) -> Exit:
        """End the whole tree at once; returns when nothing is left."""
        if self.exit is None:
            self.killed = True
            self._signal_group(signal.SIGKILL)
        async with asyncio.timeout(_KILL_DEADLINE):
            ended = await self.wait()
        await self._sweep()
        return ended

    async def dump_stacks(self) -> None:
        """Let a driver that can do so write where it stands (SIGUSR1); returns when standard error has grown."""
        if self.exit is not None:
            return
        before = self.errors.stat().st_size
        os.kill(self.pid, signal.SIGUSR1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STACKS_DEADLINE):
                pause = 0.001
                while not self._exit.done() and self.errors.stat().st_size == before:
                    await asyncio.sleep(pause)
                    pause *= 2

    def tail(self) -> str:
        """The last of its standard error, fit to be shown."""
        return tail(self.errors)

    def _signal_group(self, number: signal.Signals) -> None:
        # The leader isn't reaped yet, so that its group's number can't be another's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _sweep(self) -> None:
        """End what outlived the leader; orphans became the worker's children."""
        pause = 0.001
        async with asyncio.timeout(_SWEEP_DEADLINE):
            while orphans := self._orphans():
                for pid in orphans:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 - it doesn't wait
                await asyncio.sleep(pause)
                pause = min(2 * pause, 0.05)

    def _orphans(self) -> list[int]:
        """Children of the worker that were this driver's, and all below them; the deepest first.

        A child that is about to end doesn't tell whose it was any more, and what is below it becomes the worker's after
        that: once such a one was seen, it is looked again.
        """
        dying: set[int] = set()
        while True:
            others = [pid for pid in proc.children(os.getpid()) if pid not in _RUNNING]
            below = {pid: (*reversed(proc.descendants(pid)), pid) for pid in others}
            found = [one for family in below.values() if any(map(self._is_ours, family)) for one in family]
            silent = {pid for pid in others if not any(proc.environment(pid))}
            if found or silent <= dying:
                self._orphaned.update(found)
                return found
            dying |= silent

    def _is_ours(self, pid: int) -> bool:
        """Whether a child of the worker descends from this driver; a dead one no longer shows its environment."""
        return (
            pid in self._orphaned
            or proc.session(pid) == self.pid
            or f"{MARK}={self._mark}".encode() in proc.environment(pid)
        )


_RUNNING: dict[int, Process] = {}


def tail(path: Path, limit: int = _TAIL) -> str:
    """The last bytes of a text file as one would show them: whole lines, nothing that steers a terminal."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            text = file.read(limit).decode(errors="replace")
    except OSError:
        return ""
    if size > limit:
        text = text.partition("\n")[2] or text
    return "".join(
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text
    ).strip()
