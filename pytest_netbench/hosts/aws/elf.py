"""For which machines is a program, and what does it need there? Read from its file; pure.

The format is that of the System V ABI and of GNU's symbol versions, for 64 bits, little-endian.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

MAGIC = b"\x7fELF"
_MACHINES = {0x3E: "x86_64", 0xB7: "arm64"}
_GLIBC = re.compile(rb"\0GLIBC_(\d+)\.(\d+)(?:\.\d+)?(?=\0)")
_HEADER, _SEGMENT, _ENTRY = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ"), struct.Struct("<QQ")
_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRINGS = 1, 5


def machine(data: bytes) -> str:
    """As EC2 names it, or the format's number for it."""
    (kind,) = struct.unpack_from("<H", data.ljust(20, b"\0"), 18)
    return _MACHINES.get(kind, f"machine {kind:#x}")


def glibc_need(data: bytes) -> tuple[int, int] | None:
    """The newest version of glibc that a program names among its symbols' versions; None for a static one."""
    versions = [(int(major), int(minor)) for major, minor in _GLIBC.findall(data)]
    return max(versions, default=None)


def libraries(data: bytes) -> tuple[str, ...]:
    """The shared libraries that it is linked with, by their names; none where its file isn't whole."""
    try:
        return tuple(_libraries(data))
    except (struct.error, ValueError):
        return ()


def _libraries(data: bytes) -> Iterator[str]:
    header = _HEADER.unpack_from(data)
    start, size, count = header[5], header[9], header[10]
    segments = [_SEGMENT.unpack_from(data, start + index * size) for index in range(count)]
    entries = [
        _ENTRY.unpack_from(data, offset)
        for kind, _, begin, _, _, length, _, _ in segments
        if kind == _DYNAMIC
        for offset in range(begin, begin + length, _ENTRY.size)
    ]
    strings = next((value for tag, value in entries if tag == _STRINGS), None)
    if strings is None:
        return
    place = next(
        begin + strings - address
        for kind, _, begin, address, _, length, _, _ in segments
        if kind == _LOAD and address <= strings < address + length
    )
    for tag, value in entries:
        if tag == _NEEDED:
            yield data[place + value : data.index(b"\0", place + value)].decode(errors="replace")
