"""What does one line of a real driver's ``TRACE=stdio`` say? The grammar, and nothing of what the lines add up to.

    0:00:00.146007 [0:0.0] prof[response]=145.836ms

Time since that endpoint's own zero, connection, scopes (only with ``-V``), event, its subject, its amount.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE = re.compile(
    rb"(\d+):(\d\d):(\d\d)(?:\.(\d{1,9}))? \[(\d+)((?::\d+\.\d+)*)\] "
    rb"(?:(conn|open|acpt|send|recv|sfin|rfin|trce|prof|park|uprk)\[(.*)\](?:=(.+))?|(exec): .*)"
)
_DURATION = re.compile(r"(\d+)(?:\.(\d+))?(ns|\u00b5s|us|ms|s)")
_DIGITS = {"ns": 0, "\u00b5s": 3, "us": 3, "ms": 6, "s": 9}

WITH_AMOUNT = frozenset({b"conn", b"send", b"recv", b"prof"})


class Line(NamedTuple):
    """One event. ``offset``: where its line begins in the output. ``scopes``: as they stand there, empty without -V."""

    offset: int
    at_ns: int
    connection: int
    scopes: bytes
    event: bytes
    subject: bytes
    amount: bytes


class Garbage(NamedTuple):
    """A line that isn't one of a trace."""

    offset: int
    text: bytes


def lines(output: bytes) -> Iterator[Line | Garbage]:
    """The lines of an output, one by one; a last one without an end is garbage too."""
    offset = 0
    match = _LINE.fullmatch
    for whole in output.splitlines(keepends=True):
        text = whole.rstrip(b"\n")
        found = match(text) if len(text) < len(whole) else None
        line = None if found is None else _line(offset, found)
        yield Garbage(offset, text) if line is None else line
        offset += len(whole)


def _line(offset: int, found: re.Match[bytes]) -> Line | None:
    hours, minutes, seconds, fraction, connection, scopes, event, subject, amount, executed = found.groups()
    if executed is not None:
        event, subject = executed, b""
    elif (amount is not None) != (event in WITH_AMOUNT):
        return None
    at_ns = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1_000_000_000
    if fraction is not None:
        at_ns += int(fraction.ljust(9, b"0"))
    return Line(offset, at_ns, int(connection), scopes, event, subject, amount or b"")


def duration_s(text: str) -> float:
    """Seconds of a duration as Rust's debug format shows it: ``1µs``, ``129.4ms``, ``2.933024s``.

    :raises ValueError: if it isn't one.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"not a duration: {text!r}")
    whole, fraction, unit = found.groups()
    return float(f"{whole}.{fraction or 0}e{_DIGITS[unit] - 9}")
