"""What do hosts on AWS cost before a test begins? API calls, and seconds on the emulated cloud beyond its own delays.

Calls are counted where they are made, repeats of one poll once; the raw numbers are figures too. On the real AWS a poll
comes once a second. The 200 hosts' workers are simulated: they share one process.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from figures import Figure, main, median

from pytest_netbench.drivers import registry
from pytest_netbench.hosts.aws import api
from pytest_netbench.hosts.aws.provider import AwsProvider
from pytest_netbench.hosts.ledger import Ledger
from pytest_netbench.hosts.model import Need
from pytest_netbench.hosts.provider import ProviderContext
from pytest_netbench.protocols import CLIENT, SERVER, NetbenchClient, NetbenchServer
from pytest_netbench.testing.aws import guard
from pytest_netbench.testing.aws.emulation import Emulation
from pytest_netbench.testing.aws.rules import Kind
from russula import Coordinator, Target

DELAYS = {"boot_s": 0.3, "agent_s": 0.2, "end_s": 0.2}
CALLS = {1: 25, 50: 27, 200: 31}
"""Hosts of a run, and the calls that it may make in its life."""
OWNER = """
import asyncio, sys
sys.path.insert(0, {folder!r})
import aws
aws.live({settings!r}, {servers}, hold=True)
"""


class Run:
    """One life of hosts: what was called, and how long it took from the first launch until all are READY."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.ready_s = 0.0
        self.end_s = 0.0

    @property
    def counted(self) -> int:
        """Calls, where repeats of one poll count once, with all its pages.

        What is asked of hosts is one poll until their end is asked for, and another after that.
        """
        end = self.calls.index("ec2:TerminateInstances")
        return sum(_counted(part) for part in (self.calls[:end], self.calls[end:]))


