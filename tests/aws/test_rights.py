"""Are the coordinator's rights exactly those that it needs, and is one that is missing named?"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import pytest

from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws import expired, ready, script, stack
from pytest_netbench.hosts.aws.api import Aws, Where
from pytest_netbench.hosts.aws.policy import LOGS, actions, coordinator_policy, right
from pytest_netbench.hosts.aws.publish import publish
from pytest_netbench.hosts.ledger import Ledger
from pytest_netbench.hosts.model import Need
from pytest_netbench.hosts.reap import reap
from pytest_netbench.testing.aws.emulation import REGION, Emulation
from pytest_netbench.testing.aws.rules import DROP, FOR_EVER, ApiFault
from tests.aws.aws_runs import NoReaper, left, made_nothing, provider

pytestmark = pytest.mark.timeout(300)
ARNS = {"bucket": "arn:aws:s3:::bucket", "role": "arn:aws:iam::1:role/host", "logs": "arn:aws:logs:*:*:log-group:g:*"}
POLICY = coordinator_policy("netbench", **ARNS)
Way: TypeAlias = Callable[[Emulation, Path, pytest.MonkeyPatch], Awaitable[None]]


@pytest.fixture
def coordinator(cloud: Emulation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Become a user with these rights and no others, which moto then enforces; without any, everybody again."""
    cloud.set_up()
    iam = cloud.client("iam")
    iam.create_user(UserName="coordinator")
    key = iam.create_access_key(UserName="coordinator")["AccessKey"]

    def become(*names: str) -> None:
        cloud.enforce(after=1 << 60)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"] if names else "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"] if names else "testing")
        if names:
            allow = {"Effect": "Allow", "Action": sorted(names), "Resource": "*"}
            document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
            iam.put_user_policy(UserName="coordinator", PolicyName="p", PolicyDocument=document)
            cloud.enforce(after=0)

    yield become
    become()
    iam.delete_access_key(UserName="coordinator", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="coordinator", PolicyName="p")
    iam.delete_user(UserName="coordinator")


# --- in which ways rights are used -------------------------------------------------------------------


