"""Can hosts have a network of their own, without root? One user, network and process namespace, a `lo` like a wire.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
from functools import cache

MTU = 1500
"""Bytes: that of the wires that transports meet. The kernel's own for `lo`, 65536, triples the figures of QUIC."""

_UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc")
_SIOCGIFMTU, _SIOCSIFMTU, _SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8921, 0x8922, 0x8913, 0x8914, 0x1
_LO = b"lo".ljust(16, b"\0")
_PROBE = 10.0


def within(command: tuple[str, ...]) -> tuple[str, ...]:
    """The command, as the first process of namespaces of its own; they end with it, and it with its parent."""
    return (*_UNSHARE, "--", *command)


@cache
def why_not_own() -> str | None:
    """Why this machine allows no namespace of our own, in the kernel's words; None if it does. Tried for real, once."""
    try:
        done = subprocess.run(within(("true",)), capture_output=True, text=True, timeout=_PROBE, check=False)
    except FileNotFoundError:
        return "the program unshare (package util-linux) isn't here"
    except subprocess.TimeoutExpired:
        return f"unshare didn't answer within {_PROBE:g} s"
    return None if done.returncode == 0 else (done.stderr.strip() or f"unshare ended with {done.returncode}")


def bring_up(mtu: int = MTU) -> None:
    """Give this namespace's `lo` an MTU and switch it on.

    :raises OSError: if the kernel refuses.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFMTU, _request("i", mtu))
        (flags,) = struct.unpack_from("h", fcntl.ioctl(sock, _SIOCGIFFLAGS, _request("h", 0)), len(_LO))
        fcntl.ioctl(sock, _SIOCSIFFLAGS, _request("h", flags | _IFF_UP))


def mtu_of_lo() -> int:
    """The MTU of this namespace's `lo`; not from ``/sys``, which shows the namespace of its mount."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        (mtu,) = struct.unpack_from("i", fcntl.ioctl(sock, _SIOCGIFMTU, _request("i", 0)), len(_LO))
    return int(mtu)


def _request(form: str, value: int) -> bytes:
    """A ``struct ifreq`` for `lo`."""
    return _LO + struct.pack(form, value).ljust(24, b"\0")
