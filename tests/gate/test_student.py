"""Is our Student's t the one of the books?"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from pytest_netbench.gate.student import beta_share, quantile, tail

FREEDOM = st.integers(1, 120)


@given(FREEDOM, st.floats(-60, 60))
def test_the_tail_is_scipys(freedom: int, t: float) -> None:
    """Tail probabilities agree with scipy to ten digits."""
    assert tail(t, freedom) == pytest.approx(float(stats.t.sf(t, freedom)), rel=1e-10, abs=1e-300)


@given(FREEDOM, st.floats(1e-7, 0.999))
def test_the_quantile_is_scipys(freedom: int, alpha: float) -> None:
    """Quantiles agree with scipy to nine digits, also for the alphas of long suites."""
    assert quantile(alpha, freedom) == pytest.approx(float(stats.t.isf(alpha, freedom)), rel=1e-9, abs=1e-9)


@given(st.floats(0.5, 60), st.floats(0.5, 60), st.floats(0, 1))
def test_the_incomplete_beta_function_is_scipys(a: float, b: float, x: float) -> None:
    """I_x(a, b) agrees with scipy."""
    assert beta_share(a, b, x) == pytest.approx(float(special.betainc(a, b, x)), rel=1e-9, abs=1e-13)


@given(FREEDOM, st.floats(-50, 50))
def test_both_tails_make_one(freedom: int, t: float) -> None:
    """The distribution is symmetric."""
    assert tail(t, freedom) + tail(-t, freedom) == pytest.approx(1)


@given(FREEDOM, st.floats(1e-6, 0.5), st.floats(1e-6, 0.5))
def test_a_smaller_probability_lies_further_out(freedom: int, one: float, other: float) -> None:
    """The quantile falls with the probability."""
    low, high = sorted((one, other))
    assert quantile(low, freedom) >= quantile(high, freedom)


@pytest.mark.parametrize(("t", "expected"), [(math.inf, 0.0), (-math.inf, 1.0), (1e200, 0.0), (0.0, 0.5)])
def test_the_ends_of_the_line(t: float, expected: float) -> None:
    """Infinite and huge values have the limits as tails."""
    assert tail(t, 7) == expected


@pytest.mark.parametrize(
    "call", [lambda: tail(0, 0), lambda: quantile(0, 3), lambda: quantile(1, 3), lambda: beta_share(0, 1, 0.5)]
)
def test_what_isnt_defined_is_refused(call: object) -> None:
    """No degree of freedom, a probability of 0 or 1, a beta function of 0."""
    with pytest.raises(ValueError):  # noqa: PT011 - which of them is told by the call
        call()  # type: ignore[operator]
