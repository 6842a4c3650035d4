"""Is the stack made, mended and removed, whatever state it is found in, and is every refusal one that helps?"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_netbench.cli.main import main
from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws import stack
from pytest_netbench.hosts.aws.api import Aws, Where
from pytest_netbench.hosts.aws.stackstate import ADVICE, Condition, condition
from pytest_netbench.hosts.model import Need
from pytest_netbench.testing.aws.emulation import ACCOUNT, REGION, Emulation
from tests.aws.aws_runs import configure, made_nothing, provider, until

pytestmark = pytest.mark.timeout(300)
NAME = "own"
REASON = "Vpc: The maximum number of VPCs has been reached."
Said = Callable[..., tuple[int, str]]


@pytest.fixture
def project(cloud: Emulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose configuration names the emulated cloud, and a stack of its own, which goes with it."""
    configure(tmp_path, cloud, stack=NAME)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    cloud.client("cloudformation").delete_stack(StackName=NAME)


@pytest.fixture
def cli(project: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """``netbench aws``: its exit status, and all that it said."""

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        status = main(["aws", *words])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


@pytest.fixture
def made(cloud: Emulation, cli: Said) -> Emulation:
    """The cloud, with the project's stack in it."""
    assert cli("setup", "--yes")[0] == 0
    return cloud


def resource(cloud: Emulation, kind: str) -> str:
    """What the stack's first resource of this kind is called."""
    listed = cloud.client("cloudformation").describe_stack_resources(StackName=NAME)["StackResources"]
    return next(str(one["PhysicalResourceId"]) for one in listed if one["ResourceType"] == f"AWS::{kind}")


def test_every_status_has_its_condition_and_what_to_do() -> None:
    """Also one that CloudFormation may invent."""
    assert condition("UPDATE_ROLLBACK_COMPLETE") is Condition.READY
    assert condition("ROLLBACK_COMPLETE") is condition("REVIEW_IN_PROGRESS") is Condition.EMPTY
    assert condition("UPDATE_ROLLBACK_IN_PROGRESS") is condition("DELETE_IN_PROGRESS") is Condition.WORKING
    assert condition("DELETE_FAILED") is condition("SOMETHING_NEW") is Condition.BROKEN
    assert all("netbench aws setup" in ADVICE[one] for one in Condition if one is not Condition.READY)


def test_a_first_set_up_says_what_it_makes_and_what_that_costs(cli: Said) -> None:
    """Before it makes it; then the rights that a coordinator needs, and what is there."""
    where = f"account {ACCOUNT}, region {REGION}, stack {NAME}"
    assert cli("status") == (1, f"{where}\nthere is none: `netbench aws setup` makes it\n")
    status, said = cli("setup", "--yes")
    assert status == 0
    for words in ("there is none yet", "4 x EC2 Subnet,", "$0.023 a GB and month", "CoordinatorPolicy: arn:"):
        assert words in said
    status, said = cli("status")
    assert (status, "CREATE_COMPLETE, and whole" in said, "0 hosts" in said) == (0, True, True)


async def test_a_run_has_hosts_in_what_was_set_up(made: Emulation) -> None:
    """By the command, as by ``Emulation.set_up``: in the network that the settings name."""
    async with provider(made, stack=NAME) as ours, ours.fleet(Need(1, 0)) as fleet:
        assert ipaddress.ip_address(fleet.servers[0].data) in ipaddress.ip_network(made.network)


def test_a_second_set_up_changes_nothing(made: Emulation, cli: Said) -> None:
    """It says what it found."""
    status, said = cli("setup", "--yes")
    assert (status, "there is one, CREATE_COMPLETE" in said, "\nunchanged\n" in said) == (0, True, True)


def test_nothing_is_made_or_removed_without_a_yes(cli: Said, cloud: Emulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is no where nobody answers."""
    monkeypatch.setattr("builtins.input", lambda _: "")
    assert cli("setup")[0] == 1
    assert '"AWS::EC2::VPC"' in cli("setup", "--template")[1]
    assert cli("status")[0] == 1


def test_a_stack_is_removed_with_what_is_in_its_bucket(made: Emulation, cli: Said) -> None:
    """Once; then there is none."""
    made.client("s3").put_object(Bucket=resource(made, "S3::Bucket"), Key="bin/x", Body=b"x")
    assert cli("teardown", "--yes")[1].endswith("removed\n")
    assert cli("teardown", "--yes")[1].endswith("there is none\n")


def test_a_stack_of_an_earlier_version_is_brought_up_to_date(made: Emulation, cli: Said) -> None:
    """With what it lacks."""
    old = made.client("cloudformation").get_template(StackName=NAME)["TemplateBody"]
    old = dict(old if isinstance(old, dict) else json.loads(old))
    old["Outputs"] = {name: one for name, one in old["Outputs"].items() if name != "InstanceProfile"}
    made.client("cloudformation").update_stack(StackName=NAME, TemplateBody=json.dumps(old))
    status, said = cli("status")
    assert (status, "no output InstanceProfile: `netbench aws setup` brings it up to date" in said) == (1, True)
    assert "brought up to date" in cli("setup", "--yes")[1]
    assert cli("status")[0] == 0


# --- half made ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"])
def test_what_a_failed_try_left_is_removed_and_made_anew(made: Emulation, cli: Said, status: str) -> None:
    """Nothing is in it; why it failed is told."""
    made.stack_is(NAME, status, REASON)
    exit_status, said = cli("status")
    assert (exit_status, REASON in said, "`netbench aws setup` makes it anew" in said) == (1, True, True)
    exit_status, said = cli("setup", "--yes")
    assert (exit_status, f"there is one, {status}" in said, "\nmade\n" in said) == (0, True, True)
    assert cli("status")[0] == 0


@pytest.mark.parametrize(
    ("status", "then", "words"),
    [
        ("CREATE_IN_PROGRESS", "CREATE_COMPLETE", "unchanged"),
        ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "unchanged"),
        ("ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE", "made"),
    ],
)
def test_who_works_at_it_is_waited_for(
    made: Emulation, cli: Said, monkeypatch: pytest.MonkeyPatch, status: str, then: str, words: str
) -> None:
    """An earlier set-up that was interrupted, or somebody else's; then it goes on from there."""
    made.stack_is(NAME, status)
    waits = SimpleNamespace(monotonic=lambda: 0.0, sleep=lambda _: made.stack_is(NAME, then))
    monkeypatch.setattr(stack, "time", waits)
    exit_status, said = cli("setup", "--yes")
    assert (exit_status, f"there is one, {status}" in said, f"\n{words}\n" in said) == (0, True, True)


@pytest.mark.parametrize("status", ["DELETE_FAILED", "ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED", "CREATE_FAILED"])
def test_a_broken_stack_is_left_alone_until_it_is_torn_down(made: Emulation, cli: Said, status: str) -> None:
    """Set-up says what it found, why, and what to do; that then works."""
    made.stack_is(NAME, status, REASON)
    exit_status, said = cli("setup", "--yes")
    assert (exit_status, REASON in said, "`netbench aws teardown` removes" in said) == (1, True, True)
    assert cli("teardown", "--yes")[1].endswith("removed\n")
    assert cli("setup", "--yes")[0] == 0


def test_a_stack_whose_bucket_was_deleted_is_made_anew(made: Emulation, cli: Said) -> None:
    """It isn't "unchanged": the bucket is named as gone, and teardown doesn't mind."""
    bucket = resource(made, "S3::Bucket")
    made.client("s3").delete_bucket(Bucket=bucket)
    for verb in (("status",), ("setup", "--yes")):
        exit_status, said = cli(*verb)
        assert (exit_status, f"its bucket {bucket} is gone: `netbench aws teardown`" in said) == (1, True)
    assert cli("teardown", "--yes")[1].endswith("removed\n")
    assert cli("setup", "--yes")[0] == 0


def test_a_stack_whose_subnet_was_deleted_says_so(made: Emulation, cli: Said) -> None:
    """Which it was."""
    subnet = resource(made, "EC2::Subnet")
    made.client("ec2").delete_subnet(SubnetId=subnet)
    said = cli("status")[1]
    assert "a subnet of it is gone" in said
    assert subnet in said


def test_a_stack_of_somebody_elses_is_never_touched(cloud: Emulation, cli: Said) -> None:
    """Neither changed nor removed, whatever the name."""
    theirs = json.dumps({"Resources": {"Theirs": {"Type": "AWS::SQS::Queue", "Properties": {}}}})
    cloud.client("cloudformation").create_stack(StackName=NAME, TemplateBody=theirs)
    for verb in ("setup", "teardown"):
        exit_status, said = cli(verb, "--yes")
        assert (exit_status, "isn't netbench's" in said, "another name" in said) == (1, True, True)
    cloud.client("cloudformation").delete_stack(StackName=NAME)


def test_another_account_is_refused(cloud: Emulation, project: Path, cli: Said) -> None:
    """With the line that would allow it."""
    configure(project, cloud, accounts=["1"])
    status, said = cli("setup", "--yes")
    assert (status, 'accounts = ["123456789012"]' in said) == (2, True)


def test_a_stack_that_fails_says_why_and_can_be_tried_again(cloud: Emulation, cli: Said) -> None:
    """By its events."""
    aws = Aws(Where(REGION, endpoint=cloud.endpoint))
    broken = {"Resources": {"Bad": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": "vpc-0", "CidrBlock": "x"}}}}
    with pytest.raises(HostError, match=r"it is ROLLBACK_COMPLETE: (?s:.*)vpc-0"):
        stack.setup(aws, NAME, broken, poll=0.05)
    assert "\nmade\n" in cli("setup", "--yes")[1]


def test_a_stack_with_hosts_in_it_stays(made: Emulation, cli: Said) -> None:
    """They are named, here and in the status."""
    ec2, path = made.client("ec2"), "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    tags = [{"Key": key, "Value": value} for key, value in {"nb:owner": "netbench", "nb:run": "r-1"}.items()]
    launched = ec2.run_instances(
        ImageId=made.client("ssm").get_parameter(Name=path)["Parameter"]["Value"],
        InstanceType="c5n.large",
        MinCount=1,
        MaxCount=1,
        SubnetId=resource(made, "EC2::Subnet"),
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    name = launched["Instances"][0]["InstanceId"]
    exit_status, said = cli("teardown", "--yes")
    assert (exit_status, f"1 hosts stand in it ({name})" in said) == (1, True)
    said = cli("status")[1]
    assert f"{name} c5n.large" in said
    assert "run r-1\n1 hosts\n" in said
    ec2.terminate_instances(InstanceIds=[name])
    until(lambda: made.state()["hosts"][name]["state"] == "terminated")


STATES = ["ROLLBACK_COMPLETE", "CREATE_IN_PROGRESS", "DELETE_FAILED"]


@pytest.mark.parametrize("status", STATES)
async def test_a_run_in_a_stack_half_made_says_what_to_do(made: Emulation, cli: Said, status: str) -> None:
    """Before anything is made."""
    made.stack_is(NAME, status, REASON)
    words = f"stack 'own' in us-west-2 is {status}.*{ADVICE[condition(status)]}"
    with made_nothing(made), pytest.raises(HostError, match=words):
        async with provider(made, stack=NAME):
            pass
    made.stack_is(NAME, "CREATE_COMPLETE")


async def test_a_run_in_a_stack_without_its_bucket_says_so(made: Emulation) -> None:
    """Before anything is made."""
    made.client("s3").delete_bucket(Bucket=resource(made, "S3::Bucket"))
    with made_nothing(made), pytest.raises(HostError, match=r"bucket \S+ can't be used: it is gone"):
        async with provider(made, stack=NAME):
            pass


# --- subnets that somebody tagged --------------------------------------------------------------------


def test_an_existing_network_is_taken_by_its_tag(
    made: Emulation, project: Path, cli: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set-up makes nothing, and prints the rights; status shows the network; teardown leaves it."""
    bucket, profile = resource(made, "S3::Bucket"), resource(made, "IAM::InstanceProfile")
    ec2, vpc = made.client("ec2"), resource(made, "EC2::VPC")
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    ec2.create_tags(Resources=[one["SubnetId"] for one in subnets], Tags=[{"Key": "nb:test", "Value": vpc}])
    configure(project, made, stack="none", subnet_tag=f"nb:test={vpc}", bucket=bucket, instance_profile=profile)
    calls = len(made.state()["calls"])
    status, said = cli("setup")
    assert (status, "nothing is to be made" in said, f"arn:aws:s3:::{bucket}/*" in said) == (0, True, True)
    assert "us-west-2a: subnet-" in cli("status")[1]
    status, said = cli("teardown", "--yes")
    assert (status, "somebody else's" in said) == (1, True)
    assert not {one for one in made.state()["calls"][calls:] if "Create" in one or "Delete" in one}
