"""How is a metric's number written for people? With a prefix that keeps it short: 91.2 MB/s, 1.5 ms, 1.3 ns/B."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_UP = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K"))
_DOWN = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"))

_WHOLE, _LONG = 1e4, 1e15  # from here on no decimals; beyond, powers of ten


def prefix(value: float, unit: str) -> tuple[float, str]:
    """The factor to divide by, and the unit to show, for numbers as large as ``value``; (1, "") for pure numbers."""
    size = abs(value)
    if unit == "1" or not math.isfinite(size):
        return 1.0, "" if unit == "1" else unit
    if unit.startswith("B"):
        steps = (*_UP, (1.0, ""))
    elif unit == "s" or unit.startswith("s/"):
        steps = _DOWN
    else:
        return 1.0, unit
    for factor, letter in steps:
        if size >= factor * 0.99995:  # what would be rounded to 1000 belongs to the next prefix
            return factor, letter + unit
    factor, letter = steps[0] if size == 0 or unit.startswith("B") else steps[-1]
    return (1.0, unit) if unit.startswith("B") else (factor, letter + unit)


def show(value: float, unit: str) -> str:
    """A number with its unit, four digits: ``show(0.0015, "s") == "1.5 ms"``."""
    factor, name = prefix(value, unit)
    return f"{_digits(value / factor)} {name}".rstrip()


def show_all(values: Iterable[float], unit: str, between: str = ", ") -> str:
    """Several numbers under one prefix: ``90.1, 91.2, 95 MB/s``."""
    numbers = list(values)
    if not numbers:
        return "none"
    factor, name = prefix(max(abs(one) for one in numbers), unit)
    return f"{between.join(_digits(one / factor) for one in numbers)} {name}".rstrip()


def _digits(number: float) -> str:
    if not math.isfinite(number):
        return str(number)
    if abs(number) < _LONG and (number == int(number) or abs(number) >= _WHOLE):
        return f"{number:.0f}"
    return f"{number:.4g}"


def count(number: int, noun: str) -> str:
    """``1 round``, ``3 rounds``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
