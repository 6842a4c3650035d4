"""Is the stack made and removed; are the coordinator's rights the needed ones; is everything found by its tags?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.cli.main import main
from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws import stack
from pytest_netbench.hosts.aws.api import Aws, Where
from pytest_netbench.hosts.aws.failures import RightsMissing
from pytest_netbench.hosts.aws.policy import actions, coordinator_policy
from pytest_netbench.hosts.aws.publish import publish
from pytest_netbench.hosts.model import Need
from pytest_netbench.testing.aws.emulation import REGION, Emulation
from pytest_netbench.testing.aws.rules import ApiFault
from tests.aws.aws_runs import configure, left, provider

pytestmark = pytest.mark.timeout(120)
POLICY = coordinator_policy("netbench", bucket="arn:aws:s3:::bucket", role="arn:aws:iam::1:role/host")


@pytest.fixture
def project(cloud: Emulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose configuration names the emulated cloud, and a stack of its own."""
    configure(tmp_path, cloud, stack="own")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_stack_is_made_shown_and_removed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twice does no harm; what it costs at rest is said before anything is made."""
    assert main(["aws", "status"]) == 1
    assert main(["aws", "setup", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "at rest it costs nothing but" in said
    assert "CoordinatorPolicy: arn:" in said
    assert main(["aws", "setup", "--yes"]) == 0
    assert main(["aws", "status"]) == 0
    assert "0 hosts" in capsys.readouterr().out
    assert main(["aws", "teardown", "--yes"]) == 0
    assert main(["aws", "status"]) == 1


def test_nothing_is_made_without_a_yes(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is no where nobody answers."""
    monkeypatch.setattr("builtins.input", lambda _: "")
    assert main(["aws", "setup"]) == 1
    assert main(["aws", "setup", "--template"]) == 0
    assert '"AWS::EC2::VPC"' in capsys.readouterr().out
    assert main(["aws", "status"]) == 1


def test_another_account_is_refused(cloud: Emulation, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the line that would allow it."""
    configure(project, cloud, accounts=["1"])
    assert main(["aws", "setup", "--yes"]) == 2
    assert 'accounts = ["123456789012"]' in capsys.readouterr().err


def test_a_stack_that_fails_says_why(cloud: Emulation) -> None:
    """By its events."""
    aws = Aws(Where(REGION, endpoint=cloud.endpoint))
    broken = {"Resources": {"Bad": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": "vpc-0", "CidrBlock": "x"}}}}
    with pytest.raises(HostError):
        stack.setup(aws, "broken", broken, poll=0.05)


async def test_a_stack_with_hosts_in_it_stays(cloud: Emulation) -> None:
    """They are named."""
    cloud.set_up()
    aws = Aws(Where(REGION, endpoint=cloud.endpoint))
    async with provider(cloud) as made, made.fleet(Need(1, 0)):
        with pytest.raises(HostError, match=r"1 hosts stand in it \(i-"):
            stack.teardown(aws, "netbench")


# --- rights ------------------------------------------------------------------------------------------


@pytest.fixture
def coordinator(cloud: Emulation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Become a user with a policy; moto then enforces rights."""
    cloud.set_up()
    iam = cloud.client("iam")
    iam.create_user(UserName="coordinator")
    key = iam.create_access_key(UserName="coordinator")["AccessKey"]

    def become(policy: Any) -> None:
        iam.put_user_policy(UserName="coordinator", PolicyName="p", PolicyDocument=json.dumps(policy))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        cloud.enforce(after=0)

    yield become
    cloud.enforce(after=1 << 60)
    for each in iam.list_access_keys(UserName="coordinator")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="coordinator", AccessKeyId=each["AccessKeyId"])
    iam.delete_user_policy(UserName="coordinator", PolicyName="p")
    iam.delete_user(UserName="coordinator")