async def live(cloud: Emulation, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Have a host, its worker's log, in which something stands, and a fresh worker on it."""
    patch.setattr(script, "log_tail", lambda *_: ["echo a line"])
    async with provider(cloud) as made, made.fleet(Need(1, 0)) as fleet:
        await made.salvage(fleet.servers, folder)
        await made.renew(fleet)


async def live_in_tagged_subnets(cloud: Emulation, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """In a network of somebody else's, by its tag."""
    found = stack.find(Aws(Where(REGION, endpoint=cloud.endpoint)), "netbench")
    assert found is not None
    named = {"bucket": found.outputs["Bucket"], "instance_profile": found.outputs["InstanceProfile"]}
    async with provider(cloud, subnet_tag="nb:stack=netbench", **named) as made, made.fleet(Need(1, 0)):
        pass


async def lose_an_answer(cloud: Emulation, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """To the making of the security group: it is found by its name."""
    cloud.faults(ApiFault(DROP, "ec2", "CreateSecurityGroup", after=True))
    await live(cloud, folder, patch)


async def hear_nothing_of_a_command(cloud: Emulation, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Until its time is over: it is cancelled."""
    patch.setattr(ready, "BOOT", 0.2)
    cloud.faults(ApiFault("InvocationDoesNotExist", "ssm", "ListCommandInvocations", times=FOR_EVER))
    await live(cloud, folder, patch)


async def reap_by_tags(cloud: Emulation, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """What is past its time, here of a run that lives, by a clock that is far ahead."""
    patch.setattr(expired, "time", SimpleNamespace(time=lambda: 1e10))
    async with provider(cloud) as made, made.fleet(Need(1, 0)):
        list(expired.reap_expired(cloud.settings()))


async def publish_results(cloud: Emulation, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Into the bucket."""
    (folder / "report.html").write_text("a report")
    publish(cloud.settings(), "run-1", folder, ("report.html",))


WAYS: dict[Way, frozenset[str]] = {
    live_in_tagged_subnets: frozenset({"ec2:DescribeSubnets"}),
    lose_an_answer: frozenset({"ec2:DescribeSecurityGroups"}),
    hear_nothing_of_a_command: frozenset({"ssm:CancelCommand"}),
    reap_by_tags: frozenset({"ec2:DescribePlacementGroups", "s3:ListBucket"}),
    publish_results: frozenset(),
}
"""Rights that a plain run doesn't use, by the way in which they are."""
OPTIONAL = frozenset({"servicequotas:GetServiceQuota", "ssm:GetCommandInvocation", *LOGS})
"""Without these a run goes on: what they tell is then not known."""
STAYS = frozenset(
    {"ec2:DeleteSecurityGroup", "ec2:DeletePlacementGroup", "ec2:DescribeSecurityGroups", "s3:DeleteObject"}
)
"""Without these something stays that costs nothing: there is no other way to remove it. The ledger keeps it."""
NEEDED = sorted(set(actions(POLICY)) - OPTIONAL)


def way_of(action: str) -> Way:
    return next((way for way, names in WAYS.items() if action in names), live)


@pytest.mark.parametrize("way", [live, *WAYS], ids=lambda way: way.__name__)
async def test_the_policy_is_enough(
    cloud: Emulation, coordinator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    """Nothing else is called on any way; hosts read by URLs that these rights signed."""
    coordinator(*actions(POLICY))
    called: list[str] = []
    count = Aws._count

    def noted(aws: Aws, operation: str) -> None:
        called.append(operation)
        count(aws, operation)

    monkeypatch.setattr(Aws, "_count", noted)
    ends = pytest.raises(HostError, match="hasn't ended") if way is hear_nothing_of_a_command else nullcontext()
    with monkeypatch.context() as patch, ends:
        await way(cloud, tmp_path, patch)
    rights = {right(one.partition(" ")[0]) for one in called} - {"sts:GetCallerIdentity"}
    assert rights <= set(actions(POLICY))
    coordinator()
    cloud.faults()
    assert left(cloud) == []


SAMPLE = random.Random(7).sample(NEEDED, 7)


@pytest.mark.parametrize(
    "action", [pytest.param(one, marks=() if one in SAMPLE else pytest.mark.deep) for one in NEEDED]
)
async def test_a_right_that_is_missing_is_named(
    cloud: Emulation, coordinator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """Whichever it is. Nothing is left, or what only this right could remove; and then the ledger has it."""
    monkeypatch.setattr("pytest_netbench.hosts.aws.provider.Reaper", NoReaper)
    coordinator(*set(actions(POLICY)) - {action})
    with monkeypatch.context() as patch, pytest.raises(HostError, match=action):
        await way_of(action)(cloud, tmp_path, patch)
    coordinator()
    cloud.faults()
    assert bool(left(cloud)) == (action in STAYS)
    if action in STAYS:
        reap("run")
        assert left(cloud) == []


BEFORE = (
    "cloudformation:DescribeStacks",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstances",
    "ec2:RunInstances",
    "ec2:CreateTags",
    "iam:PassRole",
    "ssm:GetParameter",
    "s3:GetObject",
)


@pytest.mark.parametrize("action", BEFORE)
async def test_these_are_missed_before_anything_is_made(
    cloud: Emulation, coordinator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """By questions, and by a launch that is only tried."""
    with made_nothing(cloud):
        coordinator(*set(actions(POLICY)) - {action})
        with pytest.raises(HostError, match=action):
            await live(cloud, tmp_path, monkeypatch)
        coordinator()


@pytest.mark.parametrize("action", ["ssm:GetCommandInvocation", *LOGS])
def test_a_log_that_may_not_be_read_or_kept_says_so(
    cloud: Emulation, coordinator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """In its own place; the run goes on."""
    coordinator(*set(actions(POLICY)) - {action})
    asyncio.run(live(cloud, tmp_path, monkeypatch))
    (log,) = tmp_path.rglob("worker.log")
    assert f"may not {action}" in log.read_text()


async def test_hosts_that_may_not_be_ended_end_themselves(
    cloud: Emulation, coordinator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By SSM; the ledger is empty, and the missing right is told all the same."""
    coordinator(*set(actions(POLICY)) - {"ec2:TerminateInstances"})
    with pytest.raises(HostError, match="may not ec2:TerminateInstances"):
        await live(cloud, tmp_path, monkeypatch)
    coordinator()
    assert left(cloud) == []
    with Ledger.open("run") as ledger:
        assert not ledger.held()


def test_the_policy_says_what_is_called_and_nothing_else() -> None:
    """No action with a star in it; making, ending and running need the owner's tag."""
    assert not [one for one in actions(POLICY) if "*" in one]
    for statement in POLICY["Statement"]:
        if set(statement["Action"]) & {"ec2:TerminateInstances", "ec2:DeleteSecurityGroup"}:
            assert "aws:ResourceTag/nb:owner" in json.dumps(statement["Condition"])
