"""Has this machine's loopback IPv6? Containers often haven't: a test that needs it says so, and is skipped there."""

from __future__ import annotations

import socket

import pytest


def _is_there() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _is_there(), reason="no IPv6 on this machine's loopback")
