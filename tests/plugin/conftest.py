"""What do the plugin's tests share? A project with one benchmark that takes a fifth of a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.steady import make_steady

PING = """
import pytest
from pytest_netbench import KB, ms, ping

SHORT = ping(time=200 * ms, size=[1 * KB])

@pytest.mark.ping
@pytest.mark.netbench(scenario=SHORT, rounds=1)
def test_ping(netbench):
    assert netbench.run()["ping_1KB.p50"].value > 0
"""


PLAYED = """
from pytest_netbench import run
from pytest_netbench.result.model import Round
import random

async def carry_out(stage, seen=[0], rng=random.Random(3)):
    seen[0] += 1
    cost = rng.lognormvariate(0, 0.01) * (1 + (stage.arm == "cand") * EFFECT)
    metrics = {name: cost for name in ("client.cpu_per_op", "ping_1KB.p50", "response.p50")} | {"goodput": 1 / cost}
    seconds = stage.trial.analysis.shortest_s + 0.005
    started = f"2026-01-01T00:{seen[0] // 60 % 60:02}:{seen[0] % 60:02}Z"
    return Round(stage.index, stage.arm, started, seconds, metrics, 0.0, True, 0, ())

run.carry_out = carry_out
"""


def play(pytester: pytest.Pytester, effect: float = 0.0) -> None:
    """In this project rounds are played, not run: a candidate's cost more by a share. Hosts are made all the same."""
    pytester.makeconftest(PLAYED.replace("EFFECT", str(effect)))


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ledgers of these runs don't mix with the user's, nor variables of the user's with these runs."""
    make_steady(monkeypatch)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("NETBENCH_DRIVER", "NETBENCH_ROUNDS", "NETBENCH_PROVIDER", "NETBENCH_OUT", "NETBENCH_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose ``test_ping.py`` has one short benchmark."""
    pytester.makeini("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")
    pytester.makepyfile(test_ping=PING)
    return pytester


def results(pytester: pytest.Pytester) -> dict[str, Any]:
    """The session's results.json."""
    found: dict[str, Any] = json.loads((pytester.path / "netbench-results" / "results.json").read_text())
    return found
