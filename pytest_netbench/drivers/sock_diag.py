"""Which sockets does this network namespace have? Asked of the kernel over netlink (``sock_diag``).

``/proc/net/tcp`` tells the same, but the kernel walks its whole table of connections for it: milliseconds a look.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_AND_DUMP = 0x301
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI48x")
_MESSAGE = struct.Struct("=BBBB 2s2s 16s16s 12x I I 4x I I")
_DEADLINE = 5.0

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Entry(NamedTuple):
    """A socket: local address and port, the kernel's number of its state, bytes that wait to be read, its inode."""

    address: IPAddress
    port: int
    state: int
    unread: int
    inode: int


def sockets(protocol: int, states: int) -> list[Entry]:
    """All sockets of an IP protocol that are in one of the states, a bit mask of their numbers; IPv4 and IPv6.

    :raises OSError: if the kernel doesn't answer such questions.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as asked:
        asked.settimeout(_DEADLINE)
        found: list[Entry] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            request = _REQUEST.pack(family, protocol, 0, 0, states)
            header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_AND_DUMP, 1, 0)
            asked.send(header + request)
            found += _answers(asked)
        return found


def _answers(asked: socket.socket) -> Iterator[Entry]:
    while True:
        data = asked.recv(1 << 16)
        at = 0
        while at < len(data):
            length, kind, *_ = _HEADER.unpack_from(data, at)
            if kind == _DONE:
                return
            if kind == _ERROR:
                number = -struct.unpack_from("=i", data, at + _HEADER.size)[0]
                raise OSError(number, os.strerror(number))
            yield parse(data[at + _HEADER.size : at + length])
            at += (length + 3) & ~3


def parse(message: bytes) -> Entry:
    """One ``struct inet_diag_msg``."""
    family, state, _, _, port, _, address, _, _, unread, _, inode = _MESSAGE.unpack_from(message)
    size = 4 if family == socket.AF_INET else 16
    return Entry(ipaddress.ip_address(address[:size]), int.from_bytes(port, "big"), state, unread, inode)
