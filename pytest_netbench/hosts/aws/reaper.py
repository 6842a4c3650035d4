"""Who removes a run's hosts when its process is killed? A child that waits for that, and needs nobody.

``python -m pytest_netbench.hosts.aws.reaper DESCRIPTOR LEDGER``: it reads from a pipe whose other end only the run's
process has. A byte says that all is removed. Without one, however the process ended, everything is removed by the
ledger; again, later, where AWS can't be reached or says no. It has a session of its own, and signals don't end it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws import journal
from pytest_netbench.hosts.ledger import REMOVED, Entry, append, entries, held
from pytest_netbench.hosts.outliving import let_go

DONE = b"q"
"""Says that nothing is left."""
WAIT = 5.0
"""Seconds for the child to end after that."""
LATER = (5.0, 30.0, 120.0, 600.0)
"""Seconds before each further try; after the last one, hosts end themselves, and the ledger is ``netbench reap``'s."""


class Reaper:
    """The child, seen from the run's process. ``lifelines``: descriptors that it keeps open as long as it lives."""

    def __init__(self, ledger: Path, lifelines: Sequence[int] = ()) -> None:
        told, self._tell = os.pipe()
        log = ledger.with_suffix(".reaper.log")
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pytest_netbench.hosts.aws.reaper", str(told), str(ledger)],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                pass_fds=(told, *lifelines),
                start_new_session=True,
            )
        self._log = log
        os.close(told)

    def dismiss(self) -> None:
        """All is removed: it may go, and its log with it."""
        if self._tell >= 0:
            os.write(self._tell, DONE)
            self.hand_over()
            with suppress(subprocess.TimeoutExpired):  # it has been told: it ends by itself
                self._process.wait(WAIT)
            self._log.unlink(missing_ok=True)

    def hand_over(self) -> None:
        """Let it remove what is left, from now on."""
        if self._tell >= 0:
            os.close(self._tell)
            self._tell = -1
            let_go(self._process)


@contextmanager
def exclusively(ledger: Path, *, wait: bool) -> Iterator[bool]:
    """Be the only one who removes this run; False if another does, and ``wait`` is."""
    with ledger.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def clean(ledger: Path, *, wait: bool = True) -> tuple[Entry, ...]:
    """Remove what a ledger holds in AWS; what that was. Nothing if somebody else is at it, and ``wait`` isn't wanted.

    :raises HostError: if AWS says no; what is still there stays in the ledger.
    """
    from pytest_netbench.hosts.aws.cleanup import Cleanup
    from pytest_netbench.hosts.aws.failures import Unreachable

    def write(event: str, kind: str, name: str, data: Mapping[str, Any] | None) -> None:
        append(ledger, event, kind, name, data)

    with exclusively(ledger, wait=wait) as mine:
        if not mine:
            return ()
        found = journal.ours(held(entries(ledger)))
        cleanup = Cleanup.of(ledger.stem, found, write)
        if cleanup is None:
            return ()
        try:
            cleanup.all()
        except Unreachable:
            place = next(one for one in found if one.kind == journal.RUN)
            if not str(place.data["where"]["endpoint"]).startswith("http://127."):
                raise
            for one in found:  # the emulation is gone, and all that was in it
                write(REMOVED, one.kind, one.id, None)
        return found


def main(descriptor: int, ledger: Path) -> int:
    """Wait, and remove."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.read(descriptor, 1) == DONE:
        return 0
    for wait in (0.0, *LATER):
        time.sleep(wait)
        try:
            clean(ledger)
        except HostError as error:
            print(f"netbench: {ledger.stem} isn't removed: {error}", file=sys.stderr, flush=True)  # noqa: T201  its log
        else:
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
