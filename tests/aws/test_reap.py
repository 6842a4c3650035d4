"""Does ``netbench reap --expired`` remove what is past its time, all of it, in order, and nothing else?"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_netbench.cli.main import main
from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws import reaper
from pytest_netbench.testing.aws.emulation import Emulation
from pytest_netbench.testing.aws.rules import Kind
from tests.aws.aws_runs import configure, left

pytestmark = pytest.mark.timeout(300)
MANY = 102
"""Launches: more than a page, which has a hundred."""


@pytest.fixture(scope="module")
def crowd() -> Iterator[Emulation]:
    """A cloud for many hosts, that have no processes."""
    with Emulation(Kind.SIMULATED, boot_s=0.0, end_s=0.0) as cloud:
        cloud.set_up()
        yield cloud


def tags(run: str, expires: int, *kinds: str, owner: str = "netbench") -> list[dict[str, Any]]:
    named = {"nb:run": run, "nb:owner": owner, "nb:expires": str(expires)}
    listed = [{"Key": key, "Value": value} for key, value in named.items()]
    return [{"ResourceType": kind, "Tags": listed} for kind in kinds]


@pytest.fixture(scope="module")
def request_(crowd: Emulation) -> dict[str, Any]:
    """One host in the stack."""
    subnets = crowd.client("ec2").describe_subnets(Filters=[{"Name": "tag:nb:stack", "Values": ["netbench"]}])[
        "Subnets"
    ]
    path = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    image = crowd.client("ssm").get_parameter(Name=path)["Parameter"]["Value"]
    one = {"MinCount": 1, "MaxCount": 1, "InstanceType": "c5n.large"}
    return {**one, "ImageId": image, "SubnetId": subnets[0]["SubnetId"]}


def test_what_is_past_its_time_goes_and_nothing_else(
    crowd: Emulation,
    request_: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a machine that never heard of the run; in more than one page; in order; a young one and another's stay."""
    configure(tmp_path, crowd)
    monkeypatch.chdir(tmp_path)
    ec2 = crowd.client("ec2")

    def launch(run: str, expires: int, owner: str = "netbench") -> str:
        answer = ec2.run_instances(**request_, TagSpecifications=tags(run, expires, "instance", owner=owner))
        return str(answer["Instances"][0]["InstanceId"])

    stay = [launch("young", 1 << 40), launch("theirs", 1, "them")]
    for _ in range(MANY):
        launch("old", 1)
    vpc = ec2.describe_vpcs(Filters=[{"Name": "tag:nb:stack", "Values": ["netbench"]}])["Vpcs"][0]["VpcId"]
    group = {"GroupName": "netbench-old", "TagSpecifications": tags("old", 1, "security-group")}
    ec2.create_security_group(**group, Description="old", VpcId=vpc)
    place = {"GroupName": "netbench-old", "TagSpecifications": tags("old", 1, "placement-group")}
    ec2.create_placement_group(**place, Strategy="cluster")
    calls = len(crowd.state()["calls"])
    assert main(["reap", "--expired"]) == 0
    said = capsys.readouterr().out
    assert said.count("old: removed aws-instance ") == MANY
    assert sorted(line.split(":")[0] for line in said.splitlines()) == ["old"] * (MANY + 4)
    removing = [one for one in crowd.state()["calls"][calls:] if one.startswith(("ec2.Terminate", "ec2.Delete"))]
    assert list(dict.fromkeys(removing)) == [
        "ec2.TerminateInstances",
        "ec2.DeletePlacementGroup",
        "ec2.DeleteSecurityGroup",
    ]
    assert left(crowd) == stay


def test_a_reaper_that_is_refused_tries_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it has removed everything; or until hosts are left to end themselves."""
    waited: list[float] = []
    refused = iter([HostError("no"), HostError("no"), None])

    def clean(_ledger: Path) -> None:
        if (error := next(refused, HostError("no"))) is not None:
            raise error

    monkeypatch.setattr(reaper, "clean", clean)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(reaper, "time", SimpleNamespace(sleep=waited.append))
    with Path(os.devnull).open("rb") as ended:
        assert reaper.main(ended.fileno(), Path("run.jsonl")) == 0
        assert waited == [0.0, *reaper.LATER[:2]]
        assert reaper.main(ended.fileno(), Path("run.jsonl")) == 1


def test_nothing_is_expired(
    crowd: Emulation, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so."""
    configure(tmp_path, crowd)
    monkeypatch.chdir(tmp_path)
    assert main(["reap", "--expired"]) == 0
    assert capsys.readouterr().out == "nothing is left\n"


def test_another_account_is_left_alone(
    crowd: Emulation, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the line that would allow it."""
    configure(tmp_path, crowd, accounts=["1"])
    monkeypatch.chdir(tmp_path)
    assert main(["reap", "--expired"]) == 2
    assert 'accounts = ["123456789012"]' in capsys.readouterr().err
