"""Which children are meant to outlive this process? Those that remove what is left; nobody waits for them."""

from __future__ import annotations

import atexit
import subprocess

_LEFT: list[subprocess.Popen[bytes]] = []


def let_go(child: subprocess.Popen[bytes]) -> None:
    """Don't wait for a child any more; Python is told so at this process's end, and then doesn't warn of it."""
    _LEFT.append(child)


@atexit.register
def _forget() -> None:
    for child in _LEFT:
        if child.poll() is None:
            child.returncode = 0
