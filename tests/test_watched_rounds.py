"""What does a round leave in which drivers are watched? Stacks and qlogs, on a real worker; a measured one neither."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_netbench.drivers.job import Watch
from pytest_netbench.drivers.profiling import NOTE
from pytest_netbench.roles import Role
from pytest_netbench.scenario.catalog import download
from pytest_netbench.scenario.certificates import certify
from pytest_netbench.telemetry.stacks import left
from tests.test_worker_builtin import play, reasons


def left_by_watching(folder: Path) -> list[Path]:
    return [*folder.rglob("*.qlog"), *folder.rglob("profile*")]


async def test_the_built_in_driver_says_where_its_time_goes(tmp_path: Path) -> None:
    """Its own functions, on both sides; the round is valid all the same."""
    scenario = download(400_000_000)
    hosts = await play(scenario, tmp_path, watch=Watch.PROFILE)
    assert reasons(scenario, hosts) == ()
    for role in Role:
        folder = tmp_path / "results" / role.value
        assert json.loads((folder / NOTE).read_text())["by"] == "the driver"
        assert any("engine.Engine.run" in stack for stack in left(folder))


async def test_quic_writes_what_its_connections_did(tmp_path: Path) -> None:
    """A file each, of qlog's form, with packets that were sent and received."""
    pytest.importorskip("aioquic")
    await play(certify(download(50_000)), tmp_path, "quic", "quic", watch=Watch.QLOG)
    for role in Role:
        (path,) = (tmp_path / "results" / role.value).glob("*.qlog")
        whole = json.loads(path.read_text())
        (trace,) = whole["traces"]
        assert trace["vantage_point"]["type"] == role.value
        assert {"transport:packet_sent", "transport:packet_received"} <= {one["name"] for one in trace["events"]}


async def test_a_measured_round_leaves_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment of whoever started the worker says: both would cost what is measured."""
    pytest.importorskip("aioquic")
    monkeypatch.setenv("QLOGDIR", str(tmp_path))
    monkeypatch.setenv("NETBENCH_PROFILE", str(tmp_path / "profile.folded"))
    await play(certify(download(50_000)), tmp_path, "quic", "quic")
    assert left_by_watching(tmp_path) == []
