"""Can this driver do what a scenario requires beyond netbench's language? What it has, by name.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_netbench.drivers.builtin.ending import Unsupported
from pytest_netbench.drivers.builtin.settings import Transport
from pytest_netbench.scenario.features import Feature, required
from pytest_netbench.scenario.model import Scenario

_EVERYWHERE = frozenset({Feature.REPEAT, Feature.SCHEDULE, Feature.FRESH_STREAMS, Feature.HOLD})

HAS: Mapping[Transport, frozenset[Feature]] = {
    Transport.TCP: _EVERYWHERE,
    Transport.TLS: _EVERYWHERE | {Feature.RESUMPTION},
    Transport.QUIC: _EVERYWHERE | {Feature.RESUMPTION, Feature.EARLY_DATA, Feature.DATAGRAMS},
}
"""What is carried out over each transport; ``features`` of the drivers' rows say the same."""


def check(scenario: Scenario, transport: Transport) -> None:
    """Check what a scenario requires.

    :raises Unsupported: names what is lacking.
    """
    if lacking := [one for one in required(scenario) if one not in HAS[transport]]:
        raise Unsupported("the scenario requires " + ", ".join(f"{one.word!r} ({one})" for one in lacking))
