"""Whose turn is it on this machine? Rounds of different runs, and of different workers of one, never overlap."""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from pytest_netbench.errors import HostError

FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05
"""Seconds between two looks at a lock that somebody else has."""


def lock_path() -> Path:
    """The lock of this user on this machine."""
    return Path(tempfile.gettempdir()) / f"netbench-{os.getuid()}.lock"


def _nothing() -> None:
    return


@asynccontextmanager
async def machine_lock(
    *,
    deadline: float,
    on_wait: Callable[[], None] = _nothing,
    on_acquired: Callable[[], None] = _nothing,
    path: Path | None = None,
) -> AsyncIterator[None]:
    """Have the machine to oneself; ``on_wait`` is called if others must be waited for, ``on_acquired`` after that.

    The kernel takes the lock back when its owner dies, however.

    :raises HostError: if it isn't free within ``deadline`` seconds.
    """
    place = path or lock_path()
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if not _take(descriptor):
            on_wait()
            try:
                async with asyncio.timeout(deadline):
                    await _wait(descriptor)
            except TimeoutError:
                raise HostError(
                    f"another run has had this machine for {deadline:g} s: see who has {place} open"
                ) from None
            finally:
                on_acquired()
        yield
    finally:
        os.close(descriptor)


async def _wait(descriptor: int) -> None:
    pause = FIRST_PAUSE
    while not _take(descriptor):
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
