"""Is a connection silent, by the kernel's own count? And are its probes off while it should be?"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

IDLE_S, PROBES = 5, 3
"""Keepalive outside of silence: seconds until a probe and between probes, and how many may go unanswered."""

_RECEIVED, _SENT = 128, 200
_INFO_SIZE = 208
_COUNT = struct.Struct("=Q")


def is_tcp(sock: socket.socket) -> bool:
    """Whether the kernel may send something on it by itself."""
    return sock.family in {socket.AF_INET, socket.AF_INET6}


def volume(sock: socket.socket) -> int | None:
    """Bytes that crossed a TCP connection both ways, retransmissions included; None where the kernel doesn't say.

    ``tcpi_bytes_received`` and ``tcpi_bytes_sent`` of Linux's ``struct tcp_info`` (include/uapi/linux/tcp.h).
    """
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
    except (OSError, AttributeError):
        return None
    if len(info) < _INFO_SIZE:
        return None
    received: int = _COUNT.unpack_from(info, _RECEIVED)[0]
    sent: int = _COUNT.unpack_from(info, _SENT)[0]
    return received + sent


def probe(sock: socket.socket, idle_s: int = IDLE_S) -> None:
    """Let the kernel find a dead peer."""
    with suppress(OSError, AttributeError):  # a connection that broke has no options; not every system has these
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, idle_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)


def hush(sock: socket.socket) -> None:
    """Let the kernel send nothing by itself: an acknowledgement that is due goes out now, and there are no probes."""
    with suppress(OSError, AttributeError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
