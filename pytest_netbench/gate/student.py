"""How likely is a value of Student's t? Its tail and the inverse of that; standard library only."""

from __future__ import annotations

import math
from functools import lru_cache

_PRECISION = 1e-15
_TINY = 1e-300
_STEPS = 500


def beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b).

    By the continued fraction of the NIST Digital Library of Mathematical Functions, 8.17.22, on the side of the mode
    where it converges fast, by Lentz's method as modified by Thompson and Barnett (J. Comput. Phys. 64, 1986).

    :raises ValueError: unless ``a`` and ``b`` are above 0 and ``x`` lies in 0..1.
    """
    if not (a > 0 and b > 0 and 0 <= x <= 1):
        raise ValueError(f"I_x(a, b) isn't defined for a={a}, b={b}, x={x}")
    if x in {0.0, 1.0}:
        return x
    logs = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1) / (a + b + 2):
        return math.exp(logs) * _fraction(a, b, x) / a
    return 1 - math.exp(logs) * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    upper, lower = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = lower
    for step in range(1, _STEPS):
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        for term in (even, odd):
            lower = 1 / _not_zero(1 + term * lower)
            upper = _not_zero(1 + term / upper)
            value *= lower * upper
        if abs(lower * upper - 1) < _PRECISION:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def tail(t: float, freedom: int) -> float:
    """The probability that Student's t with so many degrees of freedom exceeds ``t``.

    :raises ValueError: for less than one degree of freedom.
    """
    if freedom < 1:
        raise ValueError(f"Student's t needs a degree of freedom, got {freedom}")
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    square = t * t
    if math.isinf(square):
        return 0.0 if t > 0 else 1.0
    if square > 1:
        half = beta_share(freedom / 2, 0.5, freedom / (freedom + square)) / 2
    else:
        half = (1 - beta_share(0.5, freedom / 2, square / (freedom + square))) / 2
    return half if t >= 0 else 1 - half


@lru_cache(maxsize=4096)
def quantile(alpha: float, freedom: int) -> float:
    """The value that Student's t exceeds with probability ``alpha``: the inverse of :func:`tail`.

    :raises ValueError: unless ``alpha`` lies between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"a probability between 0 and 1 is expected, got {alpha}")
    if alpha == 0.5:  # noqa: PLR2004 - the median
        return 0.0
    if alpha > 0.5:  # noqa: PLR2004 - the other tail
        return -quantile(1 - alpha, freedom)
    low, high = 0.0, 1.0
    while tail(high, freedom) > alpha:
        low, high = high, 2 * high
    while high - low > 4 * math.ulp(high):
        middle = (low + high) / 2
        if tail(middle, freedom) > alpha:
            low = middle
        else:
            high = middle
    return (low + high) / 2
