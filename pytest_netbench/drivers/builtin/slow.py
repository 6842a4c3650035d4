"""How is this driver made slower, to try a gate with? By CPU time for each byte that it takes, spent as it comes.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pytest_netbench.drivers.builtin import configuration
from pytest_netbench.drivers.builtin.ending import Misused

Receive: TypeAlias = Callable[[Any, int, int], int]

_LEAST_NS = 500.0
"""What is owed is paid from here on: the clock's own cost is small beside it."""

_per_byte = 0.0


def take(said: Mapping[str, str]) -> None:
    """From now on be as slow as the key ``slow.ns_per_byte`` of an endpoint's configuration says.

    :raises Misused: if it can't be read.
    """
    global _per_byte  # noqa: PLW0603 - one driver a process
    _per_byte = configuration.chosen(said, "slow.", {"ns_per_byte": _nanoseconds}).get("ns_per_byte", 0.0)


def slowed(receive: Receive) -> Receive:
    """The same, with that cost; itself where there is none."""
    if not _per_byte:
        return receive
    clock, per_byte, owed = time.perf_counter_ns, _per_byte, 0.0

    def slow(landing: Any, limit: int, flags: int) -> int:  # noqa: ANN401 - a buffer
        nonlocal owed
        came = receive(landing, limit, flags)
        owed += came * per_byte
        if owed >= _LEAST_NS:
            until = clock() + owed
            while clock() < until:
                pass
            owed = 0.0
        return came

    return slow


def _nanoseconds(key: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e6:  # noqa: PLR2004 - a millisecond a byte
        raise Misused(f"{key}: expected nanoseconds for each byte, as 0.05, found {text!r}")
    return found
