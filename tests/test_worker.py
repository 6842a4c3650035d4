"""Does a worker carry out jobs that come over russula, and tell clearly what it can't?"""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.protocols import NetbenchClient, NetbenchServer
from pytest_netbench.roles import Role
from pytest_netbench.scenario.catalog import ping
from russula import WorkerFailed
from tests.worker_rounds import Round, serving

DRIVER = """
import os, socket, signal
if 'PORT' in os.environ:
    listener = socket.create_server((os.environ['IP'], int(os.environ['PORT'])))
    while True:
        connection, _ = listener.accept()
        print('0:00:00.000001 [0] conn[0]=0us', flush=True)
        print('0:00:00.000009 [0] recv[0]=%d' % len(connection.recv(100)), flush=True)
        connection.close()
else:
    host, _, port = os.environ['SERVER_0'].rpartition(':')
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b'ping')
        connection.recv(1)
    print('0:00:00.000042 [0] conn[0]=42us')
    print('0:00:00.000050 [0] send[0]=4')
"""
FAILS = """
import os, sys
if 'CLIENT_ID' in os.environ: sys.exit('no way')
os.execl(sys.executable, sys.executable, {!r})
"""


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """Where a worker with some own drivers listens."""
    program, fails = tmp_path / "driver.py", tmp_path / "fails.py"
    program.write_text(DRIVER)
    fails.write_text(FAILS.format(str(program)))
    sections = {
        name: {"server": [sys.executable, str(path)], "client": [sys.executable, str(path)], "transport": "tcp"}
        for name, path in (("mine", program), ("fails", fails))
    }
    async with serving(registry.table(sections), tmp_path) as listening:
        yield listening


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.json"
    ping().write(path)
    return path


async def test_a_whole_round_over_russula(address: str, scenario: Path, tmp_path: Path) -> None:
    """Server up, client armed, both run and end, and what they left is here."""
    one = Round(address, scenario, tmp_path / "results", "mine")
    async with one.server() as server, one.client() as client:
        await client.run_till(NetbenchClient.STOPPED)
        await server.run_till(NetbenchServer.DONE)
        await client.run_till(NetbenchClient.DONE)
        said = client.said("client", NetbenchClient.STOPPED)
    assert said["ended_ns"] > said["began_ns"] >= (client.instant_ns or 0)
    for role in Role:
        assert one.record(role)["ending"]["expected"] is True
        folder = tmp_path / "results" / role.value
        assert {path.name for path in folder.iterdir()} >= {"driver.out", "driver.err", "collector.jsonl", "host.json"}
    assert "recv[0]=4" in (tmp_path / "results/server/driver.out").read_text()


async def test_a_client_that_fails_is_told_with_its_last_words(address: str, scenario: Path, tmp_path: Path) -> None:
    """Which worker, in which state, how the driver ended; its files are salvaged."""
    one = Round(address, scenario, tmp_path / "results", "fails")
    with pytest.raises(WorkerFailed) as caught:
        async with one.server(), one.client() as client:
            await client.run_till(NetbenchClient.STOPPED)
    assert (caught.value.worker, caught.value.state, caught.value.reason) == ("client", "RUNNING", "ended")
    assert str(caught.value).endswith("it exited with status 1\nno way")
    assert one.record(Role.CLIENT)["ending"]["status"] == 1


@pytest.mark.parametrize(
    ("job", "reason", "detail"),
    [
        ({"driver": "nine"}, "order", "unknown driver 'nine': did you mean 'mine'?"),
        ({"driver": "/bin/sh"}, "order", "unknown driver '/bin/sh'"),
        ({"driver": "../driver.py"}, "order", "unknown driver '../driver.py'"),
        ({"driver": "mine; true"}, "order", "unknown driver 'mine; true'"),
        ({"driver": "mine", "options": {"x": 1}}, "order", "driver mine has no option 'x': known: none"),
    ],
)
async def test_an_order_without_sense_is_refused(
    address: str, scenario: Path, tmp_path: Path, job: dict[str, Any], reason: str, detail: str
) -> None:
    """By name, and the worker goes on serving."""
    one = Round(address, scenario, tmp_path / "results", **job)
    with pytest.raises(WorkerFailed) as caught:
        async with one.server():
            pass
    assert caught.value.reason == reason
    assert detail in caught.value.detail
    async with Round(address, scenario, tmp_path / "again", "mine").server():
        pass


async def test_a_worker_that_is_terminated_ends_its_drivers(tmp_path: Path, scenario: Path) -> None:
    """SIGTERM ends the process with status 0, and the server that it ran."""
    program, sockets = tmp_path / "driver.py", tmp_path / "sockets"
    program.write_text(DRIVER)
    sockets.mkdir(mode=0o700)
    rows = registry.table({"mine": {"server": [sys.executable, str(program)]}})
    command = [sys.executable, "-m", "pytest_netbench.worker", f"--address=unix:{sockets}/w", f"--directory={tmp_path}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as worker:  # noqa: ASYNC220 - it starts at once
        assert worker.stdin is not None
        worker.stdin.write(registry.dump(rows))
        worker.stdin.close()
        async with Round(f"unix:{sockets}/w", scenario, tmp_path / "results", "mine").server() as server:
            driver = os.pidfd_open(int(str(server.said("server", NetbenchServer.RUNNING)["pid"])))
            worker.terminate()
            assert await asyncio.to_thread(worker.wait, 30) == 0
    assert select.select([driver], [], [], 0)[0]  # readable: it has ended
    os.close(driver)


async def test_a_conversation_that_ends_early_leaves_no_driver(address: str, scenario: Path, tmp_path: Path) -> None:
    """When the coordinator leaves, its server is ended, and its port is free for the next."""
    one = Round(address, scenario, tmp_path / "results", "mine", port=0)
    async with one.server():
        _host, _, port = one.peers[0].rpartition(":")
    again = Round(address, scenario, tmp_path / "again", "mine", port=int(port))
    async with again.server():
        assert again.peers == one.peers
