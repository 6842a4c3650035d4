"""Which of a test's figures does a reader want first? One order for the terminal, the summary and the page."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_netbench.result.catalogue import describe, distribution
from pytest_netbench.result.model import Summary, TestRecord

MOST = 6
"""Figures of one test in a short table."""

_FIRST = ("connect.rate", "server.memory_per_connection", "client.memory_per_connection")
_THEN = ("goodput", "connect.p50")
_LAST = ("server.cpu_per_op", "client.cpu_per_op", "server.cpu_per_byte", "client.cpu_per_byte")


def headline(test: TestRecord) -> Mapping[str, Summary]:
    """The figures of a short table: loads, goodput and connects, the traces' medians, what an operation costs."""
    return {name: test.summary[name] for name in ordered(test)[:MOST] if _rank(name) < _REST}


def ordered(test: TestRecord) -> list[str]:
    """All figures of a test, the most telling first; breakdowns of others last."""
    return sorted(test.summary, key=lambda name: (_rank(name), _outer(test, name), name))


_LOADS, _MOVED, _TRACES, _COSTS, _REST, _DETAIL = 3, 8, 10, 20, 40, 50


def _rank(name: str) -> int:
    if name in _FIRST:
        return _FIRST.index(name)
    if name in _THEN:
        return _MOVED + _THEN.index(name)
    if name in _LAST:
        return _COSTS + _LAST.index(name)
    if name.endswith((".rate", ".achieved", ".offered")):
        return _LOADS
    split = distribution(name)
    if split is not None and split[0] != "connect" and split[1] == "p50":
        return _TRACES
    return _DETAIL if describe(name).detail else _REST


def _outer(test: TestRecord, name: str) -> float:
    """Traces in the order of their length, the longest first: the outermost tells most."""
    return -test.summary[name].median if _rank(name) == _TRACES else 0.0


def first_line(reason: str) -> str:
    """The first line of a reason, which may go on with the last lines of a driver."""
    return reason.partition("\n")[0]


def rounds(test: TestRecord) -> str:
    """How many rounds count: ``3``, or ``2 of 3``."""
    valid, every = sum(one.valid for one in test.rounds), len(test.rounds)
    return f"{valid}" if valid == every else f"{valid} of {every}"
