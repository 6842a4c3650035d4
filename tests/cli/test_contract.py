"""Does `netbench doctor --driver NAME` tell a driver that keeps its contract from one that doesn't?"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from pytest_netbench.cli import promises
from pytest_netbench.cli.main import main
from pytest_netbench.scenario import catalog
from tests.test_own_driver import example


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steady: None) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def configure(**section: object) -> None:
    """A configuration with one driver."""
    rows = "".join(f"{key.replace('__', '.')} = {json.dumps(value)}\n" for key, value in section.items())
    Path("netbench.toml").write_text(f"[drivers.mine]\n{rows}")


def answers(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, str], str]:
    """The exit status, each promise's answer, and all that was printed."""
    status = main(["doctor", "--driver", "mine", *arguments])
    said = capsys.readouterr().out
    words = {one.value for one in promises.Answer}
    found = [line for line in said.splitlines() if line.split() and line.split()[0] in words]
    return status, {line[15:43].strip(): line.split()[0] for line in found}, said


def test_the_contract_has_the_whole_catalogue() -> None:
    """A small round of every entry; of transfers also for a time."""
    timed = {"download for a time", "upload for a time"}
    assert set(promises.SCENARIOS) == {*catalog.CATALOG, *timed}


def test_a_driver_that_keeps_its_contract(capsys: pytest.CaptureFixture[str]) -> None:
    """That of the page: what it can't do it says, and all else is as promised."""
    Path("driver.py").write_text(example())
    line = [sys.executable, str(Path("driver.py").resolve())]
    configure(server=line, client=line, transport="tcp")
    status, found, said = answers(capsys)
    assert status == 0, said
    beyond = {"handshakes", "requests", "open_loop", "idle"}
    assert {name for name, answer in found.items() if answer == "unsupported"} == {
        *("ping", "download", "fan_out", "bidi", "download for a time", "upload for a time"),
        *beyond,
    }
    assert set(promises.SCENARIOS) < set(found)
    assert "can't iterate" in " ".join(said.split())  # its own words why
    assert said.splitlines()[-1] == "mine keeps its contract"


def test_a_client_that_does_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends well and has moved nothing: each promise that it breaks says what to do. The peer serves."""
    monkeypatch.setattr(promises, "SCENARIOS", {"upload": lambda: catalog.upload(20_000)})
    configure(client="true", transport="tcp")
    status, found, said = answers(capsys, "--peer", "tcp")
    assert status == 1
    assert {name for name, answer in found.items() if answer == "fail"} == {
        "upload",
        "tells that nobody listens",
        "refuses what it can't do",
    }
    assert "-> exit with status 127: its tests are skipped, not failed" in said
    assert "the scenario has 1 connection, the clients report 0" in said


def test_a_server_that_ends_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The first round shows it, the others aren't tried."""
    configure(server="true", client="true", transport="tcp")
    status, found, said = answers(capsys)
    assert status == 1
    assert found["connect"] == found["ends at SIGTERM"] == "fail"
    assert "ping" not in found
    assert "ended before it could listen" in said


def test_a_driver_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """With the line that brings it."""
    configure(server="no-such-tool", install="make tool")
    status, found, said = answers(capsys)
    assert (status, found) == (1, {"is here": "fail"})
    assert "-> make tool" in said


@pytest.mark.skipif(shutil.which("iperf3") is None, reason="apt-get install iperf3")
def test_a_performance_tool(capsys: pytest.CaptureFixture[str]) -> None:
    """iperf3, as its page has it: downloads and uploads, to and from several; nothing else."""
    configure(
        level="command",
        server="iperf3 --server --one-off --json --bind {host} --port {port}",
        client__download="iperf3 --client {host} --port {port} --json --parallel {connections} "
        "--bytes {total_bytes} --reverse",
        client__upload="iperf3 --client {host} --port {port} --json --parallel {connections} --bytes {total_bytes}",
        one_at_a_time=True,
        output="iperf3-json",
        transport="tcp",
    )
    status, found, said = answers(capsys)
    assert status == 0, said
    kept = {name for name in promises.SCENARIOS if found[name] == "pass"}
    assert kept == {"download", "upload", "fan_out", "fan_in"}
