"""Does every provider keep the same promises, from the first host to the last trace?"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.errors import HostError
from pytest_netbench.hosts import namespace
from pytest_netbench.hosts.aws.provider import AwsProvider
from pytest_netbench.hosts.ledger import PROCESS, Ledger, entries, held
from pytest_netbench.hosts.local import LocalProvider
from pytest_netbench.hosts.model import Fleet, Need
from pytest_netbench.hosts.provider import Provider, ProviderContext
from pytest_netbench.hosts.reap import reap
from pytest_netbench.protocols import SERVER, NetbenchServer
from pytest_netbench.telemetry.proc import is_alive
from pytest_netbench.testing.aws.emulation import Emulation
from russula import Coordinator, Target

LOCAL: dict[str, dict[str, object]] = {"local": {}, "local without namespaces": {"namespace": False}}
AWS = "aws"
KINDS = (*LOCAL, AWS)
EACH = pytest.mark.parametrize("kind", KINDS)
EACH_LOCAL = pytest.mark.parametrize("kind", LOCAL)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def emulated() -> Iterator[Mapping[str, object]]:
    """What makes provider aws use an emulated AWS."""
    with Emulation(boot_s=0.05, agent_s=0.05, end_s=0.05) as cloud:
        cloud.set_up()
        yield cloud.settings()


@pytest.fixture(autouse=True)
def _settings(request: pytest.FixtureRequest) -> None:
    """Only tests of aws wait for the emulation."""
    if getattr(request.node, "callspec", None) and request.node.callspec.params.get("kind") == AWS:
        SETTINGS[AWS] = request.getfixturevalue("emulated")


SETTINGS: dict[str, Mapping[str, object]] = dict(LOCAL)


def make(kind: str, context: ProviderContext) -> Provider:
    """A provider of this kind."""
    return AwsProvider(context) if kind == AWS else LocalProvider(context)


@asynccontextmanager
async def provider(kind: str, **more: Any) -> AsyncIterator[tuple[Provider, Ledger]]:
    """A provider of this kind, and the ledger of its run."""
    with Ledger.open("run") as ledger:
        context = ProviderContext("run", ledger, registry.dump(registry.KNOWN), SETTINGS[kind], **more)
        async with make(kind, context) as made:
            yield made, ledger


async def all_ready(fleet: Fleet, folder: Path) -> None:
    """Every worker takes part in a conversation."""
    targets = [Target(host.name, host.control, folder / host.name, pin=host.pin) for host in fleet.all]
    async with Coordinator[NetbenchServer].connect(
        SERVER, targets, run="r", deadline=10, credentials=fleet.credentials
    ) as group:
        await group.run_till(NetbenchServer.READY, deadline=10)


@EACH
async def test_a_fleet_has_what_was_asked_for_and_is_ready(kind: str, tmp_path: Path) -> None:
    """So many servers and clients, each with a worker that answers and an address of its own."""
    async with provider(kind) as (made, _), made.fleet(Need(3, 2)) as fleet:
        await all_ready(fleet, tmp_path)
        assert (len(fleet.servers), len(fleet.clients)) == (3, 2)
        assert len({host.data for host in fleet.all}) == 5


@EACH_LOCAL
async def test_a_reader_is_told_of_a_loopback_that_flatters(kind: str) -> None:
    """In a network of their own hosts have an MTU of 1500; on the machine's there is a note."""
    async with provider(kind) as (made, _), made.fleet(Need(1, 1)) as fleet:
        own = kind == "local" and namespace.why_not_own() is None
        assert (fleet.note == "") == own
        assert fleet.servers[0].facts["mtu"] == (1500 if own else namespace.mtu_of_lo())


@EACH
async def test_workers_serve_again(kind: str, tmp_path: Path) -> None:
    """A later fleet has the same hosts, and more where it needs more."""
    async with provider(kind) as (made, _):
        async with made.fleet(Need(1, 1)) as first:
            await all_ready(first, tmp_path)
        async with made.fleet(Need(2, 1)) as second:
            await all_ready(second, tmp_path)
    assert [host.control for host in second.all if host in first.all] == [host.control for host in first.all]


