"""How do tests of whole rounds run on a machine that others use, too? What it does to a round isn't held against it.

Its clock may be set, its processors may be taken away by whoever lends them or by other programs, clients may begin too
far apart, and a load may not be carried: each is a reason for which a round, or a pair of them, doesn't count
(``tests/result/test_validity.py``, ``tests/gate``), and says nothing of what is tested here.
As a plugin (``PYTEST_PLUGINS=tests.steady``) the same holds in the sessions of pytest that a test begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pytest_netbench.gate import pairs
from pytest_netbench.result import validity
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.telemetry.model import HostReport

ROOT = Path(__file__).parents[1]
MACHINE = (*validity.OUTSIDE, validity._began_together)
"""The rules about it."""


def _done(case: validity._Case) -> Iterator[str]:
    """As the rule of validity: but how much of a load is carried depends on who else wants the processor."""
    return (one for one in validity._extensions_done(case) if "makes a load that was carried" not in one)


RULES = tuple(_done if one is validity._extensions_done else one for one in validity.RULES if one not in MACHINE)


NO_PROMISE = validity.Budgets(udp_drops=None)
"""Of a loopback that others use, too: whose datagrams were dropped there, nobody knows."""


def reasons(scenario: Scenario, hosts: Sequence[HostReport], *, armed: bool) -> tuple[str, ...]:
    """Why a round doesn't count, but for what the machine did to it."""
    found = validity.judge(scenario, analyse(scenario), hosts, 0.0, armed, 0, NO_PROMISE)
    outside = validity.from_outside(scenario, analyse(scenario), hosts)
    return tuple(one for one in found if one not in outside)


def make_steady(patch: pytest.MonkeyPatch) -> None:
    """In this process, and in the sessions of pytest that it begins."""
    patch.setattr(validity, "RULES", RULES)
    patch.setattr(validity, "OUTSIDE", ())
    patch.setattr(pairs, "FOREIGN", 2.0)  # more than there is
    patch.setenv("PYTEST_PLUGINS", __name__)
    patch.setenv("PYTHONPATH", str(ROOT), prepend=":")


def pytest_configure(config: pytest.Config) -> None:
    """The session was begun by a test."""
    patch = pytest.MonkeyPatch()
    make_steady(patch)
    config.add_cleanup(patch.undo)
