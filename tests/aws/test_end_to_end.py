"""Does `pytest` run benchmarks on AWS, from nothing to zero hosts left?"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.testing.aws.emulation import Emulation
from pytest_netbench.testing.aws.rules import Kind
from tests.aws.aws_runs import configure, left, pytest_run, settled

INCAST = """
import pytest
from pytest_netbench import KB, Hosts, build

def incast(servers, clients):  # no two responses are alike: whoever takes one for another receives too much
    b = build("incast")
    served = [b.server() for _ in range(servers)]
    for first in range(clients):
        client = b.client()
        with client.scope() as threads:
            for second, server in enumerate(served):
                size = (1 + second + servers * first) * 30 * KB
                with threads.thread(), client.connect(server) as connection, connection.stream() as (near, far):
                    with near.profile("response"), far.profile("response"):
                        near.send(1 * KB)
                        far.receive(1 * KB)
                        far.send(size)
                        near.receive(size)
    return b.finish()

KIND = {"servers": Hosts(placement="cluster"), "clients": Hosts(type="c5n.xlarge")}

@pytest.mark.netbench(scenario=incast(4, 2), hosts=KIND, rounds=1)
def test_incast(netbench):
    result = netbench.run()
    assert result["goodput"].value > 0
    assert len(result.samples("response")) == 8
"""
LONG = """
import pytest
from pytest_netbench import KB, NetbenchClient, NetbenchServer, ping

@pytest.mark.netbench(scenario=ping(time=60, size=[1 * KB]))
async def test_long(netbench, server_coord, client_coord):
    await server_coord.run_till(NetbenchServer.RUNNING)
    await client_coord.run_till(NetbenchClient.RUNNING)
    print("now", flush=True)
    await client_coord.run_till(NetbenchClient.DONE)
"""


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "netbench-results" / "results.json").read_text())
    return found


def ends(process: subprocess.Popen[str]) -> tuple[int, str]:
    """How it ended, and what it said."""
    said, _ = process.communicate(timeout=250)
    return process.returncode, said


@pytest.mark.timeout(300)
@pytest.mark.parametrize("driver", ["tcp", "s2n-tcp"])
def test_incast_on_emulated_hosts(stack: Emulation, tmp_path: Path, driver: str) -> None:
    """Four servers and two clients of two kinds, by SSM and russula over TLS; results, report, and nothing left."""
    (tmp_path / "test_incast.py").write_text(INCAST)
    configure(tmp_path, stack, publish=True)
    status, said = ends(pytest_run(tmp_path, "-rs", "--netbench-driver", driver))
    if "skipped" in said and driver != "tcp":
        pytest.skip("the real driver isn't installed")
    assert status == 0, said
    told = "netbench: launching in us-west-2a: 4 x c5n.large, 2 x c5n.xlarge for at most 2 h, up to $1.80\n"
    assert told in said
    (test,) = results(tmp_path)["tests"]
    assert test["provider"] == "aws"
    assert [] in [round_["validity"] for round_ in test["rounds"]]  # a busy machine may spoil one by its skew
    assert {one["type"] for one in test["hosts"]} == {"c5n.large", "c5n.xlarge"}
    assert all(one["instance"].startswith("i-") and one["image"].startswith("ami-") for one in test["hosts"])
    assert len({one["address"] for one in test["hosts"]}) == 6
    assert {one["placement"] for one in test["hosts"]} == {"cluster"}
    assert test["cost"]["dollars"] > 0
    assert test["cost"]["host_seconds"] > 0
    page = published(said)
    assert page == (tmp_path / "netbench-results" / "report.html").read_text()
    assert all(one["instance"] in page for one in test["hosts"])
    assert left(stack) == []


def published(said: str) -> str:
    """What is behind the link that was printed, which is shown as a page."""
    link = re.search(r"published: s3://\S+/runs/\S+/report/ \(\d+ files\)\s+(http\S+)", said)
    assert link, said
    with urllib.request.urlopen(link[1]) as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        return str(answer.read().decode())


@pytest.mark.timeout(300)
def test_one_command_emulates_it_all(tmp_path: Path) -> None:
    """``--netbench-provider aws --netbench-aws-emulate``, without configuration, credentials or set-up."""
    (tmp_path / "test_incast.py").write_text(INCAST.replace("incast(4, 2)", "incast(2, 1)").replace("== 8", "== 2"))
    status, said = ends(pytest_run(tmp_path, "--netbench-provider", "aws", "--netbench-aws-emulate"))
    assert status == 0, said
    assert "emulated AWS" in results(tmp_path)["tests"][0]["note"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_however_a_session_ends_nothing_is_left(stack: Emulation, tmp_path: Path, number: signal.Signals) -> None:
    """In the middle of a run: its reaper outlives it."""
    (tmp_path / "test_long.py").write_text(LONG)
    configure(tmp_path, stack)
    process = pytest_run(tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if "now" in line:
            break
    process.send_signal(number)
    process.communicate(timeout=250)
    assert settled(stack) == []


@pytest.mark.timeout(300)
def test_plain_moto_ends_with_a_verdict(tmp_path: Path) -> None:
    """Its SSM says Success and runs nothing: no host is taken for ready, and none is left."""
    (tmp_path / "test_incast.py").write_text(INCAST.replace('Hosts(placement="cluster")', "Hosts()"))
    with Emulation(Kind.PLAIN) as plain:
        plain.set_up()
        configure(tmp_path, plain, placement="none", agent=2, boot=5, image="al2023")
        status, said = ends(pytest_run(tmp_path))
        reservations = plain.client("ec2").describe_instances()["Reservations"]
        states = {one["State"]["Name"] for reservation in reservations for one in reservation["Instances"]}
    assert status == 1, said
    assert "ssm:DescribeInstanceInformation: 500: the answer isn't one of AWS's own" in said
    assert "plain moto doesn't" in said
    assert states <= {"terminated"}


@pytest.mark.timeout(300)
def test_workers_of_xdist_are_refused(stack: Emulation, tmp_path: Path) -> None:
    """They can't share hosts: each test says so, with what to do, and no host is made."""
    before = len(stack.state()["hosts"])
    (tmp_path / "test_incast.py").write_text(INCAST)
    configure(tmp_path, stack)
    status, said = ends(pytest_run(tmp_path, "-n", "2"))
    assert status == 1
    assert "provider aws can't be shared by workers of pytest-xdist: run without -n" in said
    assert len(stack.state()["hosts"]) == before
