"""Is a driver that is to be slower so by what is said for each byte, and otherwise itself?"""

from __future__ import annotations

import itertools

import pytest

from pytest_netbench.drivers.builtin import slow
from pytest_netbench.drivers.builtin.ending import Misused

KEY = "slow.ns_per_byte"


def receive(_landing: object, limit: int, _flags: int) -> int:
    return limit


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow, "_per_byte", 0.0)


def test_nothing_is_between_where_nothing_is_said() -> None:
    """The function is the socket's own."""
    slow.take({"tcp.nodelay": "true"})
    assert slow.slowed(receive) is receive


def test_each_byte_costs_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that shows 100 ns more at each look: 1,000 calls of 100 bytes at 2 ns are 0.2 ms, owed where small."""
    looks = itertools.count(step=100)
    monkeypatch.setattr("time.perf_counter_ns", looks.__next__)
    slow.take({KEY: "2"})
    slowed = slow.slowed(receive)
    assert sum(slowed(b"", 100, 0) for _ in range(1000)) == 100_000
    passed = next(looks)
    assert 200_000 <= passed <= 400_000


@pytest.mark.parametrize("text", ["", "fast", "-1", "1e9", "nan"])
def test_what_is_no_cost_is_refused(text: str) -> None:
    """With the key, and what was expected."""
    with pytest.raises(Misused, match=r"slow\.ns_per_byte: expected nanoseconds for each byte"):
        slow.take({KEY: text})
