"""Are numbers short and true for people?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.result.words import count, show, show_all


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (91_234_567.0, "B/s", "91.23 MB/s"),
        (999_999.0, "B", "1 MB"),
        (0.0, "B", "0 B"),
        (0.5, "B/s", "0.5 B/s"),
        (0.0015, "s", "1.5 ms"),
        (0.0, "s", "0 s"),
        (12.0, "s", "12 s"),
        (1.3e-9, "s/B", "1.3 ns/B"),
        (3.0, "1", "3"),
        (0.87654321, "1", "0.8765"),
        (123_456.7, "1", "123457"),
        (1e20, "1", "1e+20"),
        (-0.002, "s", "-2 ms"),
        (5.0, "widgets", "5 widgets"),
    ],
)
def test_numbers_have_a_fitting_prefix(value: float, unit: str, text: str) -> None:
    """Four digits and the prefix that keeps the number between 1 and 1000."""
    assert show(value, unit) == text


@given(st.floats(1e-11, 1e14), st.sampled_from(["s", "B", "B/s", "s/B"]))
def test_what_is_shown_is_close_to_the_number(value: float, unit: str) -> None:
    """The text read back is the number to four digits."""
    number, name = show(value, unit).split()
    letter = name.removesuffix(unit)
    scale = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}[letter]
    assert float(number) * scale == pytest.approx(value, rel=6e-4)


def test_several_numbers_share_one_prefix() -> None:
    """Numbers beside each other are in one unit."""
    assert show_all([900e3, 91.2e6], "B/s") == "0.9, 91.2 MB/s"
    assert show_all([], "s") == "none"


def test_nouns_agree() -> None:
    """One round, two rounds."""
    assert (count(1, "round"), count(2, "round")) == ("1 round", "2 rounds")
