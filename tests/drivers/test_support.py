"""Is a scenario that a driver can't do refused, with the reason, and every other accepted?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_netbench.drivers import registry, s2n
from pytest_netbench.drivers.own import own
from pytest_netbench.drivers.support import check
from pytest_netbench.errors import Unsupported
from pytest_netbench.roles import Role
from pytest_netbench.scenario import catalog
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.model import Scenario

TWO = analyse(catalog.ping(streams=2))
ONE = analyse(catalog.ping())


@pytest.mark.parametrize("name", registry.KNOWN)
@pytest.mark.parametrize("role", Role)
def test_the_catalogues_default_runs_with_every_driver(name: str, role: Role) -> None:
    """What the real generator writes without parameters is supported."""
    for scenario in (
        catalog.connect(),
        catalog.ping(),
        catalog.request_response(),
        catalog.fan_out(),
        catalog.fan_in(),
        catalog.bidi(),
    ):
        check(registry.KNOWN[name], analyse(scenario), role, {})


def test_what_breaks_a_real_driver_is_unsupported_by_that_one() -> None:
    """Its fault is told with the place in the scenario; the others do it."""
    bad = analyse(replace(catalog.ping(), id="-x"))
    with pytest.raises(Unsupported, match="driver s2n-native-tls as server: id: an id that begins with '-'"):
        check(registry.KNOWN["s2n-native-tls"], bad, Role.SERVER, {})
    check(registry.KNOWN["s2n-tls"], bad, Role.SERVER, {})


EXTENDED = [
    (catalog.handshakes(), "repeat"),
    (catalog.handshakes(resume=True), "resumption"),
    (catalog.handshakes(early_data=True), "early_data"),
    (catalog.requests(), "fresh_streams"),
    (catalog.open_loop(), "schedule"),
    (catalog.idle(2), "hold"),
]


@pytest.mark.parametrize(("scenario", "word"), EXTENDED, ids=str)
@pytest.mark.parametrize("name", s2n.ROWS)
def test_every_real_driver_is_refused_what_extends_the_format(name: str, scenario: Scenario, word: str) -> None:
    """Its parser would pass over it and measure something else; the extension is named, before anything starts."""
    with pytest.raises(Unsupported, match=rf"driver {name} as client: the scenario requires .*'{word}' \("):
        check(s2n.ROWS[name], analyse(scenario), Role.CLIENT, {})


def test_a_driver_that_does_not_say_what_it_has_lacks_every_extension() -> None:
    """Its exit status tells only of the format; its section can list what it has beyond."""
    section = {"server": "server", "client": "client"}
    with pytest.raises(Unsupported, match="the scenario requires 'repeat'"):
        check(own("mine", section), analyse(catalog.handshakes()), Role.SERVER, {})
    check(own("mine", {**section, "features": ["repeat"]}), analyse(catalog.handshakes()), Role.SERVER, {})


def test_a_driver_carries_what_its_row_says() -> None:
    """What a scenario needs beyond that is named."""
    row = replace(registry.KNOWN["tcp"], features=frozenset())
    with pytest.raises(Unsupported, match="it doesn't carry several streams a connection"):
        check(row, TWO, Role.CLIENT, {})
    check(replace(row, features=frozenset({"streams"})), TWO, Role.CLIENT, {})
    check(row, ONE, Role.CLIENT, {})


def test_without_multiplexing_there_is_one_stream() -> None:
    """To switch it off makes several streams unsupported, not different."""
    row = registry.KNOWN["s2n-tcp"]
    check(row, TWO, Role.CLIENT, {"multiplex": True})
    check(row, ONE, Role.CLIENT, {"multiplex": False})
    with pytest.raises(Unsupported, match="2 streams a connection need multiplexing, which is switched off"):
        check(row, TWO, Role.CLIENT, {"multiplex": False})
