"""Do the real drivers run through a whole round on a worker, and does what they left make a valid one?"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.drivers.driver import Driver
from pytest_netbench.errors import DriverMissing
from pytest_netbench.result.metrics import measure
from pytest_netbench.roles import Role
from pytest_netbench.scenario.catalog import connect, download, ping, request_response, upload
from pytest_netbench.scenario.certificates import certify
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.telemetry.gather import read_host
from russula import WorkerFailed
from tests import steady
from tests.worker_rounds import Round, serving

pytestmark = pytest.mark.real
REAL = ["s2n-tcp", "s2n-native-tls", "s2n-tls", "s2n-quic"]


@pytest.fixture(params=REAL)
def driver(request: pytest.FixtureRequest) -> Driver:
    """Each of the four that is installed."""
    row: Driver = registry.KNOWN[request.param]
    try:
        row.locate()
    except DriverMissing as missing:
        pytest.skip(str(missing))
    return row


async def reasons(driver: Driver, scenario: Scenario, folder: Path, **job: object) -> tuple[str, ...]:
    """Run one round; why it doesn't count."""
    scenario = certify(scenario)
    scenario.write(folder / "scenario.json")
    async with serving({driver.name: driver}, folder) as address:
        one = Round(address, folder / "scenario.json", folder / "results", driver.name, **job)
        await one.play()
    hosts = [read_host(folder / "results" / role.value, driver, scenario, role, 0, role.value) for role in Role]
    assert measure(scenario, hosts).metrics["client.peak_rss"] > 0
    return steady.reasons(scenario, hosts, armed=False)


SCENARIOS = {
    "connect": connect(connections=20),
    "ping": ping(time=0.2, size=[1000]),
    "request_response": request_response(response=1_000_000, connections=3),
    "download": download(5_000_000),
    "upload": upload(5_000_000),
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_real_round_is_valid(driver: Driver, name: str, tmp_path: Path) -> None:
    """Bytes sent are bytes received, every connect is accepted, both ends are as expected."""
    assert await reasons(driver, SCENARIOS[name], tmp_path) == ()


async def test_a_client_that_waits_for_ever_is_ended(tmp_path: Path) -> None:
    """The real client hangs when its server doesn't multiplex: it is ended at its deadline, and that is said."""
    driver = registry.KNOWN["s2n-tcp"]
    try:
        driver.locate()
    except DriverMissing as missing:
        pytest.skip(str(missing))
    SCENARIOS["download"].write(tmp_path / "scenario.json")
    async with serving({driver.name: driver}, tmp_path) as address:
        one = Round(address, tmp_path / "scenario.json", tmp_path / "results", driver.name, timeout_s=0.5)
        one.of = {Role.CLIENT: {"multiplex": True}}
        with pytest.raises(WorkerFailed, match=r"client failed in RUNNING: deadline: .* didn't end within 0.5 s"):
            await one.play()


async def test_several_streams_are_multiplexed(driver: Driver, tmp_path: Path) -> None:
    """Told from the scenario, at both ends, without being asked."""
    assert await reasons(driver, ping(time=0.2, size=[1000], streams=3), tmp_path) == ()


async def test_options_reach_a_real_driver(driver: Driver, tmp_path: Path) -> None:
    """As flags that it knows: with an unknown one it would not start."""
    values = {"boolean": False, "integer": 9000, "text": "netbench"}
    options = {name: values[spec.kind.value] for name, spec in driver.options.items()}
    assert await reasons(driver, SCENARIOS["connect"], tmp_path, options=options) == ()
