"""Does the built-in driver find out where its CPU time goes, without being led astray by the timer's signals?"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from pytest_netbench.drivers.builtin.sampler import sampled
from pytest_netbench.telemetry.stacks import left


def _busy() -> None:
    until = time.process_time() + 0.2
    while time.process_time() < until:
        sum(range(100))


def test_what_computes_is_met(tmp_path: Path) -> None:
    """The function by its file and name, below those that called it; the timer is off afterwards."""
    with sampled(tmp_path / "profile.folded"):
        _busy()
    met = sum(count for stack, count in left(tmp_path).items() if "test_builtin_sampler._busy" in stack)
    assert met > 0
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_what_waits_is_not(tmp_path: Path) -> None:
    """The timer counts CPU time."""
    with sampled(tmp_path / "profile.folded"):
        time.sleep(0.1)
    assert left(tmp_path).total() <= 2


def test_each_of_several_processes_has_a_file(tmp_path: Path) -> None:
    """Written also where it ends by an error; without a path nothing happens."""
    with sampled(None):
        pass
    with pytest.raises(ZeroDivisionError), sampled(tmp_path / "profile.folded", 3):
        _ = 1 / 0
    assert [path.name for path in tmp_path.iterdir()] == ["profile-3.folded"]
