"""What do the tests of AWS share? One emulated cloud, healthy and quick at the begin of each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_netbench.testing.aws.emulation import Emulation

QUICK = {"boot_s": 0.05, "agent_s": 0.05, "end_s": 0.05, "visible_s": 0.0, "minute_s": 60.0, "skew_s": 0.0}


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steady: None) -> None:
    """Ledgers of these runs don't mix with the user's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def _emulation() -> Iterator[Emulation]:
    with Emulation() as started:
        yield started


@pytest.fixture
def cloud(_emulation: Emulation) -> Emulation:
    """The emulated cloud: nothing goes wrong in it, yet."""
    _emulation.faults()
    _emulation.delays(**QUICK)
    return _emulation


@pytest.fixture
def stack(cloud: Emulation) -> Emulation:
    """The cloud, after ``netbench aws setup``."""
    cloud.set_up()
    return cloud
