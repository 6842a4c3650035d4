"""Does the example of an own driver do what its page says?"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.drivers.driver import Driver
from pytest_netbench.roles import Role
from pytest_netbench.scenario.catalog import connect, ping, request_response
from pytest_netbench.scenario.language import CLIENT, CONNECTION
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.telemetry.gather import read_host
from russula import WorkerFailed
from tests import steady
from tests.worker_rounds import Round, serving

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "driver-netbench.md"


def example() -> str:
    """The driver of the page."""
    (program,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(program)


def _names(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def test_the_page_names_every_operation_of_plain_netbench() -> None:
    """With its fields: whoever writes a driver has nothing else to go by."""
    plain = {**CONNECTION, **CLIENT}.keys() - {"schedule", "send_datagram", "receive_datagram", "repeat"}
    section = PAGE.read_text().partition("## The scenario's file")[2]
    rows = re.findall(r"^\| (`.*?) \| (`.*?) \|", section, re.MULTILINE)
    told = {word: _names(fields) for words, fields in rows for word in _names(words)}
    assert told.keys() == plain
    beyond = {"hold", "fresh", "resume", "early_data", "router_id"}
    for table in (CONNECTION, CLIENT):
        for word in plain & table.keys():
            assert table[word].fields.keys() - beyond <= told[word]


@pytest.fixture
def mine(tmp_path: Path) -> Driver:
    """The driver of the page, as a row."""
    path = tmp_path / "mydriver.py"
    path.write_text(example())
    command = [sys.executable, str(path)]
    return registry.table({"mine": {"server": command, "client": command, "transport": "tcp"}})["mine"]


async def play(mine: Driver, scenario: Scenario, folder: Path, **job: Any) -> None:
    scenario.write(folder / "scenario.json")
    async with serving({"mine": mine}, folder) as address:
        await Round(address, folder / "scenario.json", folder / "results", "mine", **job).play()


@pytest.mark.parametrize(
    "scenario", [connect(connections=5), request_response(response=500_000, connections=3)], ids=str
)
async def test_its_rounds_are_valid(mine: Driver, scenario: Scenario, tmp_path: Path) -> None:
    """It transfers what the scenario says, tells it, and ends as it should."""
    await play(mine, scenario, tmp_path)
    hosts = [read_host(tmp_path / "results" / role.value, mine, scenario, role, 0, role.value) for role in Role]
    assert steady.reasons(scenario, hosts, armed=False) == ()


async def test_what_it_cannot_do_is_unsupported(mine: Driver, tmp_path: Path) -> None:
    """Status 127, and its own words why."""
    with pytest.raises(WorkerFailed) as caught:
        await play(mine, ping(time=0.1), tmp_path)
    assert (caught.value.reason, caught.value.tail) == ("unsupported", "can't iterate")


def test_every_key_is_on_the_page() -> None:
    """What a section may hold is documented, and so are the options of all known drivers."""
    from pytest_netbench.drivers.own import KEYS

    page = "".join(page.read_text() for page in DOCS.glob("driver*.md"))
    options = {name for row in registry.KNOWN.values() for name in row.options}
    assert [
        name for name in {*options, *(key for keys in KEYS.values() for key in keys)} if f"`{name}`" not in page
    ] == []
