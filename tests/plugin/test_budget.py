"""Is the session's time shared out, gated tests first, and does what one leaves go to the next?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.session.budget import GATED, Budget


def test_a_gated_test_gets_four_times_the_share_of_another() -> None:
    """Ten seconds for two gated tests and two others."""
    budget = Budget(10.0, gated=2, others=2)
    assert [budget.share(gated=one) for one in (True, False, True, False)] == pytest.approx([4.0, 10 / 6, 8.0, 10.0])
    assert GATED == 4


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=20))
def test_tests_that_keep_to_their_shares_keep_to_the_budget(tests: list[tuple[bool, float]]) -> None:
    """Whatever each of them leaves, all together never take more."""
    budget = Budget(100.0, gated=sum(one for one, _ in tests), others=sum(not one for one, _ in tests))
    total = 0.0
    for gated, used in tests:
        share = budget.share(gated=gated)
        assert share is not None
        budget.spend(share * used)
        total += share * used
    assert total <= 100.0 + 1e-6


def test_without_a_budget_there_is_no_limit() -> None:
    """As many pairs as it takes."""
    budget = Budget(None, gated=1)
    budget.spend(5)
    assert budget.share(gated=True) is None


def test_a_budget_that_is_used_up_leaves_nothing_but_never_less() -> None:
    """A test that overran leaves the others their least, not a negative time."""
    budget = Budget(1.0, others=2)
    budget.spend(5)
    assert budget.share(gated=False) == 0
