"""Are the sides of a round kept apart where each has enough of the machine?"""

from __future__ import annotations

import pytest

from pytest_netbench.gate.order import halves
from pytest_netbench.roles import Role


@pytest.mark.parametrize(
    ("processors", "narrow", "apart"), [(1, True, False), (2, True, True), (2, False, False), (4, False, True)]
)
def test_sides_are_kept_apart_where_half_is_enough(processors: int, narrow: bool, apart: bool) -> None:
    """Two processors are a half each for drivers with one thread only; sides swap them from pair to pair."""
    first, second = (halves(pair, processors, narrow=narrow) for pair in (0, 1))
    assert bool(first) is apart
    assert all(first[role] != second[role] for role in first)
    assert not apart or first[Role.SERVER] != first[Role.CLIENT]
