"""Does each bad driver, and each bad place for results, get one clear message and a non-zero end?"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from pytest_netbench import KB, connect, ms, ping
from pytest_netbench.cli.main import main

CHILD = """#!/bin/sh
{line}
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steady: None) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    connect(connections=2).write("connect.json")
    ping(time=20 * ms, size=[1 * KB]).write("ping.json")


def own_driver(line: str, *, role: str = "client", executable: bool = True, timeout: int = 60) -> None:
    """A configuration with a driver whose one side is a line of shell, the other our own."""
    path = Path("mine")
    path.write_text(CHILD.format(line=line))
    path.chmod(0o755 if executable else 0o644)
    commands = {one: f'["{path.resolve()}"]' if one == role else '["true"]' for one in ("server", "client")}
    Path("netbench.toml").write_text(
        f"timeout = {timeout}\n[drivers.mine]\nserver = {commands['server']}\nclient = {commands['client']}\n"
    )


def run(role: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """A round with the bad driver on one side."""
    status = main(["run", "connect.json", f"--{role}-driver", "mine", "--rounds", "1"])
    return status, capsys.readouterr().err


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("echo broken inside >&2; exit 1", ["ended", "1", "broken inside"]),
        ("kill -9 $$", ["ended", "SIGKILL"]),
        ("exit 0", ["ended"]),
    ],
    ids=["exits 1", "is killed", "exits 0 at once"],
)
def test_a_driver_that_ends_badly_is_named_with_its_last_words(
    role: str, line: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The host, how it ended, what it said."""
    own_driver(line, role=role)
    status, said = run(role, capsys)
    if role == "client" and line == "exit 0":
        assert status == 1  # it did nothing: the round is invalid, for the bytes that it should have moved
        return
    assert status == 1
    assert f"{role}-0 failed" in said
    assert all(word in said for word in words)


def test_a_driver_that_hangs_is_ended_at_its_deadline(capsys: pytest.CaptureFixture[str]) -> None:
    """With what it wrote last."""
    own_driver("echo still here >&2; exec sleep 1000", timeout=3)
    status, said = run("client", capsys)
    assert status == 1
    assert "client-0 failed in RUNNING: deadline" in said
    assert "still here" in said


def test_a_driver_that_writes_garbage_makes_the_round_invalid(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of it is taken for a number."""
    own_driver("head -c 100000 /dev/urandom; exit 0")
    status, _ = run("client", capsys)
    (test,) = json.loads(Path("netbench-results/results.json").read_text())["tests"]
    assert status == 1
    assert test["rounds"][0]["validity"]


def test_a_driver_that_says_unsupported_is_127(capsys: pytest.CaptureFixture[str]) -> None:
    """As the contract of netbench drivers has it."""
    own_driver("echo no streams here >&2; exit 127")
    status, said = run("client", capsys)
    assert status == 127
    assert "client-0" in said


def test_a_driver_that_is_not_executable_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """Its path is named, and nothing is started."""
    own_driver("exit 0", executable=False)
    status, said = run("client", capsys)
    assert status == 127
    assert "mine" in said
    assert not Path("netbench-results/results.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("out", ["/proc/nowhere", "connect.json/below"])
def test_a_place_that_takes_no_results_is_found_first(out: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before any host is made."""
    assert main(["run", "connect.json", "--out", out]) == 1
    assert out in capsys.readouterr().err
    assert not list(Path(os.environ["XDG_STATE_HOME"]).glob("netbench/*.jsonl"))


def test_other_peoples_ports_do_not_matter() -> None:
    """On an address of its own a server finds a free port, whoever has others."""
    with socket.create_server(("127.0.0.1", 0)):
        assert main(["run", "ping.json", "--rounds", "1"]) == 0
