"""Where did the processor's time go? Stacks and their samples, folded as flame graphs want them: a stack a line.

``main;read;copy 12``: twelve samples in ``copy``, which ``read`` had called. The form is that of Brendan Gregg's
FlameGraph, and many tools take it. This file runs on hosts: standard library only.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

from pytest_netbench.errors import ResultsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Stack: TypeAlias = tuple[str, ...]
"""Names of functions, the outermost first."""

DEEPEST = 256
"""Frames of a stack that are kept, from the outermost on."""

_UNKNOWN = "[unknown]"
_HASH = re.compile(r"(::h[0-9a-f]{16}|\.llvm\.\d+)+$")
"""What a compiler adds to a name, and what differs from build to build of one source."""


def to_text(stacks: Mapping[Stack, int]) -> str:
    """Stacks as text, sorted."""
    return "".join(f"{';'.join(map(plain, stack))} {count}\n" for stack, count in sorted(stacks.items()) if stack)


def from_text(text: str, name: str) -> Counter[Stack]:
    """Stacks from their text; ``name`` is what errors call it.

    :raises ResultsError: for a line that is none; names it.
    """
    found: Counter[Stack] = Counter()
    for number, line in enumerate(text.splitlines(), 1):
        names, _, count = line.rpartition(" ")
        if not names or not (count.isascii() and count.isdigit()):
            raise ResultsError(f"{name}, line {number}: expected a stack and its samples, as `main;read 12`")
        found[tuple(names.split(";"))] += int(count)
    return found


def plain(name: str) -> str:
    """A function's name as it can stand in a folded stack, the same in every build of one source."""
    return " ".join(_HASH.sub("", name).replace(";", ",").split()) or _UNKNOWN


def of_perf(lines: Iterable[str]) -> tuple[Counter[Stack], bool]:
    """Stacks from what ``perf script -F comm,event,ip,sym,dso`` prints; and whether the kernel's part was left out.

    Of each sample that is a line with the program's name and the event, then its frames, the last called first.
    """
    found: Counter[Stack] = Counter()
    program, frames, users = "", list[str](), False
    for line in (*lines, ""):
        if line[:1] not in {"\t", " "} or not line.strip():
            if program and frames:
                found[(program, *reversed(frames[-DEEPEST:]))] += 1
            name, _, event = line.strip().rstrip(":").rpartition(" ")
            program, frames = plain(name) if name else "", []
            users = users or "u" in event.partition(":")[2]
        elif (frame := _frame(line)) != _UNKNOWN or not frames:
            frames.append(frame)
    return found, users


def _frame(line: str) -> str:
    """``55d0 name+0x1 (/usr/bin/program)``: the name, or the program's file where that isn't known."""
    _, _, rest = line.strip().partition(" ")
    name, _, place = rest.rpartition(" (")
    place = place.rstrip(")")
    if name and name != _UNKNOWN:
        return plain(name)
    file = place.rpartition("/")[2]
    return f"[{plain(file)}]" if file and _UNKNOWN not in place else _UNKNOWN


def merged(every: Iterable[Mapping[Stack, int]]) -> Counter[Stack]:
    """The stacks of several hosts or rounds as one."""
    found: Counter[Stack] = Counter()
    for one in every:
        found.update(one)
    return found


def left(folder: Path) -> Counter[Stack]:
    """All stacks that a host left in its folder of a round.

    :raises ResultsError: if a file is malformed; names it.
    :raises OSError: if one can't be read.
    """
    return merged(
        from_text(path.read_text(encoding="utf-8"), str(path)) for path in sorted(folder.glob("profile*.folded"))
    )