def _counted(calls: Sequence[str]) -> int:
    count = max(0, calls.count("ssm:SendCommand") - 1)  # each command is asked after by itself
    for name, group in itertools.groupby(sorted(calls), lambda one: one.removesuffix(api.MORE)):
        each = list(group)
        questions = each.count(name)
        count += 1 + -(-(len(each) - questions) // questions) if name in POLLS else len(each)
    return count


POLLS = ("ec2:DescribeInstances", "ssm:DescribeInstanceInformation", "ssm:ListCommandInvocations")


@contextmanager
def _state():
    folder = tempfile.mkdtemp(prefix="nb-aws-")
    os.environ["XDG_STATE_HOME"] = folder
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _life(settings: dict[str, object], need: Need, run: Run, *, hold: bool) -> None:
    name = f"bench-{os.getpid()}-{time.monotonic_ns()}"
    with Ledger.open(name) as ledger:
        context = ProviderContext(name, ledger, registry.dump(registry.KNOWN), settings)
        async with AwsProvider(context) as made:
            began = time.monotonic()
            async with made.fleet(need) as fleet:
                await _all_ready(fleet, Path(os.environ["XDG_STATE_HOME"]))
                run.ready_s = time.monotonic() - began
                if hold:
                    print("ready", flush=True)
                    sys.stdin.read(1)
            ending = time.monotonic()
        run.end_s = time.monotonic() - ending


async def _all_ready(fleet, folder: Path) -> None:
    for protocol, state, hosts in (
        (SERVER, NetbenchServer.READY, fleet.servers),
        (CLIENT, NetbenchClient.READY, fleet.clients),
    ):
        targets = [Target(one.name, one.control, folder / one.name, pin=one.pin) for one in hosts]
        if targets:
            async with Coordinator.connect(
                protocol, targets, run="bench", deadline=30, credentials=fleet.credentials
            ) as group:
                await group.run_till(state, deadline=30)


def live(settings: dict[str, object], servers: int, clients: int = 0, *, hold: bool = False) -> Run:
    """Have hosts, once."""
    run = Run()
    count = api.Aws._count  # noqa: SLF001  where every call is counted

    def counting(self: api.Aws, operation: str) -> None:
        run.calls.append(operation)
        count(self, operation)

    api.Aws._count = counting  # noqa: SLF001
    try:
        asyncio.run(_life(settings, Need(servers, clients), run, hold=hold))
    finally:
        api.Aws._count = count  # noqa: SLF001
    return run


PLENTY = {"max_cost": 1000.0, "max_hosts": 1000}


def _settings(cloud: Emulation) -> dict[str, object]:
    return dict(cloud.settings(**PLENTY))


def _until_ended(cloud: Emulation) -> None:
    while any(one["state"] != "terminated" for one in cloud.state()["hosts"].values()):
        time.sleep(0.02)


def _killed(cloud: Emulation, number: signal.Signals) -> float:
    """Seconds from a signal until everything is terminated."""
    program = OWNER.format(folder=str(Path(__file__).parent), settings=_settings(cloud), servers=2)
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    began = time.monotonic()
    process.send_signal(number)
    process.communicate()
    _until_ended(cloud)
    return time.monotonic() - began


TEST = """
import pytest
from pytest_netbench import KB, NetbenchClient, NetbenchServer, ping

@pytest.mark.netbench(scenario=ping(time=60, size=[1 * KB]))
async def test_long(netbench, server_coord, client_coord):
    await server_coord.run_till(NetbenchServer.RUNNING)
    await client_coord.run_till(NetbenchClient.RUNNING)
    print("ready", flush=True)
    await client_coord.run_till(NetbenchClient.DONE)
"""


def _handed_over(cloud: Emulation, folder: Path, number: signal.Signals) -> float:
    """Seconds from a signal, in the middle of a round, until the session has ended and left the rest to its reaper."""
    (folder / "test_long.py").write_text(TEST)
    (folder / "netbench.toml").write_text(cloud.configuration(**PLENTY))
    foreign = ("cacheprovider", "hypothesispytest")  # the latter loads all of hypothesis when a session is interrupted
    command = [sys.executable, "-m", "pytest", "-s", "-q", *(word for one in foreign for word in ("-p", f"no:{one}"))]
    process = subprocess.Popen(
        [*command, "test_long.py"], cwd=folder, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "ready" in line:
            break
    began = time.monotonic()
    process.send_signal(number)
    process.communicate()
    took = time.monotonic() - began
    _until_ended(cloud)
    return took


def _calls(hosts: int, run: Run) -> list[Figure]:
    return [
        Figure(f"calls_{hosts}", run.counted, "1", 1, CALLS[hosts]),
        Figure(f"calls_{hosts}_raw", len(run.calls), "1", 1),
    ]


def measure(quick: bool) -> list[Figure]:
    """All figures."""
    repeats, found = (1 if quick else 7), []
    with guard.up(), _state() as folder:
        with Emulation() as cloud:
            cloud.delays(**DELAYS)
            cloud.set_up()
            runs = [live(_settings(cloud), 6, 2) for _ in range(repeats)]
            own = DELAYS["boot_s"] + DELAYS["agent_s"]
            beyond = [run.ready_s - own for run in runs]
            found.append(median("ready_8_beyond_delays_s", beyond, "s", reach=3.0, why="two busy cores run all hosts"))
            found += _calls(1, live(_settings(cloud), 1))
            killed = [_killed(cloud, signal.SIGKILL) for _ in range(repeats)]
            found.append(median("sigkill_to_terminated_s", killed, "s", reach=5.0))
            for name, number in (("sigterm", signal.SIGTERM), ("sighup", signal.SIGHUP)):
                ended = [_handed_over(cloud, folder, number) for _ in range(repeats)]
                found.append(median(f"{name}_handed_over_s", ended, "s", reach=5.0))
        with Emulation(Kind.SIMULATED) as cloud:
            cloud.delays(**DELAYS)
            cloud.set_up()
            found += _calls(50, live(_settings(cloud), 25, 25))
            many = live(_settings(cloud), 100, 100)
            found += _calls(200, many)
            found.append(Figure("ready_200_s", many.ready_s, "s", 1, 30.0))
    return found


if __name__ == "__main__":
    main("aws", measure)
