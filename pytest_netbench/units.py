"""How are bytes, rates and times written? Units to multiply with, text to read, and text for people.

The syntax is that of the real generator: ``10MB``, ``1KiB``, ``8Kb`` (bits), ``1MBps``, ``100KB/50ms``, ``1h 2s``.
"""

from __future__ import annotations

import re

KB, MB, GB = 10**3, 10**6, 10**9
KiB, MiB, GiB = 2**10, 2**20, 2**30
"""Bytes."""

s, ms, us = 1.0, 1e-3, 1e-6
"""Seconds."""

Kbit_per_s, Mbit_per_s, Gbit_per_s = 1e3 / 8, 1e6 / 8, 1e9 / 8
"""Bytes per second."""

_PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_BYTES = re.compile(r"(\d+)\s*([kKmMgGtT]i?)?([Bb])?")
_TIMES = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3,
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0,
}  # fmt: skip
_TIME = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zµ]+)")


def parse_bytes(text: str) -> int:
    """A number of bytes; bits are rounded up to whole ones.

    :raises ValueError: says what was expected.
    """
    match = _BYTES.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected bytes as 512, 10KB or 1MiB, found {text!r}")
    amount = int(match[1]) * _PREFIXES[(match[2] or "").lower()]
    return -(-amount // 8) if match[3] == "b" else amount


def parse_time(text: str) -> float:
    """A duration in seconds, from one or several numbers with units.

    :raises ValueError: says what was expected.
    """
    found, end = 0.0, 0
    text = text.strip()
    while end < len(text) and (match := _TIME.match(text, end)) is not None and match[2] in _TIMES:
        found, end = found + float(match[1]) * _TIMES[match[2]], match.end()
    if not text or end < len(text):
        raise ValueError(f"expected a time as 500ms, 15s or 1m 30s, found {text!r}")
    return found


def seconds(value: object) -> float:
    """A duration in seconds from text with a unit (``8m``, ``500ms``) or from a number of seconds.

    :raises ValueError: if it is neither, or isn't above zero.
    """
    if isinstance(value, str):
        found = parse_time(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found = float(value)
    else:
        raise ValueError(f"expected a time as 500ms, or seconds, found {value!r}")
    if not 0 < found < float("inf"):
        raise ValueError(f"expected a time above zero, found {value!r}")
    return found


def parse_rate(text: str) -> tuple[int, float]:
    """A rate: bytes, and the seconds in which that many may pass; from ``1MBps`` or ``100KB/50ms``.

    :raises ValueError: says what was expected.
    """
    amount, slash, period = text.partition("/")
    if not slash and text.endswith("ps"):
        amount, period = text[:-2], "1s"
    elif not slash:
        raise ValueError(f"expected a rate as 1MBps or 100KB/50ms, found {text!r}")
    over = parse_time(period)
    if over < ms:
        raise ValueError(f"expected a rate over at least 1ms, found {text!r}")
    return parse_bytes(amount), over


def bytes_label(amount: int) -> str:
    """Bytes as the real generator names them: in the largest decimal unit, whole or with two decimals."""
    for unit, size in (("TB", 10**12), ("GB", GB), ("MB", MB), ("KB", KB)):
        if amount >= size:
            return f"{amount // size}{unit}" if amount % size == 0 else f"{amount / size:.2f}{unit}"
    return f"{amount}B"


def show_bytes(amount: float) -> str:
    """Bytes for people: three digits and a decimal unit."""
    for unit, size in (("TB", 10**12), ("GB", GB), ("MB", MB), ("KB", KB)):
        if amount >= size:
            return f"{amount / size:.3g} {unit}"
    return f"{amount:.3g} B"
