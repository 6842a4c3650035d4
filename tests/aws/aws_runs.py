"""What do tests of whole runs share? A provider on the emulated cloud, and what of a run is left there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from pytest_netbench.drivers import registry
from pytest_netbench.hosts.aws.provider import AwsProvider
from pytest_netbench.hosts.ledger import Ledger
from pytest_netbench.hosts.provider import ProviderContext
from pytest_netbench.testing.aws.emulation import Emulation

DEADLINE = 150.0


class NoReaper:
    """In the place of the child that removes what a run leaves, where a test wants to see that: it may be quicker."""

    def __init__(self, *_: object) -> None:
        pass

    def dismiss(self) -> None:
        pass

    def hand_over(self) -> None:
        pass


@asynccontextmanager
async def provider(cloud: Emulation, run: str = "run", **settings: Any) -> AsyncIterator[AwsProvider]:
    """A provider of a run on the emulated cloud."""
    with Ledger.open(run) as ledger:
        context = ProviderContext(run, ledger, registry.dump(registry.KNOWN), cloud.settings(**settings))
        async with AwsProvider(context) as made:
            yield made


def left(cloud: Emulation) -> list[str]:
    """What runs have left in the cloud: instances, groups, objects that end with a run."""
    ec2, s3 = cloud.client("ec2"), cloud.client("s3")
    standing = [name for name, one in cloud.state()["hosts"].items() if one["state"] != "terminated" or one["alive"]]
    groups = [one["GroupName"] for one in ec2.describe_security_groups()["SecurityGroups"]]
    places = [one["GroupName"] for one in ec2.describe_placement_groups()["PlacementGroups"]]
    keys = [
        one["Key"]
        for bucket in s3.list_buckets()["Buckets"]
        for one in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", ())
        if "/boot/" in one["Key"]
    ]
    return [*standing, *(one for one in (*groups, *places) if one.startswith("netbench-")), *keys]


@contextmanager
def made_nothing(cloud: Emulation) -> Iterator[None]:
    """Nothing may be made in it: no host, no group, and no object, but what is there for all runs."""
    hosts, before = len(cloud.state()["hosts"]), left(cloud)
    calls = len(cloud.state()["calls"])
    yield
    state = cloud.state()
    assert len(state["hosts"]) == hosts
    assert not [one for one in state["calls"][calls:] if one.startswith("ec2.Create")]
    assert left(cloud) == before


def settled(cloud: Emulation) -> list[str]:
    """What is left once nothing more goes; empty as soon as that is so."""
    end = time.monotonic() + DEADLINE
    while (found := left(cloud)) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def configure(folder: Path, cloud: Emulation, **more: object) -> None:
    """Let a project's runs use the emulated cloud."""
    (folder / "netbench.toml").write_text(cloud.configuration(**more))


def pytest_run(folder: Path, *words: str) -> subprocess.Popen[str]:
    """A session of its own."""
    command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", *words]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(os.environ),
        start_new_session=True,
    )


def on_host(cloud: Emulation, instance: str, line: str) -> str:
    """What a line of shell prints on a host."""
    ssm = cloud.client("ssm")
    sent = ssm.send_command(InstanceIds=[instance], DocumentName="AWS-RunShellScript", Parameters={"commands": [line]})[
        "Command"
    ]["CommandId"]

    def ended() -> Any:
        one = ssm.get_command_invocation(CommandId=sent, InstanceId=instance)
        return one if one["Status"] not in {"Pending", "InProgress"} else None

    done = until(ended)
    assert done["Status"] == "Success", done
    return str(done["StandardOutputContent"])


def until(found: Callable[[], Any]) -> Any:
    """What is found, once it is there."""
    end = time.monotonic() + DEADLINE
    while not (answer := found()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return answer
