"""Does the emulated cloud behave as AWS does where moto doesn't?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import botocore.exceptions
import pytest

from pytest_netbench.testing.aws.emulation import Emulation
from pytest_netbench.testing.aws.rules import ApiFault, Cause, Fate, HostFault
from tests.aws.aws_runs import until


class Place:
    """A network with a profile, and one kind of request."""

    def __init__(self, cloud: Emulation) -> None:
        self.cloud, self.ec2, self.ssm = cloud, cloud.client("ec2"), cloud.client("ssm")
        two = ".".join(cloud.network.split(".")[:2])
        vpc = self.ec2.create_vpc(CidrBlock=cloud.network)["Vpc"]["VpcId"]
        subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock=f"{two}.224.0/20")["Subnet"]["SubnetId"]
        self.group = self.ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
        name = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
        self.request: dict[str, Any] = {
            "ImageId": self.ssm.get_parameter(Name=name)["Parameter"]["Value"],
            "InstanceType": "c5n.large",
            "MinCount": 1,
            "MaxCount": 1,
            "IamInstanceProfile": {"Name": "emulation-test"},
            "InstanceInitiatedShutdownBehavior": "terminate",
            "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": subnet, "Groups": [self.group]}],
        }

    def launch(self, **more: Any) -> list[str]:
        answer = self.ec2.run_instances(**{**self.request, **more})
        return [one["InstanceId"] for one in answer["Instances"]]

    def instance(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ec2.describe_instances(InstanceIds=[name])["Reservations"][0]["Instances"][0]
        return found

    def ping(self, name: str) -> str:
        """Its ping status; empty if SSM doesn't know it."""
        found = self.ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [name]}])
        return "".join(one["PingStatus"] for one in found["InstanceInformationList"])

    def run(self, name: str, *lines: str, **more: list[str]) -> Mapping[str, Any]:
        """What became of a command."""
        sent = self.ssm.send_command(
            InstanceIds=[name], DocumentName="AWS-RunShellScript", Parameters={"commands": list(lines), **more}
        )
        command = sent["Command"]["CommandId"]

        def ended() -> Any:
            one = self.ssm.get_command_invocation(CommandId=command, InstanceId=name)
            return one if one["Status"] not in {"Pending", "InProgress"} else None

        found: Mapping[str, Any] = until(ended)
        return found


@pytest.fixture(scope="module")
def profile(_emulation: Emulation) -> None:
    iam = _emulation.client("iam")
    iam.create_instance_profile(InstanceProfileName="emulation-test")


@pytest.fixture
def place(cloud: Emulation, profile: None) -> Iterator[Place]:
    made = Place(cloud)
    yield made
    cloud.faults()
    for reservation in made.ec2.describe_instances()["Reservations"]:
        for one in reservation["Instances"]:
            made.ec2.terminate_instances(InstanceIds=[one["InstanceId"]])


