"""What did a killed run leave, and how is it removed? Only what its ledger says, and only the very thing."""

from __future__ import annotations

import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from pytest_netbench.errors import UsageError, nearest
from pytest_netbench.hosts.ledger import (
    DIRECTORY,
    KEPT,
    PROCESS,
    REMOVED,
    Entry,
    append,
    entries,
    held,
    is_alive,
    owner,
    state_folder,
)

LEASE = 24 * 3600.0
"""Seconds after which kept hosts of a run may be removed with ``--expired``."""
FORGET = 7 * 24 * 3600.0
"""Seconds after which the ledger of a dead run that holds nothing is removed."""


@dataclass(frozen=True, slots=True)
class Reaped:
    """One thing that was removed."""

    run: str
    kind: str
    id: str


def reap(run: str | None = None, *, expired: bool = False) -> tuple[Reaped, ...]:
    """Remove what dead runs left; a named run's, also while it lives; with ``expired`` also hosts kept too long.

    :raises UsageError: if no run of that name is known; names the nearest.
    """
    ledgers = {path.stem: path for path in sorted(state_folder().glob("*.jsonl"))}
    if run is not None:
        if run not in ledgers:
            raise UsageError(f"no ledger of a run {run!r}: {nearest(run, ledgers)}")
        return _reap(ledgers[run])
    removed: list[Reaped] = []
    for path in ledgers.values():
        if not is_alive(owner(path)) and (expired or not _kept(path)):
            removed += _reap(path)
            _forget(path)
    return tuple(removed)


def _kept(path: Path) -> bool:
    """Whether a run asked for its hosts to be kept, and their lease lasts."""
    marks = [one for one in entries(path) if one.kind == KEPT]
    return bool(marks) and time.time() - marks[-1].at < LEASE


def _reap(path: Path) -> tuple[Reaped, ...]:
    removed = []
    for one in held(entries(path)):
        _remove(one)
        append(path, REMOVED, one.kind, one.id)
        removed.append(Reaped(path.stem, one.kind, one.id))
    return tuple(removed)


def _remove(one: Entry) -> None:
    if one.kind == PROCESS:
        if is_alive(one.id):
            _kill(one.id)
    elif one.kind == DIRECTORY:
        folder = Path(one.id)
        if folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)


def _kill(identity: str) -> None:
    """Kill a process and wait until it is gone; its number can't be another's while we hold a descriptor of it."""
    try:
        descriptor = os.pidfd_open(int(identity.partition(":")[0]))
    except ProcessLookupError:
        return
    try:
        if is_alive(identity):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def _forget(path: Path) -> None:
    if time.time() - path.stat().st_mtime > FORGET:
        path.unlink(missing_ok=True)
