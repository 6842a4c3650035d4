"""Does `netbench scenario` write, lower and describe what extends netbench's language?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_netbench import Scenario, requests
from pytest_netbench.cli.main import main
from pytest_netbench.scenario.catalog import CATALOG


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", CATALOG)
def test_every_scenario_of_the_catalogue_is_written(name: str) -> None:
    """Under its name, and read back as the same."""
    assert main(["scenario", name]) == 0
    assert Scenario.read(f"{name}.json") == CATALOG[name]()


def test_an_option_is_a_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    """Times and sizes with their units; what is required is said by ``--check``."""
    words = ["--rate", "200", "--request", "2KB", "--seconds", "500ms", "--poisson", "--seed", "7", "--fresh"]
    assert main(["scenario", "open_loop", *words, "-o", "x.json"]) == 0
    (schedule,) = json.loads(Path("x.json").read_text())["clients"][0]["connections"][0]["ops"]
    assert schedule["schedule"]["arrivals"] == {"poisson": {"amount": 200, "period_ms": 1000, "seed": 7}}
    assert schedule["schedule"]["count"] == 100
    assert main(["scenario", "--check", "x.json"]) == 0
    assert "requires: fresh_streams: a stream of its own for each repetition" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [["requests", "--lower", "4"], ["--lower", "4", "requests"], ["requests.json", "--lower", "4", "-o", "plain.json"]],
)
def test_a_scenario_is_lowered(words: list[str]) -> None:
    """One of the catalogue's or a file's; it requires nothing any more."""
    requests().write("requests.json")
    assert main(["scenario", *words]) == 0
    made = json.loads(Path("plain.json" if "plain.json" in words else "requests.json").read_text())
    assert "requires" not in made
    assert len(made["servers"][0]["connections"][0]["peer_streams"]) == 4


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["open_loop", "--lower", "3"], "ops[1]: schedule can't be said in plain netbench"),
        (["requests", "--lower", "0"], "expected 1 repetition or more, found 0"),
        (["requests.json"], "to do what with it? `--lower N` writes it in plain netbench"),
        (["reqests"], "unknown scenario 'reqests': did you mean 'requests'"),
        (["open_loop", "--rate", "0"], "rate: expected a whole number of at least 1, found 0"),
        (["open_loop", "--seconds", "0s"], "seconds: expected more than 0, found 0"),
        (["handshakes", "--seconds", "100us"], "less than the millisecond that a scenario can say"),
    ],
)
def test_a_mistake_is_one_line_and_a_status(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What can't be said is named with the reason, and nothing is written."""
    requests().write("requests.json")
    assert main(["scenario", *words]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
