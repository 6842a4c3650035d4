"""Can everything be tried from a shell, with nothing written?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_netbench.protocols import NetbenchServer
from russula.__main__ import main

RUSSULA = [sys.executable, "-m", "russula"]


@contextmanager
def a_worker(protocol: str, *more: str) -> Iterator[str]:
    """The address of a worker in a process of its own."""
    command = [*RUSSULA, "worker", protocol, *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["address"]
        process.terminate()


@pytest.mark.parametrize("protocol", ["netbench-server", "pytest_netbench.protocols:CLIENT"])
def test_a_coordinator_drives_workers_over_tcp(
    protocol: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Credentials from one folder, port 0, to the end."""
    folder = str(tmp_path / "run")
    assert main(["credentials", folder]) == 0
    secure = ("--credentials", folder)
    with a_worker(protocol, "--listen", "tcp://127.0.0.1:0", "--simulate", "0.05", *secure) as address:
        assert main(["coordinator", protocol, "--workers", address, address, *secure]) == 0
    assert capsys.readouterr().out == "DONE\n"


def test_each_transition_is_a_line_of_the_log(tmp_path: Path) -> None:
    """With ``--log``: what happened, to whom, in which state, at what time."""
    tmp_path.chmod(0o700)
    with a_worker("netbench-server", "--listen", f"unix:{tmp_path}/s") as address:
        command = [*RUSSULA, "coordinator", "netbench-server", "--workers", address, "--log"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [one["state"] for one in lines] == [state.name for state in NetbenchServer][:-1]
    assert {(one["event"], one["run"], one["worker"]) for one in lines} == {("entered", "by hand", "w0")}
    assert sorted(one["clock_ns"] for one in lines) == [one["clock_ns"] for one in lines]


def test_it_may_stop_at_any_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--till`` takes a worker's state; over a unix socket nothing else is needed."""
    tmp_path.chmod(0o700)
    with a_worker("netbench-client", "--listen", f"unix:{tmp_path}/s") as address:
        assert main(["coordinator", "netbench-client", "--workers", address, "--till", "ARMED"]) == 0
    assert capsys.readouterr().out == "ARMED\n"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["draw", "netbench-moon"], 2, "offered: netbench-client, netbench-server"),
        (["draw", "russula.codec:encode"], 2, "not a protocol"),
        (["draw", "nowhere:X"], 2, "no protocol 'nowhere:X'"),
        (["coordinator", "netbench-server", "--workers", "unix:/none", "--till", "ROLLING"], 2, "no state 'ROLLING'"),
        (["coordinator", "netbench-server", "--workers", "unix:/none", "--deadline", "0.05"], 1, "w0 doesn't answer"),
        (["coordinator", "netbench-server", "--workers", "tcp://127.0.0.1:1"], 2, "TCP needs credentials"),
        (["worker", "netbench-server", "--listen", "http://x"], 2, "expected unix:PATH"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was expected, and a status."""
    assert main(arguments) == status
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_protocol_is_drawn_in_either_form(capsys: pytest.CaptureFixture[str]) -> None:
    """Mermaid for pages, text for terminals."""
    assert main(["draw", "netbench-client"]) == 0
    drawn = capsys.readouterr().out
    assert "stateDiagram-v2" in drawn
    assert "STARTING*    finished         ARMED" in drawn