@EACH
async def test_leaving_removes_everything(kind: str) -> None:
    """Nothing is held, no folder is there, no process."""
    async with provider(kind) as (made, ledger), made.fleet(Need(1, 1)):
        path = ledger.path
        meanwhile = [one.id for one in held(entries(path))]
    assert meanwhile
    assert not held(entries(path))
    assert not any(os.path.exists(one) or is_alive(one) for one in meanwhile)  # noqa: ASYNC240, PTH110


@EACH
async def test_a_sweep_needs_no_loop_and_may_come_twice(kind: str) -> None:
    """As from ``pytest_unconfigure``, after whatever went wrong."""
    async with provider(kind) as (made, ledger), made.fleet(Need(1, 0)):
        made.sweep()
        made.sweep()
        assert not ledger.held()


@EACH
async def test_logs_survive_their_worker(kind: str, tmp_path: Path) -> None:
    """What a worker wrote is salvaged, and nothing is raised where it wrote nothing."""
    async with provider(kind) as (made, _), made.fleet(Need(1, 0)) as fleet:
        await all_ready(fleet, tmp_path)
        await made.salvage(fleet.servers, tmp_path / "logs")
    assert "READY" in (tmp_path / "logs" / fleet.servers[0].name / "worker.log").read_text()


@EACH_LOCAL
async def test_a_worker_that_does_not_come_up_is_named_with_its_log(kind: str) -> None:
    """The host, how it ended, and its last words."""
    with Ledger.open("run") as ledger, pytest.raises(HostError, match=r"(?s)server-0 ended with 1.*TypeError"):
        context = ProviderContext("run", ledger, registry.dump(registry.KNOWN), SETTINGS[kind])
        async with LocalProvider(context, "pytest_netbench.units:parse_bytes") as made, made.fleet(Need(1, 0)):
            pass


OWNER = """
import asyncio, json, sys
from pytest_netbench.hosts.ledger import Ledger
from pytest_netbench.hosts.aws.provider import AwsProvider
from pytest_netbench.hosts.local import LocalProvider
from pytest_netbench.hosts.model import Need
from pytest_netbench.hosts.provider import Provider, ProviderContext

async def main():
    kind = AwsProvider if sys.argv[3] == "aws" else LocalProvider
    with Ledger.open("killed") as ledger:
        context = ProviderContext("killed", ledger, "{}", json.loads(sys.argv[1]), keep=sys.argv[2] == "keep")
        async with kind(context) as made, made.fleet(Need(2, 1)):
            print("up", flush=True)
            sys.stdin.read(1)

asyncio.run(main())
"""


def owned(kind: str, word: str) -> subprocess.Popen[str]:
    """A process with hosts, which says when they are up."""
    command = [sys.executable, "-c", OWNER, json.dumps(SETTINGS[kind]), word, kind]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def holders(state: Path) -> list[str]:
    """The processes that the killed run's ledger holds."""
    return [one.id for one in held(entries(state / "netbench" / "killed.jsonl")) if one.kind == PROCESS]


def ended(identity: str) -> bool:
    """Wait for the end of a process that isn't our child."""
    try:
        descriptor = os.pidfd_open(int(identity.partition(":")[0]))
    except ProcessLookupError:
        return True
    with os.fdopen(descriptor) as file:
        return bool(select.select([file], [], [], 20)[0])


@EACH
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_owner_is_killed_its_hosts_end(kind: str, number: signal.Signals, tmp_path: Path) -> None:
    """Without a next run, by the end of the holder's input; the rest is removed by the next reaper."""
    process = owned(kind, "end")
    held_before = holders(tmp_path / "state")
    process.send_signal(number)
    process.communicate()
    assert all(map(ended, held_before))
    reap()
    assert not held(entries(tmp_path / "state" / "netbench" / "killed.jsonl"))


@EACH
def test_kept_hosts_outlive_their_run_until_they_are_reaped(kind: str, tmp_path: Path) -> None:
    """``--netbench-keep-hosts``; ``netbench reap RUN`` ends them."""
    process = owned(kind, "keep")
    process.communicate("x")
    kept = [one.id for one in held(entries(tmp_path / "state" / "netbench" / "killed.jsonl"))]
    assert all(map(is_alive, holders(tmp_path / "state")))
    assert reap() == ()
    assert [one.id for one in reap("killed")]
    assert kept
    assert not held(entries(tmp_path / "state" / "netbench" / "killed.jsonl"))
    assert not any(map(is_alive, kept))
