"""Does the built-in driver run through a whole round on a worker, alone and against a real one?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.errors import DriverMissing
from pytest_netbench.roles import Role
from pytest_netbench.scenario.catalog import connect, download, ping, request_response, upload
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.telemetry.gather import read_host
from pytest_netbench.telemetry.model import CpuScope, HostReport
from russula import WorkerFailed
from tests import steady
from tests.worker_rounds import Round, serving

SCENARIOS = [
    connect(connections=20),
    ping(time=0.1, size=[1000]),
    request_response(response=1_000_000, connections=3),
    download(5_000_000),
    upload(5_000_000),
    ping(time=0.1, size=[1000], streams=3),
    request_response(response=300_000, count=3, parallel=True),
]


async def play(
    scenario: Scenario, folder: Path, server: str = "tcp", client: str = "tcp", **job: Any
) -> dict[Role, HostReport]:
    """Run one round; what each side saw."""
    scenario.write(folder / "scenario.json")
    names = {Role.SERVER: server, Role.CLIENT: client}
    async with serving(registry.table(), folder) as address:
        one = Round(address, folder / "scenario.json", folder / "results", "tcp", **job)
        one.of = {role: {"driver": name} for role, name in names.items()}
        await one.play()
    return {
        role: read_host(folder / "results" / role.value, registry.KNOWN[name], scenario, role, 0, role.value)
        for role, name in names.items()
    }


def reasons(scenario: Scenario, hosts: dict[Role, HostReport], *, armed: bool = True) -> tuple[str, ...]:
    return steady.reasons(scenario, list(hosts.values()), armed=armed)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_a_round_is_valid(scenario: Scenario, tmp_path: Path) -> None:
    """Its client was armed, and its CPU is that of the window."""
    hosts = await play(scenario, tmp_path)
    assert reasons(scenario, hosts) == ()
    client = hosts[Role.CLIENT]
    assert client.armed
    assert client.driver.cpu is not None
    assert client.driver.cpu.scope is CpuScope.WINDOW
    assert client.began_ns is not None


async def test_options_reach_it(tmp_path: Path) -> None:
    """In the scenario's configuration: with an unknown one it would not start."""
    options = {"tcp.nodelay": False, "tcp.send_buffer": 65536, "tcp.receive_buffer": 65536}
    scenario = download(1_000_000)
    assert reasons(scenario, await play(scenario, tmp_path, options=options)) == ()


async def test_several_processes_serve(tmp_path: Path) -> None:
    """A worker waits until one of them listens, ends all, and gets one report."""
    scenario = connect(connections=20)
    assert reasons(scenario, await play(scenario, tmp_path, options={"processes": 2})) == ()


async def test_what_it_cannot_carry_is_unsupported(tmp_path: Path) -> None:
    """Status 127, and its own words why."""
    with pytest.raises(WorkerFailed, match="can't do this scenario") as caught:
        await play(ping(time=0.1, streams=2), tmp_path, multiplex=False)
    assert caught.value.reason == "unsupported"


async def test_a_hang_shows_where_it_stands(tmp_path: Path) -> None:
    """At its deadline, the stacks of its threads are the tail."""
    with pytest.raises(WorkerFailed, match=r"didn't end within 0\.2 s") as caught:
        await play(ping(time=30), tmp_path, timeout_s=0.2)
    assert "most recent call first" in caught.value.tail


@pytest.mark.real
@pytest.mark.parametrize(("server", "client"), [("tcp", "s2n-tcp"), ("s2n-tcp", "tcp")])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_it_meets_the_real_driver(scenario: Scenario, server: str, client: str, tmp_path: Path) -> None:
    """As server and as client: the round is valid, byte for byte."""
    try:
        registry.KNOWN["s2n-tcp"].locate()
    except DriverMissing as missing:
        pytest.skip(str(missing))
    hosts = await play(scenario, tmp_path, server, client)
    assert reasons(scenario, hosts, armed=client == "tcp") == ()
