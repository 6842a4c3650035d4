"""Is a host whom it says it is, does it keep its key to itself, and can its worker be renewed and looked into?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.hosts.aws.api import Aws
from pytest_netbench.hosts.model import Fleet, Need
from pytest_netbench.protocols import SERVER, NetbenchServer
from pytest_netbench.testing.aws.emulation import Emulation
from russula import Coordinator, RussulaError, Target
from tests.aws.aws_runs import on_host, provider

pytestmark = pytest.mark.timeout(300)


async def ready(fleet: Fleet, folder: Path, pin: str) -> None:
    """The first server takes part in a conversation, if it has that pin."""
    target = Target("server-0", fleet.servers[0].control, folder, pin=pin)
    async with Coordinator[NetbenchServer].connect(
        SERVER, [target], run="r", deadline=30, credentials=fleet.credentials
    ) as group:
        await group.run_till(NetbenchServer.READY, deadline=30)


def on(cloud: Emulation, fleet: Fleet, line: str) -> str:
    """What a line prints on the first server, beside its worker."""
    return on_host(cloud, str(fleet.servers[0].facts["instance"]), f"cd netbench/run; {line}")


async def test_keys_are_made_on_hosts_and_never_leave_them(stack: Emulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored in the bucket, or said to SSM, has none; each host has one of its own."""
    sent: list[str] = []
    call: Callable[..., Any] = Aws.call

    def listening(self: Aws, operation: str, **parameters: Any) -> Any:
        body = parameters.get("Body", b"")
        sent.append(operation + (body if body.startswith(b"{") else b"").decode() + str(parameters.get("Parameters")))
        return call(self, operation, **parameters)

    monkeypatch.setattr(Aws, "call", listening)
    async with provider(stack) as made, made.fleet(Need(1, 1)) as fleet:
        assert "PRIVATE KEY" in on(stack, fleet, "cat credentials/server-0.pem")
        assert len({host.pin for host in fleet.all}) == 2
    assert any("BEGIN CERTIFICATE" in one for one in sent if one.startswith("s3:PutObject"))
    assert any(one.startswith("ssm:SendCommand") for one in sent)
    assert not [one for one in sent if "PRIVATE KEY" in one]


async def test_a_worker_is_known_by_its_pin(stack: Emulation, tmp_path: Path) -> None:
    """Another host's is refused, and so is one that nobody knows."""
    async with provider(stack) as made, made.fleet(Need(1, 1)) as fleet:
        await ready(fleet, tmp_path, fleet.servers[0].pin)
        with pytest.raises(RussulaError, match="another certificate than its own"):
            await ready(fleet, tmp_path, fleet.clients[0].pin)
        with pytest.raises(RussulaError):
            await ready(fleet, tmp_path, "")


async def test_a_fresh_worker_has_its_host_and_its_key(stack: Emulation, tmp_path: Path) -> None:
    """``renew`` ends the process that serves; another serves at the same place."""
    async with provider(stack) as made, made.fleet(Need(1, 0)) as fleet:
        before = on(stack, fleet, "cat pid")
        await made.renew(fleet)
        assert on(stack, fleet, "cat pid") != before
        await ready(fleet, tmp_path, fleet.servers[0].pin)


async def test_a_silent_worker_is_looked_into_from_outside(stack: Emulation, tmp_path: Path) -> None:
    """By SSM: the end of its log, however long that is, though the worker says nothing; a dead host has none.

    What is found is in the log group, too.
    """
    async with provider(stack) as made, made.fleet(Need(2, 0)) as fleet:
        on(stack, fleet, "kill -STOP $(cat pid); yes line | head -n 9000 >>worker.log; echo the end >>worker.log")
        stack.kill(str(fleet.servers[1].facts["instance"]))
        await made.salvage(fleet.servers, tmp_path)
    assert (tmp_path / "server-0" / "worker.log").read_text().endswith("line\nthe end\n")
    assert not (tmp_path / "server-1").exists()
    assert kept(stack, "run/server-0")[-2:] == ["line", "the end"]


def kept(cloud: Emulation, stream: str) -> list[str]:
    """The lines of a stream in the stack's log group."""
    logs = cloud.client("logs")
    (group,) = (one["logGroupName"] for one in logs.describe_log_groups()["logGroups"])
    found = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
    return [one["message"] for one in found["events"]]
