"""Are amounts read and named as the real generator does?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench import units


@pytest.mark.parametrize(
    ("text", "amount"),
    [("512", 512), ("10KB", 10_000), ("1KiB", 1024), ("2miB", 2 << 20), ("9b", 2), ("8Kb", 1000), ("3T", 3 * 10**12)],
)
def test_bytes(text: str, amount: int) -> None:
    """Decimal and binary prefixes, bits rounded up."""
    assert units.parse_bytes(text) == amount


@pytest.mark.parametrize(
    ("text", "seconds"), [("15s", 15), ("500ms", 0.5), ("1m 30s", 90), ("1h", 3600), ("2.5us", 2.5e-6)]
)
def test_times(text: str, seconds: float) -> None:
    """One or several numbers with units."""
    assert units.parse_time(text) == pytest.approx(seconds)


@pytest.mark.parametrize(("value", "seconds"), [("8m", 480), (1, 1), (0.5, 0.5)])
def test_a_time_in_a_configuration(value: object, seconds: float) -> None:
    """With a unit, or a number of seconds."""
    assert units.seconds(value) == seconds


@pytest.mark.parametrize("value", [0, -1, "0s", float("nan"), float("inf"), True, None, ["1s"], ""])
def test_what_is_no_time_above_zero(value: object) -> None:
    """Is refused, whatever it is."""
    with pytest.raises(ValueError, match=r"expected a time .*, found"):
        units.seconds(value)


@pytest.mark.parametrize(("text", "rate"), [("1MBps", (10**6, 1.0)), ("100KB/50ms", (10**5, 0.05))])
def test_rates(text: str, rate: tuple[int, float]) -> None:
    """Bytes a second, or bytes over a time."""
    assert units.parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "x", "1.5KB", "-1", "KB", "1XB", "10 parsecs"])
def test_nonsense_says_what_was_expected(text: str) -> None:
    """Every parser complains in the same way."""
    for parse in (units.parse_bytes, units.parse_time, units.parse_rate):
        with pytest.raises(ValueError, match=r"expected .*, found"):
            parse(text)


@given(st.integers(0, 2**63))
def test_a_label_is_read_back_within_its_digits(amount: int) -> None:
    """Names of sizes keep two decimals."""
    label = units.bytes_label(amount)
    if "." not in label:
        assert units.parse_bytes(label) == amount
