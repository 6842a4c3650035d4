"""What did a run make, and what of it is still there? Lines written and synced before and after each thing is made.

``$XDG_STATE_HOME/netbench/RUN.jsonl``: ``{"event": "intent|made|removed", "kind", "id", "at"}``, the first of them for
the process that owns the run. Of a process the id is ``PID:START``, with the kernel's start time, so that a number that
was given to somebody else since is never mistaken for it. ``data``, where there is some, is what a reaper must know to
remove the thing: of a request whose answer may be lost, the whole request.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self, TextIO

from pytest_netbench.errors import HostError
from pytest_netbench.telemetry.proc import identify

OWNER, PROCESS, DIRECTORY, KEPT = "owner", "process", "directory", "kept"
INTENT, MADE, REMOVED = "intent", "made", "removed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line; ``at`` in seconds since the epoch."""

    event: str
    kind: str
    id: str
    at: float
    data: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def state_folder() -> Path:
    """Where the ledgers of this user are."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "netbench"


class Ledger:
    """One run's ledger; a context manager that closes the file."""

    def __init__(self, run: str, path: Path) -> None:
        self.run, self.path = run, path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = path.open("a", encoding="utf-8")
        self._write(MADE, OWNER, identify(os.getpid()))

    @classmethod
    def open(cls, run: str) -> Ledger:
        """A run's ledger in this user's state folder.

        :raises HostError: if it can't be written: nothing may be made that couldn't be found again.
        """
        path = state_folder() / f"{run}.jsonl"
        try:
            return cls(run, path)
        except OSError as error:
            raise HostError(
                f"can't write the ledger {path}: {error.strerror}; XDG_STATE_HOME names another place"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def intent(self, kind: str, name: str, data: Mapping[str, Any] | None = None) -> None:
        """This is about to be made."""
        self._write(INTENT, kind, name, data)

    def made(self, kind: str, name: str, data: Mapping[str, Any] | None = None) -> None:
        """This is there; ``data`` is added to that of the intent."""
        self._write(MADE, kind, name, data)

    def removed(self, kind: str, name: str) -> None:
        """This is gone, or was never made."""
        self._write(REMOVED, kind, name)

    def held(self) -> tuple[Entry, ...]:
        """What is meant or made, and not removed."""
        return held(entries(self.path))

    def close(self) -> None:
        """Close the file; what it holds stays there for a reaper."""
        self._file.close()

    def _write(self, event: str, kind: str, name: str, data: Mapping[str, Any] | None = None) -> None:
        _sync(self._file, Entry(event, kind, name, time.time(), data or {}))


def append(path: Path, event: str, kind: str, name: str, data: Mapping[str, Any] | None = None) -> None:
    """Write a line into somebody's ledger, as a reaper does."""
    with path.open("a", encoding="utf-8") as file:
        _sync(file, Entry(event, kind, name, time.time(), data or {}))


def _sync(file: TextIO, entry: Entry) -> None:
    line = {name: value for name, value in asdict(entry).items() if name != "data" or value}
    file.write(json.dumps(line) + "\n")
    file.flush()
    os.fsync(file.fileno())


def entries(path: Path) -> Iterator[Entry]:
    """The lines of a ledger; one that was torn by a crash is passed over."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            found = json.loads(line)
            known = str(found["event"]), str(found["kind"]), str(found["id"]), float(found["at"])
            yield Entry(*known, dict(found.get("data", {})))
        except (ValueError, TypeError, KeyError):
            continue


def held(lines: Iterator[Entry]) -> tuple[Entry, ...]:
    """What these lines leave standing, with all data, the latest first: the order in which to remove it."""
    standing: dict[tuple[str, str], Entry] = {}
    for one in lines:
        before = standing.pop((one.kind, one.id), None)
        if one.event != REMOVED and one.kind not in {OWNER, KEPT}:
            standing[one.kind, one.id] = replace(one, data={**(before.data if before else {}), **one.data})
    return tuple(reversed(standing.values()))


def owner(path: Path) -> str:
    """The process that owns a ledger's run, as last written; empty if none is known."""
    return next((one.id for one in reversed(list(entries(path))) if one.kind == OWNER), "")
