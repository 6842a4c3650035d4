"""What did a killed run leave, and how is it removed? Only what its ledger says, and only the very thing."""

from __future__ import annotations

import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_netbench.errors import HostError, UsageError, nearest
from pytest_netbench.hosts.ledger import (
    DIRECTORY,
    KEPT,
    PROCESS,
    REMOVED,
    Entry,
    append,
    entries,
    held,
    owner,
    state_folder,
)
from pytest_netbench.telemetry.proc import is_alive

LEASE = 24 * 3600.0
"""Seconds after which kept hosts of a run may be removed with ``--expired``."""
DYING = 5.0
"""Seconds for a killed process to be gone; a busy kernel takes its time."""
FORGET = 7 * 24 * 3600.0
"""Seconds after which the ledger of a dead run that holds nothing is removed."""


@dataclass(frozen=True, slots=True)
class Reaped:
    """One thing that was removed."""

    run: str
    kind: str
    id: str


def reap(run: str | None = None, *, expired: bool = False) -> tuple[Reaped, ...]:
    """Remove what dead runs left on this machine and elsewhere; as ``reaping``.

    :raises UsageError: if no run of that name is known; names the nearest.
    :raises HostError: if something elsewhere can't be removed, after all others were.
    """
    return tuple(reaping(run, expired=expired))


def reap_here() -> None:
    """Remove what dead runs left on this machine; what they left elsewhere takes its time, and isn't touched."""
    for path in sorted(state_folder().glob("*.jsonl")):
        if not is_alive(owner(path)) and not _kept(path):
            for _ in _reap_here(path):
                continue
            _forget(path)


def reaping(run: str | None = None, *, expired: bool = False) -> Iterator[Reaped]:
    """Remove what dead runs left, and tell of each thing as it goes.

    A named run's, also while it lives; with ``expired`` also hosts that were kept, once their time is over.

    :raises UsageError: if no run of that name is known; names the nearest.
    :raises HostError: if something elsewhere can't be removed, after all others were.
    """
    ledgers = {path.stem: path for path in sorted(state_folder().glob("*.jsonl"))}
    if run is not None:
        if run not in ledgers:
            raise UsageError(f"no ledger of a run {run!r}: {nearest(run, ledgers)}")
        ledgers = {run: ledgers[run]}
    errors: list[str] = []
    for name, path in ledgers.items():
        if run is None and (is_alive(owner(path)) or _stays(path, expired=expired)):
            continue
        try:
            yield from _reap_elsewhere(path)
        except HostError as error:
            errors.append(f"{name}: {error}")
        yield from _reap_here(path)
        _forget(path)
    if errors:
        raise HostError("\n".join(errors))


def _kept(path: Path) -> bool:
    """Whether a run asked for its hosts to be kept, and their lease lasts."""
    until = kept_until(path)
    return until is not None and time.time() < until


def _stays(path: Path, *, expired: bool) -> bool:
    """Whether a run's hosts were kept: then they stay, but where those are asked for whose time is over."""
    return kept_until(path) is not None and not (expired and not _kept(path))


def kept_until(path: Path) -> float | None:
    """Until when a run keeps its hosts, in seconds since the epoch; None if it doesn't."""
    marks = [one for one in entries(path) if one.kind == KEPT]
    return float(marks[-1].data.get("until", marks[-1].at + LEASE)) if marks else None


def _reap_here(path: Path) -> Iterator[Reaped]:
    for one in held(entries(path)):
        if one.kind in {PROCESS, DIRECTORY}:
            _remove(one)
            append(path, REMOVED, one.kind, one.id)
            yield Reaped(path.stem, one.kind, one.id)


def _reap_elsewhere(path: Path) -> Iterator[Reaped]:
    if any(one.kind not in {PROCESS, DIRECTORY} for one in held(entries(path))):
        from pytest_netbench.hosts.aws.reaper import clean

        for one in clean(path):
            yield Reaped(path.stem, one.kind, one.id)


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
            select.select([descriptor], [], [], DYING)  # readable when it is gone
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def _forget(path: Path) -> None:
    if not held(entries(path)) and time.time() - path.stat().st_mtime > FORGET:
        path.unlink(missing_ok=True)
