"""What becomes of a round whose start instant a busy machine let nobody hear of in time? It is begun anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_netbench import run
from pytest_netbench.drivers import registry
from pytest_netbench.errors import RunError
from pytest_netbench.hosts.model import Fleet, Host
from pytest_netbench.result.model import Round
from pytest_netbench.roles import Role
from pytest_netbench.scenario.catalog import download
from tests.worker_rounds import serving

OVER, IN_TIME = -1.0, 1.0


async def carried_out(folder: Path, *leads: float) -> Round:
    """A round whose instants are announced so long before they come."""
    scenario, tcp = download(1000), registry.KNOWN["tcp"]
    file = folder / "scenario.json"
    scenario.write(file)
    (folder / "round").mkdir()
    async with serving(registry.table(), folder) as address:
        server, client = (Host(one.value, one, 0, address, "127.0.0.1") for one in Role)
        trial = run.trial(scenario, tcp, tcp, {})
        stage = run.Stage(trial, Fleet((server,), (client,)), "r", 0, folder / "round", file)
        return (await run._carry_out(stage, leads))[0]


async def test_it_is_begun_anew_with_more_time(tmp_path: Path) -> None:
    """Nothing was connected before: all that it leaves is of the round that took place."""
    done = await carried_out(tmp_path, OVER, IN_TIME)
    assert done.metrics["goodput"] > 0
    assert (tmp_path / "round" / "client" / "host.json").is_file()


async def test_in_the_end_it_is_a_failure(tmp_path: Path) -> None:
    """Which says whom, and by how much."""
    with pytest.raises(RunError, match=r"client failed in ARMED: late: the instant came [\d.]+ ms after itself"):
        await carried_out(tmp_path, OVER, OVER)


def test_each_try_has_more_time_than_the_one_before() -> None:
    """The last has as much as no machine that can still measure anything needs."""
    assert list(run.LEADS) == sorted(set(run.LEADS))
    assert run.LEADS[-1] >= 1
