"""Is the marker read as meant, and a mistake in it named?"""

from __future__ import annotations

from typing import Any

import pytest

from pytest_netbench import Gate, Hosts, Link, fan_in, fan_out, ping
from pytest_netbench.errors import UsageError
from pytest_netbench.roles import Role
from pytest_netbench.settings.marker import Spec, spec_of


def spec(**arguments: Any) -> Spec:
    return spec_of([((), arguments)])


def test_hosts_are_counted_from_the_scenario() -> None:
    """Ten servers that answer one client need ten hosts and one."""
    need = spec(scenario=fan_out(servers=10)).need()
    assert (need.servers, need.clients) == (10, 1)


def test_a_scenario_made_inside_the_test_needs_counts() -> None:
    """Without a scenario in the marker, the missing argument is named."""
    with pytest.raises(UsageError, match="needs servers= in"):
        spec(clients=1).need()


def test_a_larger_scenario_than_planned_names_the_argument() -> None:
    """Needing more hosts than the marker gave is an error that says what to raise."""
    with pytest.raises(UsageError, match="set clients=3"):
        spec(servers=1, clients=2).check_fits(fan_in(clients=3))


def test_the_closest_marker_wins() -> None:
    """A test's own argument beats its class's and its module's."""
    near, far = {"rounds": 2}, {"rounds": 9, "scenario": ping()}
    merged = spec_of([((), near), ((), far)])
    assert (merged.rounds, merged.scenario is not None) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"rouns": 3}, "unknown argument 'rouns': did you mean 'rounds'"),
        ({"rounds": 0}, "rounds=...at least 1"),
        ({"scenario": "ping"}, "expected a scenario"),
        ({"drivers": []}, "expected a list of names"),
        ({"hosts": {"server": Hosts()}}, "unknown role 'server': did you mean 'servers'"),
        ({"link": 3}, "expected a Link"),
        ({"timeout": -1}, "above zero"),
        ({"gate": {"goodput": 0.1}}, "to Gate"),
        ({"options": 3}, "expected a mapping"),
    ],
)
def test_a_mistake_is_named(arguments: dict[str, Any], text: str) -> None:
    """The argument, what was expected, what was found."""
    with pytest.raises(UsageError, match=text.replace("...", ".*")):
        spec(**arguments)


def test_positional_arguments_are_refused() -> None:
    """Every argument has a name."""
    with pytest.raises(UsageError, match="named arguments only"):
        spec_of([((3,), {})])


def test_kinds_and_links_are_kept() -> None:
    """What only some providers can do reaches them as it was written."""
    need = spec(scenario=ping(), hosts={"clients": Hosts(type="c6in.large")}, link=Link(rtt=0.05), mtu=1500).need()
    assert need.kinds[Role.CLIENT].type == "c6in.large"
    assert (need.link, need.mtu) == (Link(rtt=0.05), 1500)


def test_a_driver_for_one_side_is_joined_with_each_named_one() -> None:
    """``client_driver`` stays the same whatever the options choose; equal pairs are one."""
    assert spec(client_driver="tcp").pairs(["tcp", "s2n-tcp"]) == (("tcp", "tcp"), ("s2n-tcp", "tcp"))
    assert spec(client_driver="a", server_driver="b").pairs(["tcp", "s2n-tcp"]) == (("b", "a"),)


@pytest.mark.parametrize(("low", "high"), [(0.05, 0.05), (0.06, 0.02), (-0.1, 0.5), (0.1, 1.5)])
def test_a_gate_that_cannot_decide_is_refused(low: float, high: float) -> None:
    """What must be detected is larger than what may fail."""
    with pytest.raises(UsageError, match="fail_above < must_detect"):
        Gate(fail_above=low, must_detect=high)
