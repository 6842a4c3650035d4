"""On which processors, and in how many processes, does this driver run? Configuration keys that are no transport's.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_netbench.drivers.builtin import configuration
from pytest_netbench.drivers.builtin.ending import Misused, Unsupported

_MOST_PROCESSES = 1024
_MOST_CPU = 4095


@dataclass(frozen=True, slots=True)
class Place:
    """``cpus``: that it is kept to, None for all; ``processes``: that serve one address."""

    cpus: tuple[int, ...] | None = None
    processes: int = 1

    def take(self, process: int | None = None) -> None:
        """Keep this process to its processors; of several processes, each to one, in turns.

        :raises Unsupported: if this host hasn't got them.
        """
        if self.cpus is None:
            return
        mine = self.cpus if process is None else (self.cpus[process % len(self.cpus)],)
        try:
            os.sched_setaffinity(0, mine)
        except OSError:
            here = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
            text = ", ".join(map(str, mine))
            raise Unsupported(f"cpus: processor {text} isn't there for this process, only {here}") from None


def place(said: Mapping[str, str]) -> Place:
    """The keys ``cpus`` and ``processes`` of an endpoint's configuration.

    :raises Misused: if one can't be read.
    """
    mine = {key: text for key, text in said.items() if key in _READERS}
    return Place(**configuration.chosen(mine, "", _READERS))


def _cpus(key: str, text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise Misused(f"{key}: expected numbers of processors, as 0,2-3, found {text!r}")
        low, high = int(first), int(last or first)
        if not low <= high <= _MOST_CPU:
            raise Misused(f"{key}: expected numbers of processors, as 0,2-3, found {text!r}")
        found.update(range(low, high + 1))
    return tuple(sorted(found))


def _processes(key: str, text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) <= _MOST_PROCESSES:
        return int(text)
    raise Misused(f"{key}: expected a number of processes, 1 to {_MOST_PROCESSES}, found {text!r}")


_READERS: Mapping[str, configuration.Reader] = {"cpus": _cpus, "processes": _processes}
