"""What does the kernel say of a process? Small reads of ``/proc``; a process that is gone is no error.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

TICK = 1 / os.sysconf("SC_CLK_TCK")
"""Seconds of one tick of the kernel's CPU accounting."""

PAGE = os.sysconf("SC_PAGESIZE")


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:  # it ended, or belongs to somebody else
        return b""


def _entries(path: str) -> list[str]:
    try:
        return [one.name for one in Path(path).iterdir()]
    except OSError:
        return []


class _Stat(NamedTuple):
    """What is used of ``/proc/PID/stat``; times in ticks."""

    state: str
    session: int
    user: int
    system: int
    waited_user: int
    waited_system: int
    started: int


def _stat(pid: int) -> _Stat | None:
    # The name, in brackets, may itself hold blanks and brackets: counted is from the last one.
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return _Stat(fields[0].decode(), *(int(fields[at]) for at in (3, 11, 12, 13, 14, 19))) if fields else None


def identify(pid: int) -> str:
    """``PID:START``, which no other process ever has; empty if it is gone."""
    stat = _stat(pid)
    return "" if stat is None else f"{pid}:{stat.started}"


def is_alive(identity: str) -> bool:
    """Whether this very process is there; a zombie isn't."""
    pid = identity.partition(":")[0]
    stat = _stat(int(pid)) if pid.isdigit() else None
    return stat is not None and f"{pid}:{stat.started}" == identity and stat.state not in {"Z", "X"}


def children(pid: int) -> list[int]:
    """The direct children, dead ones that nobody has waited for included."""
    return [
        int(one) for task in _entries(f"/proc/{pid}/task") for one in _read(f"/proc/{pid}/task/{task}/children").split()
    ]


def descendants(pid: int) -> list[int]:
    """Children, their children, and so on; parents before their children."""
    found = children(pid)
    for one in found:
        found += children(one)  # the list grows while it is walked
    return found


def session(pid: int) -> int | None:
    """The session that it belongs to."""
    stat = _stat(pid)
    return stat.session if stat is not None else None


def environment(pid: int) -> list[bytes]:
    """The environment with which it was executed, as ``NAME=value``."""
    return _read(f"/proc/{pid}/environ").split(b"\0")


def name(pid: int) -> str:
    """Its short name."""
    return _read(f"/proc/{pid}/comm").decode(errors="replace").strip()


def peak_rss(pid: int) -> int | None:
    """The most memory that it had resident since it was executed, in bytes."""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith(b"VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def rss(pid: int) -> int:
    """The memory that it has resident, in bytes."""
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * PAGE if len(fields) > 1 else 0


def cpu_s(pid: int) -> float:
    """CPU seconds of it, and of the children that it has waited for.

    Its living threads are counted to the nanosecond where the kernel keeps that, else by ticks.
    """
    stat = _stat(pid)
    if stat is None:
        return 0.0
    threads = [_read(f"/proc/{pid}/task/{task}/schedstat").split() for task in _entries(f"/proc/{pid}/task")]
    fine = sum(int(one[0]) for one in threads if one) / 1e9
    # Threads that have ended are only in the ticks: these then exceed the living ones' time.
    return max(fine, (stat.user + stat.system - len(threads)) * TICK) + (stat.waited_user + stat.waited_system) * TICK


def is_working(pid: int) -> bool:
    """Whether one of its threads runs, or waits for a processor."""
    stats = (_read(f"/proc/{pid}/task/{task}/stat") for task in _entries(f"/proc/{pid}/task"))
    return any(one.rpartition(b")")[2].split()[:1] == [b"R"] for one in stats)


def sockets(pid: int) -> Iterator[int]:
    """The inodes of the sockets that it holds."""
    for one in _entries(f"/proc/{pid}/fd"):
        try:
            target = str(Path(f"/proc/{pid}/fd/{one}").readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            yield int(target[8:-1])


def processes() -> list[int]:
    """All process ids that this process can see."""
    return [int(one) for one in _entries("/proc") if one.isdigit()]
