"""Where do baselines stand? In ``.netbench/baselines`` beside the configuration, replaced whole, by one at a time."""

from __future__ import annotations

import fcntl
import getpass
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pytest_netbench.errors import ResultsError, UsageError, nearest
from pytest_netbench.gate.baseline import Baseline, Calibrated, Origin, Reference
from pytest_netbench.gate.baseline_json import from_text, to_text
from pytest_netbench.gate.calibration import Calibration, sight
from pytest_netbench.gate.limits import limits
from pytest_netbench.result.model import SessionRecord
from pytest_netbench.result.store import write_whole

FOLDER = Path(".netbench") / "baselines"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TOLERANCE = re.compile(r"(.+)=(\d+(?:\.\d+)?)\s*%")
_NOT_OURS = (":(top)", ":(top,exclude,glob)**/.netbench/**")  # a baseline that was just stored changes no program
_LOCK_DEADLINE, _PAUSE = 30.0, 0.01
_SHOWN = 0.05  # the regression whose detection stands in a baseline


def place(home: Path, name: str) -> Path:
    """Where a baseline of that name stands.

    :raises UsageError: if it isn't a name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"a baseline's name has letters, digits, `.`, `_` and `-`, found {name!r}")
    return home / FOLDER / f"{name}.json"


def reference(home: Path, text: str) -> Reference:
    """A baseline to be held against, by its name or the path of its file; ``NAME=20%`` sets its own tolerance.

    :raises UsageError: if there is none.
    :raises ResultsError: if its file is cut, of another schema, or malformed.
    """
    match = _TOLERANCE.fullmatch(text)
    name, tolerance = (match[1], float(match[2]) / 100) if match else (text, None)
    path = Path(name) if os.sep in name or name.endswith(".json") else place(home, name)
    if not path.is_file():
        known = sorted(one.stem for one in (home / FOLDER).glob("*.json"))
        raise UsageError(f"no baseline {name!r} ({path}): {nearest(name, known)}; --netbench-save {name} makes one")
    return Reference(path.stem, read(path), tolerance)


def read(path: Path) -> Baseline:
    """Read a baseline.

    :raises ResultsError: if it can't be read or is malformed.
    """
    try:
        return from_text(path.read_bytes(), f"baseline {path}")
    except OSError as error:
        raise ResultsError(f"can't read {path}: {error.strerror or error}") from error


def save(path: Path, session: SessionRecord, reason: str, calibration: Calibration | None = None) -> int:
    """Put the session's numbers into a baseline; how many tests they are. Tests that weren't run stay as they are.

    ``calibration``: of here; what sessions were measured to differ by widens the tripwire.

    :raises ResultsError: if the file can't be read or written.
    """
    known, here = calibration or Calibration(), str(session.environment.get("hash", ""))
    home = path.parents[2]
    head = commit(home)
    project = Origin(head.rstrip("+"), not head.endswith("+"), by=author(home))
    with _alone(path):
        before = read(path) if path.exists() else Baseline()
        now = before.with_session(session, project, reason, lambda nodeid, name: calibrated(known, nodeid, name, here))
        write_whole(path, to_text(replace(now, spread=known.spread(here))).encode())
    return sum(bool(test.summary) for test in session.tests)


def calibrated(known: Calibration, nodeid: str, name: str, here: str) -> Calibrated | None:
    """What a calibration of this environment says of a metric, in short."""
    found = known.recorded(nodeid, name, here)
    if found is None:
        return None
    seen = sight(found, limits(name, found.gate, sigma=found.sigma, rebuild=found.rebuild))
    return Calibrated(len(found.sessions), found.alarms, found.sigma, None if seen is None else seen.power[_SHOWN])


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other runs from writing the same baseline between our reading and our writing of it.

    One lock for all baselines of a user: it is held for a moment. Its file stays: who waits for it has it open.
    """
    lock = Path(tempfile.gettempdir()) / f"netbench-{os.getuid()}-baselines.lock"
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ResultsError(f"can't write {path}: its lock {lock} can't be had: {error.strerror}") from error
    until = time.monotonic() + _LOCK_DEADLINE
    try:
        while not _take(descriptor):
            if time.monotonic() > until:
                raise ResultsError(
                    f"another run has been writing {path} for {_LOCK_DEADLINE:g} s: see who has {lock} open"
                )
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def commit(folder: Path) -> str:
    """The commit that is checked out there, with ``+`` where files of it were changed; empty without git."""
    head = git(folder, "rev-parse", "HEAD").strip()
    changed = ("status", "--porcelain", "--untracked-files=no", "--", *_NOT_OURS)
    return head + "+" * bool(head and git(folder, *changed).strip())


def author(folder: Path) -> str:
    """Who stores: whoever started the job on GitHub, else as git has it, else the user's name here."""
    return os.environ.get("GITHUB_ACTOR") or git(folder, "config", "user.name").strip() or getpass.getuser()


def git(folder: Path, *arguments: str) -> str:
    """What git answers, nothing where it isn't or doesn't know."""
    try:
        done = subprocess.run(
            ("git", "-C", str(folder), *arguments), capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
