"""Are the sides of a round kept apart where each has enough of the machine?"""

from __future__ import annotations

from typing import Any

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.gate.order import halves
from pytest_netbench.roles import Role
from pytest_netbench.run import trial
from pytest_netbench.scenario.catalog import download, fan_out, request_response
from pytest_netbench.scenario.model import Scenario

OWN = {"client": "mine", "server": "mine"}


@pytest.mark.parametrize(
    ("processors", "narrow", "apart"), [(1, True, False), (2, True, True), (2, False, False), (4, False, True)]
)
def test_sides_are_kept_apart_where_half_is_enough(processors: int, narrow: bool, apart: bool) -> None:
    """Two processors are a half each for drivers with one thread only; sides swap them from pair to pair."""
    first, second = (halves(pair, processors, narrow=narrow) for pair in (0, 1))
    assert bool(first) is apart
    assert all(first[role] != second[role] for role in first)
    assert not apart or first[Role.SERVER] != first[Role.CLIENT]


@pytest.mark.parametrize(
    ("driver", "options", "scenario", "narrow"),
    [
        ("tcp", {}, download(1000), True),
        ("tcp", {"processes": 2}, download(1000), False),
        ("s2n-tcp", {}, download(1000), True),
        ("s2n-tcp", {"multithreaded": True}, download(1000), False),
        ("s2n-tcp", {}, request_response(count=2), False),
        ("s2n-quic", {}, request_response(count=2), True),
        ("s2n-quic", {}, fan_out(servers=2), False),
        ("mine", {}, download(1000), False),
        ("mine-on-one", {}, download(1000), True),
    ],
)
def test_half_of_two_processors_is_enough_for_one_thread(
    driver: str, options: dict[str, Any], scenario: Scenario, narrow: bool
) -> None:
    """The real drivers have one until they are told otherwise, or carry frames over TCP; own ones if they say so."""
    rows = registry.table({"mine": OWN, "mine-on-one": {**OWN, "one_thread": True}})
    assert trial(scenario, rows[driver], rows[driver], options).narrow is narrow
