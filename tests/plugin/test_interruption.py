"""What is left when a session is interrupted, at any point?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_netbench.hosts.ledger import PROCESS, entries, held
from pytest_netbench.hosts.reap import reap
from pytest_netbench.telemetry.proc import is_alive
from tests.plugin.conftest import results

WAIT = "    print('now', flush=True)\n    input()\n"
FIXTURE = "import pytest\n@pytest.fixture(autouse=True)\ndef stop(hosts):\n"
STAGES = {
    "collection": f"def pytest_collection_finish():\n{WAIT}",
    "set-up": FIXTURE + WAIT,
    "running": "",
    "teardown": f"{FIXTURE}    yield\n{WAIT}",
}
LONG = """
import pytest
from pytest_netbench import KB, NetbenchClient, NetbenchServer, connect, ping

@pytest.mark.netbench(scenario=connect(connections=1), rounds=1)
def test_before(netbench):
    netbench.run()

@pytest.mark.netbench(scenario=ping(time={seconds}, size=[1 * KB]))
async def test_long(netbench, server_coord, client_coord):
    await server_coord.run_till(NetbenchServer.RUNNING)
    await client_coord.run_till(NetbenchClient.RUNNING)
    if {seconds} > 10:
        print("now", flush=True)
    await client_coord.run_till(NetbenchClient.DONE)
"""


def interrupted(pytester: pytest.Pytester, stage: str, number: signal.Signals) -> int:
    """Run a session until it is in a stage, send it a signal, and give its exit status."""
    pytester.makepyfile(test_long=LONG.format(seconds=60 if stage == "running" else 0.05))
    pytester.makeconftest(STAGES[stage])
    command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "-k", "long or before", "test_long.py"]
    with subprocess.Popen(
        command, cwd=pytester.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "now" in line:
                break
        process.send_signal(number)
        process.communicate()
    return process.returncode


def left() -> list[str]:
    """What the ledgers still hold."""
    folder = Path(os.environ["XDG_STATE_HOME"]) / "netbench"
    return [one.id for path in folder.glob("*.jsonl") for one in held(entries(path))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
@pytest.mark.parametrize("stage", ["set-up", "running", "teardown"])
def test_an_interrupted_session_leaves_nothing(project: pytest.Pytester, stage: str, number: signal.Signals) -> None:
    """No process, no folder, by the ledger's own account; pytest says that it was interrupted."""
    assert interrupted(project, stage, number) == pytest.ExitCode.INTERRUPTED
    assert left() == []


def test_what_had_been_run_is_in_the_results(project: pytest.Pytester) -> None:
    """The folder is written also by a run that was interrupted."""
    interrupted(project, "running", signal.SIGTERM)
    assert [one["nodeid"] for one in results(project)["tests"]] == ["test_long.py::test_before[tcp]"]


def test_in_collection_nothing_was_made(project: pytest.Pytester) -> None:
    """No ledger, no folder."""
    interrupted(project, "collection", signal.SIGINT)
    assert left() == []
    assert not (project.path / "netbench-results").exists()


@pytest.mark.parametrize("stage", ["set-up", "running", "teardown"])
def test_a_killed_session_leaves_only_what_the_next_removes(project: pytest.Pytester, stage: str) -> None:
    """After SIGKILL the processes end by themselves; folders go with the next run, or ``netbench reap``."""
    assert interrupted(project, stage, signal.SIGKILL) == -signal.SIGKILL
    folder = Path(os.environ["XDG_STATE_HOME"]) / "netbench"
    processes = [one.id for path in folder.glob("*.jsonl") for one in held(entries(path)) if one.kind == PROCESS]
    reap()
    assert processes
    assert left() == []
    assert not any(map(is_alive, processes))