def code(error: pytest.ExceptionInfo[botocore.exceptions.ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_command_really_runs(place: Place) -> None:
    """With its output, its errors, its status, on a host of its own address that read its user data."""
    (name,) = place.launch(UserData="#!/bin/sh\necho booted >$HOME/user-data\n")
    until(lambda: place.ping(name) == "Online")
    done = place.run(name, "hostname -I; cat $HOME/user-data; echo oh >&2; exit 3")
    address = place.instance(name)["PrivateIpAddress"]
    assert (done["Status"], done["ResponseCode"]) == ("Failed", 3)
    assert done["StandardOutputContent"] == f"{address}\nbooted\n"
    assert done["StandardErrorContent"] == "oh\n"


def test_a_command_has_its_time(place: Place) -> None:
    """ExecutionTimeout ends it."""
    (name,) = place.launch()
    until(lambda: place.ping(name) == "Online")
    done = place.run(name, "sleep 60", executionTimeout=["1"])
    assert (done["Status"], done["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")


def test_a_token_names_one_launch(place: Place) -> None:
    """The same request again is the same instance; another request with it is refused."""
    first = place.launch(ClientToken="t-1")
    assert place.launch(ClientToken="t-1") == first
    with pytest.raises(botocore.exceptions.ClientError) as error:
        place.launch(ClientToken="t-1", InstanceType="c5n.xlarge")
    assert code(error) == "IdempotentParameterMismatch"


def test_all_or_none_are_launched_and_each_has_the_profile(place: Place) -> None:
    """MinCount = MaxCount = 3; SSM hears of all."""
    names = place.launch(MinCount=3, MaxCount=3)
    assert len(names) == 3
    until(lambda: all(place.ping(one) == "Online" for one in names))


def test_a_group_in_use_stays(place: Place) -> None:
    """Security groups and placement groups, until the instance is terminated."""
    place.ec2.create_placement_group(GroupName="near", Strategy="cluster")
    (name,) = place.launch(Placement={"GroupName": "near"})
    with pytest.raises(botocore.exceptions.ClientError) as error:
        place.ec2.delete_security_group(GroupId=place.group)
    assert code(error) == "DependencyViolation"
    with pytest.raises(botocore.exceptions.ClientError) as error:
        place.ec2.delete_placement_group(GroupName="near")
    assert code(error) == "InvalidPlacementGroup.InUse"
    place.ec2.terminate_instances(InstanceIds=[name])
    place.ec2.terminate_instances(InstanceIds=[name])
    until(lambda: place.instance(name)["State"]["Name"] == "terminated")
    place.ec2.delete_security_group(GroupId=place.group)
    place.ec2.delete_placement_group(GroupName="near")


def test_the_dead_mans_timer_is_real(place: Place) -> None:
    """``shutdown -P +1`` in user data terminates the instance; here a minute is a tenth of a second."""
    place.cloud.delays(minute_s=0.1)
    (name,) = place.launch(UserData="#!/bin/sh\nshutdown -P +1\n")
    until(lambda: place.instance(name)["State"]["Name"] == "terminated")
    assert place.instance(name)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_a_script_that_would_end_this_machine_is_refused(place: Place) -> None:
    """A path goes round the programs that stand for those that end machines."""
    (name,) = place.launch()
    until(lambda: place.ping(name) == "Online")
    done = place.run(name, "true /sbin/shutdown")
    assert (done["Status"], "/shutdown" in done["StandardErrorContent"]) == ("Failed", True)


@pytest.mark.parametrize(
    ("cause", "state", "reason"),
    [
        (Cause.CRASH, "running", ""),
        (Cause.SPOT, "terminated", "Server.SpotInstanceTermination"),
        (Cause.SHUTDOWN, "terminated", "Client.InstanceInitiatedShutdown"),
    ],
)
def test_a_host_may_die(place: Place, cause: Cause, state: str, reason: str) -> None:
    """What EC2 says of it depends on the cause."""
    (name,) = place.launch()
    until(lambda: place.ping(name) == "Online")
    place.cloud.kill(name, cause)
    found = place.instance(name)
    assert (found["State"]["Name"], found.get("StateReason", {}).get("Code") or "") == (state, reason)
    assert place.ping(name) == ("ConnectionLost" if cause is Cause.CRASH else "")


@pytest.mark.parametrize("fate", Fate)
def test_a_host_may_never_serve(place: Place, fate: Fate) -> None:
    """It has no agent, there is no room for it after all, or it doesn't boot."""
    place.cloud.faults(HostFault(fate, times=1))
    bad, good = place.launch(MinCount=2, MaxCount=2)
    until(lambda: place.ping(good) == "Online")
    assert place.ping(bad) == ""
    states = {Fate.NO_AGENT: "running", Fate.BOOT_FAILS: "terminated", Fate.NEVER_BOOTS: "pending"}
    assert place.instance(bad)["State"]["Name"] == states[fate]


def test_new_instances_are_seen_late_if_told(place: Place) -> None:
    """AWS is consistent in the end."""
    place.cloud.delays(visible_s=3600.0)
    (name,) = place.launch()
    with pytest.raises(botocore.exceptions.ClientError) as error:
        place.instance(name)
    assert code(error) == "InvalidInstanceID.NotFound"
    place.cloud.delays(visible_s=0.0)
    assert place.instance(name)


def test_an_answer_may_be_lost_after_the_work_is_done(place: Place) -> None:
    """Botocore asks again with the same token: still one instance."""
    place.cloud.faults(ApiFault("DROP", "ec2", "RunInstances", after=True))
    before = len(place.cloud.state()["hosts"])
    assert len(place.launch(ClientToken="t-lost")) == 1
    assert len(place.cloud.state()["hosts"]) == before + 1


def test_it_leaves_nothing(tmp_path: object) -> None:
    """No process, no folder."""
    with Emulation(boot_s=0) as own:
        folder = own.folder
    assert not folder.exists()
