"""How is the network interface of a host set? Asked of the kernel for this namespace, which ``/sys`` may not show.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import array
import fcntl
import hashlib
import ipaddress
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pytest_netbench.telemetry.ethtool import ask

_SIOCGIFCONF, _SIOCGIFMTU = 0x8912, 0x8921
_ENTRY = struct.Struct("16s4x4s16x")
"""``struct ifreq`` with an IPv4 address in it: 40 bytes."""
_MOST_ADDRESSES = 1024

_OFFLOADS = {"tso": 0x1E, "gso": 0x23, "gro": 0x2B}
"""By ethtool's commands that read them: segments that the card or the kernel makes or joins."""

_GET_QDISC, _NEW_QDISC, _DUMP = 38, 36, 0x301
_HEADER, _TC = struct.Struct("=IHHII"), struct.Struct("=BxxxiIII")
_KIND, _OPTIONS = 1, 2
_ERROR, _DONE = 2, 3
_ANSWER = 1.0
"""Seconds."""

_CONFIGURED = frozenset({"netem", "tbf", "fq", "fq_codel", "codel", "cake", "pfifo", "bfifo"})
"""Queues whose settings the kernel tells without counters among them."""


def facts(address: str) -> dict[str, str]:
    """The interface that has an address, and how it is set; nothing where none has it."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if name := interface_of(sock, address):
            return {
                "interface": name,
                "mtu": str(_mtu(sock, name)),
                "qdisc": _qdisc(name),
                **{word: _flag(sock, name, command) for word, command in _OFFLOADS.items()},
            }
    return {}


def interface_of(sock: socket.socket, address: str) -> str:
    """The interface that has an address; empty if none has."""
    wanted = ipaddress.ip_address(address)
    if wanted.is_loopback:
        return "lo"
    named = _addresses6() if wanted.version == 6 else _addresses(sock)  # noqa: PLR2004 - IPv6
    return next((name for name, found in named if found == wanted.packed), "")


def _addresses(sock: socket.socket) -> Iterator[tuple[str, bytes]]:
    """IPv4 addresses with their interfaces, an alias under the name of what it stands for."""
    room = array.array("B", bytes(_MOST_ADDRESSES * _ENTRY.size))
    place, size = room.buffer_info()
    answer = fcntl.ioctl(sock, _SIOCGIFCONF, struct.pack("iP", size, place))
    (filled,) = struct.unpack_from("i", answer)
    for name, packed in _ENTRY.iter_unpack(room.tobytes()[:filled]):
        yield name.partition(b"\0")[0].decode().partition(":")[0], packed


def _addresses6(table: Path = Path("/proc/self/net/if_inet6")) -> Iterator[tuple[str, bytes]]:
    """IPv6 addresses with their interfaces: 32 digits first in a line, the name last."""
    with suppress(OSError):
        for line in table.read_text().splitlines():
            digits, *_, name = line.split()
            yield name, bytes.fromhex(digits)


def _mtu(sock: socket.socket, name: str) -> int:
    answer = fcntl.ioctl(sock, _SIOCGIFMTU, struct.pack("16s24x", name.encode()))
    return int(struct.unpack_from("i", answer, 16)[0])


def _flag(sock: socket.socket, name: str, command: int) -> str:
    """``on`` or ``off``; nothing where the interface doesn't say."""
    try:
        answer = ask(sock, name, struct.pack("II", command, 0), 0)
    except OSError:
        return ""
    return "on" if struct.unpack_from("I", answer, 4)[0] else "off"


def _qdisc(name: str) -> str:
    """The queues of an interface by their kinds; of those that have settings also what tells them from others."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asked:
        asked.settimeout(_ANSWER)
        body = _TC.pack(0, 0, 0, 0, 0)
        asked.send(_HEADER.pack(_HEADER.size + len(body), _GET_QDISC, _DUMP, 1, 0) + body)
        index = socket.if_nametoindex(name)
        return ", ".join(sorted({text for number, text in _answers(asked) if number == index}))


def _answers(asked: socket.socket) -> Iterator[tuple[int, str]]:
    while True:
        data = asked.recv(1 << 16)
        at = 0
        while at + _HEADER.size <= len(data):
            length, kind, *_ = _HEADER.unpack_from(data, at)
            if kind in {_DONE, _ERROR}:
                return
            if kind == _NEW_QDISC:
                yield queue(data[at + _HEADER.size : at + length])
            at += (length + 3) & ~3


def queue(message: bytes) -> tuple[int, str]:
    """One ``struct tcmsg`` with its attributes: the number of the interface, and the queue in words."""
    if len(message) < _TC.size:
        return 0, ""
    _, index, *_ = _TC.unpack_from(message)
    found: dict[int, bytes] = {}
    at = _TC.size
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if length < 4:  # noqa: PLR2004 - an attribute has at least its own head
            break
        found[kind] = message[at + 4 : at + length]
        at += (length + 3) & ~3
    name = found.get(_KIND, b"").rstrip(b"\0").decode(errors="replace")
    if name not in _CONFIGURED:
        return index, name
    return index, f"{name} (settings {hashlib.sha256(found.get(_OPTIONS, b'')).hexdigest()[:8]})"
