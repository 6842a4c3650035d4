"""Did the network card of a cloud host hold traffic back? Counters of the driver, read from the kernel (ethtool).

EC2's ENA counts the packets that it queued or dropped since an instance was above its share: of bandwidth in and out,
of packets a second, of tracked connections, of traffic to local services.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

from pytest_netbench.telemetry.ethtool import ask

_GET_INFO, _GET_STRINGS, _GET_STATISTICS = 0x37, 0x1B, 0x1D
_STATISTICS = 1
"""The set of strings that names the counters (``ETH_SS_STATS``)."""
_NAME = 32
SUFFIX = "_allowance_exceeded"


def exceeded() -> dict[str, int]:
    """The counters of all cards of this network namespace together; empty where no card has such."""
    found: dict[str, int] = {}
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            for counter, value in statistics(sock, name).items():
                if counter.endswith(SUFFIX):
                    found[counter] = found.get(counter, 0) + value
    return found


def statistics(sock: socket.socket, interface: str) -> dict[str, int]:
    """All counters of an interface's driver, by name; empty for one that has none."""
    try:
        count = _count(sock, interface)
        names = ask(sock, interface, struct.pack("III", _GET_STRINGS, _STATISTICS, count), count * _NAME)[12:]
        values = ask(sock, interface, struct.pack("II", _GET_STATISTICS, count), count * 8)[8:]
    except OSError:
        return {}
    return named(names, values, count)


def named(names: bytes, values: bytes, count: int) -> dict[str, int]:
    """Counters from the kernel's two tables: names of 32 bytes, values of 8."""
    texts = [names[start : start + _NAME].partition(b"\0")[0].decode(errors="replace") for start in _steps(count)]
    return dict(zip(texts, struct.unpack_from(f"{count}Q", values), strict=True))


def _steps(count: int) -> range:
    return range(0, count * _NAME, _NAME)


def _count(sock: socket.socket, interface: str) -> int:
    """How many counters there are (``ETHTOOL_GSSET_INFO``: command, reserved, mask of sets, and their sizes)."""
    answer = ask(sock, interface, struct.pack("IIQ", _GET_INFO, 0, 1 << _STATISTICS), 4)
    mask, count = struct.unpack_from("QI", answer, 8)
    return int(count) if mask else 0
