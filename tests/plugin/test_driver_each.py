"""May each client have a driver of its own, and does the result say which?"""

from __future__ import annotations

import json
import sys

import pytest

from pytest_netbench import fan_in
from pytest_netbench.errors import UsageError
from pytest_netbench.settings.marker import Spec, spec_of
from tests.plugin.conftest import results
from tests.test_own_driver import example

TEST = """
    import pytest
    from pytest_netbench import KB, fan_in

    @pytest.mark.netbench(scenario=fan_in(clients=3, upload=20 * KB), client_driver={1: "mine"}, rounds=1)
    def test_it(netbench):
        assert netbench.run().valid
"""


def spec(**arguments: object) -> Spec:
    return spec_of([((), {"scenario": fan_in(clients=3), **arguments})])


def test_each_client_has_its_own(pytester: pytest.Pytester) -> None:
    """They meet at one server; the result names all of them, and the version of each."""
    (pytester.path / "driver.py").write_text(example())
    line = json.dumps([sys.executable, str(pytester.path / "driver.py")])
    (pytester.path / "netbench.toml").write_text(f'[drivers.mine]\nserver = {line}\nclient = {line}\ntransport = "tcp"')
    pytester.makepyfile(TEST)
    assert pytester.runpytest_subprocess().ret == 0
    whole = results(pytester)
    assert whole["tests"][0]["driver"] == "tcp/tcp+mine+tcp"
    assert whole["tests"][0]["nodeid"].endswith("test_it[tcp/tcp+mine+tcp]")
    assert {"driver tcp", "driver mine"} < set(whole["session"]["versions"])


@pytest.mark.parametrize(
    ("cast", "pair"),
    [
        (["a", "b", "c"], ("tcp", "a+b+c")),
        (["a", "a", "a"], ("tcp", "a")),
        ({2: "b"}, ("tcp", "tcp+tcp+b")),
        ("a", ("tcp", "a")),
    ],
)
def test_names_are_joined(cast: object, pair: tuple[str, str]) -> None:
    """One for each in their order; those that a mapping doesn't name are the test's own."""
    assert spec(client_driver=cast).pairs(["tcp"]) == (pair,)


@pytest.mark.parametrize(
    ("cast", "why"),
    [
        (["a", "b"], "client_driver= names 2 drivers, there are 3 clients: name one for each"),
        ({3: "a"}, "client_driver= names a driver for number 3, there are 3 clients, from 0 on"),
        ({"0": "a"}, "expected a driver's name, a list with one for each host"),
        ([], "expected a driver's name"),
        (7, "expected a driver's name"),
    ],
)
def test_a_wrong_cast_is_named(cast: object, why: str) -> None:
    """How many there are, or what was expected."""
    with pytest.raises(UsageError, match=why):
        spec(client_driver=cast).pairs(["tcp"])
