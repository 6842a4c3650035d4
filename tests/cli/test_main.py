"""Does the command turn mistakes into one line and a status?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_netbench import KB, connect, handshakes, ms, ping
from pytest_netbench.cli.main import main


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steady: None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def results(path: str = "netbench-results") -> list[dict[str, object]]:
    tests: list[dict[str, object]] = json.loads((Path(path) / "results.json").read_text())["tests"]
    return tests


def test_a_scenario_file_is_run_without_a_test(capsys: pytest.CaptureFixture[str]) -> None:
    """``netbench run FILE`` writes the folder, prints the table, and ends with 0."""
    ping(time=50 * ms, size=[1 * KB]).write("ping.json")
    assert main(["run", "ping.json", "--rounds", "2"]) == 0
    (test,) = results()
    assert (len(test["rounds"]), test["scenario"]["name"]) == (2, "ping")  # type: ignore[arg-type,index]
    assert "ping_1KB.p50" in capsys.readouterr().out


def test_a_driver_that_cannot_do_it_is_named_with_127(capsys: pytest.CaptureFixture[str]) -> None:
    """What a driver can't do is said in one line, and nothing is run."""
    handshakes(resume=True).write("resumed.json")
    assert main(["run", "resumed.json"]) == 127
    assert "driver tcp as server: the scenario requires 'resumption'" in capsys.readouterr().err
    assert not Path("netbench-results/results.json").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["run", "absent.json"], 2, "absent.json"),
        (["run", "bad.json"], 2, "bad.json"),
        (["run", "good.json", "--driver", "tpc"], 2, "did you mean 'tcp'"),
        (["run", "good.json", "--rounds", "0"], 2, "at least 1"),
        (["run", "good.json", "--provider", "moon"], 2, "unknown provider"),
    ],
)
def test_a_mistake_is_one_line_and_a_status(
    arguments: list[str], status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, no folder, the thing named."""
    connect(connections=1).write("good.json")
    Path("bad.json").write_text('{"id": "x", "clients": [')
    assert main(arguments) == status
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


def test_the_doctor_finds_the_default_fit(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the tests run, the default runs, and each driver is listed with what brings it."""
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "s2n-quic" in text
    assert "net.core.rmem_max" in text


def test_the_doctor_says_what_a_hosted_runner_needs(capsys: pytest.CaptureFixture[str]) -> None:
    """``--ci`` prints steps, not findings."""
    assert main(["doctor", "--ci"]) == 0
    assert "apparmor_restrict_unprivileged_userns" in capsys.readouterr().out


def test_it_is_a_program() -> None:
    """``python -m pytest_netbench.cli.main`` and ``netbench`` are the same."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_netbench.cli.main", "--help"], capture_output=True, text=True, check=True
    )
    assert "doctor" in done.stdout
