"""Is what other programs took of a machine told from what the drivers took?"""

from __future__ import annotations

import pytest

from pytest_netbench.result.foreign import foreign_share
from pytest_netbench.telemetry.model import MachineUse
from tests.result.result_cases import host


def test_the_drivers_own_use_isnt_foreign() -> None:
    """Two drivers on one machine, with the client's window: 1.5 of 2 seconds busy, 0.9 of them theirs."""
    hosts = [
        host("server0", cpu=0.5, use=MachineUse("one", 9.0, 9.0)),
        host("client0", cpu=0.4, use=MachineUse("one", 1.5, 2.0)),
    ]
    assert foreign_share(hosts) == pytest.approx(0.3)


def test_the_busiest_machine_counts() -> None:
    """On two machines each has its own share."""
    hosts = [
        host("server0", cpu=0.5, use=MachineUse("one", 0.5, 2.0)),
        host("client0", cpu=0.5, use=MachineUse("two", 1.5, 2.0)),
    ]
    assert foreign_share(hosts) == pytest.approx(0.5)


def test_what_isnt_known_is_no_share() -> None:
    """Hosts that tell nothing, and a window without a tick; more own use than was seen is none of others."""
    assert foreign_share([host("client0")]) is None
    assert foreign_share([host("client0", use=MachineUse("one", 0.0, 0.0))]) is None
    assert foreign_share([host("client0", cpu=3.0, use=MachineUse("one", 1.0, 2.0))]) == 0