def only(names: set[str]) -> dict[str, Any]:
    """A policy of these actions, without conditions and resources, which moto doesn't read."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": sorted(names), "Resource": "*"}]}


CALLED_OTHERWISE = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:DeleteObjects": "s3:DeleteObject",
    "service-quotas:GetServiceQuota": "servicequotas:GetServiceQuota",
}
"""Operations whose right has another name."""


async def test_the_policy_is_enough(cloud: Emulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole run calls nothing else; moto can't enforce rights where a presigned URL is used."""
    cloud.set_up()
    called: list[str] = []
    monkeypatch.setattr(Aws, "_count", lambda _self, operation: called.append(operation))
    async with provider(cloud) as made, made.fleet(Need(1, 0)) as fleet:
        await made.salvage(fleet.servers, tmp_path)
        await made.renew(fleet)
    assert {CALLED_OTHERWISE.get(one, one) for one in called} <= set(actions(POLICY))


NEEDED_FIRST = ("cloudformation:DescribeStacks", "ec2:DescribeInstanceTypes", "ssm:GetParameter", "ec2:RunInstances")


@pytest.mark.parametrize("action", NEEDED_FIRST)
async def test_a_right_that_lacks_is_named(cloud: Emulation, coordinator: Any, action: str) -> None:
    """Before anything is made."""
    coordinator(only(set(actions(POLICY)) - {action}))
    with pytest.raises(RightsMissing, match=action):
        async with provider(cloud) as made, made.fleet(Need(1, 0)):
            pass
    cloud.enforce(after=1 << 60)
    assert left(cloud) == []


def test_the_policy_says_what_is_called_and_nothing_else() -> None:
    """No action with a star in it; making, ending and running need the owner's tag."""
    assert not [one for one in actions(POLICY) if "*" in one]
    for statement in POLICY["Statement"]:
        if set(statement["Action"]) & {"ec2:TerminateInstances", "ec2:DeleteSecurityGroup"}:
            assert "aws:ResourceTag/nb:owner" in json.dumps(statement["Condition"])


# --- what ledgers lost -------------------------------------------------------------------------------


async def test_what_is_past_its_time_is_found_by_its_tags(
    cloud: Emulation, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``netbench reap --expired``, on a machine that never heard of the run; in pages. Others stay."""
    cloud.set_up()
    configure(project, cloud)
    ended = [name for name, one in cloud.state()["hosts"].items() if one["state"] == "terminated"]
    async with provider(cloud, "young") as made, made.fleet(Need(1, 0)) as young:
        ec2 = cloud.client("ec2")
        request = {
            "ImageId": young.servers[0].facts["image"],
            "InstanceType": "c5n.large",
            "MinCount": 3,
            "MaxCount": 3,
        }
        tags = [
            {"Key": key, "Value": value}
            for key, value in {"nb:run": "old", "nb:owner": "netbench", "nb:expires": "1000"}.items()
        ]
        ec2.run_instances(**request, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])
        ec2.create_placement_group(
            GroupName="netbench-old",
            Strategy="cluster",
            TagSpecifications=[{"ResourceType": "placement-group", "Tags": tags}],
        )
        monkeypatch.setenv("XDG_STATE_HOME", str(project / "elsewhere"))
        assert main(["reap", "--expired"]) == 0
        said = capsys.readouterr().out
        assert said.count("old: removed aws-instance ") == 3
        assert "young" not in said
        states = cloud.state()["hosts"]
        assert states[str(young.servers[0].facts["instance"])]["state"] == "running"
    assert ended is not None


def test_results_are_published_with_their_types(cloud: Emulation, tmp_path: Path) -> None:
    """The link opens the report; nothing else of the folder travels."""
    cloud.set_up()
    (tmp_path / "runs" / "t").mkdir(parents=True)
    for name in ("report.html", "results.json", "secret.txt", "runs/t/driver.out"):
        (tmp_path / name).write_text(name)
    done = publish(cloud.settings(), "run-1", tmp_path, ("results.json", "report.html", "runs"))
    assert done.files == 3
    bucket = done.place.split("/")[2]
    found = cloud.client("s3").get_object(Bucket=bucket, Key="runs/run-1/report/report.html")
    assert found["ContentType"] == "text/html; charset=utf-8"
    assert "X-Amz-Expires=604800" in done.link


def test_publishing_says_what_is_wrong(cloud: Emulation, tmp_path: Path) -> None:
    """As everywhere."""
    cloud.set_up()
    cloud.faults(ApiFault("ExpiredToken", "sts"))
    with pytest.raises(HostError, match="sign in again"):
        publish(cloud.settings(), "run-1", tmp_path, ())
