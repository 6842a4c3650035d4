"""Is what can't work refused before anything is made, in words that help?"""

from __future__ import annotations

import socket
from typing import Any

import pytest

from pytest_netbench.errors import HostError, UsageError
from pytest_netbench.hosts.aws.failures import (
    ClockSkewed,
    CredentialsRefused,
    Expired,
    Unreachable,
)
from pytest_netbench.hosts.model import Hosts, Need
from pytest_netbench.hosts.reap import reap
from pytest_netbench.roles import Role
from pytest_netbench.testing.aws.emulation import REGION, Emulation
from pytest_netbench.testing.aws.rules import FOR_EVER, HANG, ApiFault
from tests.aws.aws_runs import left, made_nothing, provider

pytestmark = pytest.mark.timeout(300)
ONE = Need(1, 0)
OTHERS = "999999999999"
HAS_NOT = ("c6in.large", "us-west-2d")
"""A type, and a zone of the stack's region that doesn't have it."""


async def refused(cloud: Emulation, kind: type[Exception], words: str, need: Need = ONE, **settings: Any) -> None:
    """A run ends with this error, and made nothing."""
    with made_nothing(cloud), pytest.raises(kind, match=words):
        async with provider(cloud, **settings) as made, made.fleet(need):
            pass


# --- who asks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [{}, {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"}], ids=["none", "half"])
async def test_without_credentials(stack: Emulation, monkeypatch: pytest.MonkeyPatch, half: dict[str, str]) -> None:
    """Nobody is found, or half of somebody. At a name other than 127.0.0.1 the user's own are looked for."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in half.items():
        monkeypatch.setenv(name, value)
    endpoint = stack.endpoint.replace("127.0.0.1", "localhost")
    await refused(stack, CredentialsRefused, r"(?s)NoCredentials: .*credentials.*aws sso login", endpoint=endpoint)


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId"])
async def test_expired_credentials(stack: Emulation, code: str) -> None:
    """As STS tells it, which is asked first."""
    stack.faults(ApiFault(code, "sts", status=403, times=FOR_EVER))
    await refused(stack, CredentialsRefused, "(?s)sts:GetCallerIdentity: .*sign in again")


async def test_credentials_that_expire_before_the_launch(stack: Emulation) -> None:
    """EC2's word for it is also that for a wrong clock: both are told."""
    stack.faults(ApiFault("RequestExpired", "ec2", "RunInstances", times=FOR_EVER))
    await refused(stack, Expired, "(?s)ec2:RunInstances: RequestExpired.*sign in again.*clock")


async def test_an_unknown_profile(stack: Emulation) -> None:
    """By its name."""
    await refused(stack, CredentialsRefused, "nobody", profile="nobody")


async def test_a_wrong_account(stack: Emulation) -> None:
    """With the line that would allow it."""
    await refused(stack, UsageError, r'accounts = \["123456789012"\]', accounts=[OTHERS])


async def test_a_wrong_secret(stack: Emulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its signatures fail, as those of a wrong clock do: both are told."""
    iam = stack.client("iam")
    iam.create_user(UserName="typist")
    key = iam.create_access_key(UserName="typist")["AccessKey"]["AccessKeyId"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mistyped")
    with made_nothing(stack):
        stack.enforce(after=0)
        with pytest.raises(ClockSkewed, match=r"(?s)SignatureDoesNotMatch.*clock.*secret key is wrong"):
            async with provider(stack):
                pass
        stack.enforce(after=1 << 60)
    iam.delete_access_key(UserName="typist", AccessKeyId=key)
    iam.delete_user(UserName="typist")


@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
async def test_a_wrong_clock(stack: Emulation, ahead: float) -> None:
    """Before or after the cloud's own."""
    with made_nothing(stack):
        stack.delays(skew_s=ahead)
        with pytest.raises(ClockSkewed, match=r"(?s)sts:GetCallerIdentity: .*clock is right"):
            async with provider(stack):
                pass
        stack.delays(skew_s=0.0)


async def test_a_clock_that_goes_wrong_in_the_middle(stack: Emulation) -> None:
    """Nothing can be removed then; the ledger has it, and ``netbench reap`` removes it once the clock is right."""
    with pytest.raises(HostError, match="clock is right"):
        async with provider(stack, "late") as made, made.fleet(Need(1, 0)):
            stack.delays(skew_s=3600.0)
    alive = [name for name, one in stack.state()["hosts"].items() if one["alive"]]
    stack.delays(skew_s=0.0)  # from here on the run's reaper, which tries again, may be quicker than we
    assert alive
    reap("late")
    assert left(stack) == []


# --- where -------------------------------------------------------------------------------------------


async def test_a_region_without_the_stack(stack: Emulation) -> None:
    """With the command that makes it."""
    words = "there is no stack 'netbench' in eu-north-1: `netbench aws setup` makes it"
    await refused(stack, HostError, words, region="eu-north-1")


async def test_a_stack_that_is_not_there(stack: Emulation) -> None:
    """By its name."""
    await refused(stack, HostError, "there is no stack 'absent' in us-west-2: `netbench aws setup`", stack="absent")


async def test_a_bucket_of_somebody_elses(stack: Emulation) -> None:
    """Another account's."""
    role = {"RoleArn": f"arn:aws:iam::{OTHERS}:role/them", "RoleSessionName": "them"}
    theirs = stack.client("sts").assume_role(**role)["Credentials"]
    keys = {
        "aws_access_key_id": theirs["AccessKeyId"],
        "aws_secret_access_key": theirs["SecretAccessKey"],
        "aws_session_token": theirs["SessionToken"],
    }
    place = {"LocationConstraint": REGION}
    stack.client("s3", **keys).create_bucket(Bucket="theirs", CreateBucketConfiguration=place)
    await refused(stack, HostError, "the bucket theirs can't be used: it is gone, or somebody else's", bucket="theirs")


async def test_a_bucket_that_is_not_there(stack: Emulation) -> None:
    """By its name."""
    await refused(stack, HostError, "the bucket absent can't be used: it is gone", bucket="absent")


async def test_a_profile_for_hosts_that_is_not_there(stack: Emulation) -> None:
    """By its name."""
    await refused(stack, HostError, "absent", instance_profile="absent")


async def test_an_endpoint_that_hangs(stack: Emulation) -> None:
    """Each answer has its deadline."""
    stack.faults(ApiFault(HANG, "sts", times=FOR_EVER))
    await refused(stack, Unreachable, "sts:GetCallerIdentity", timeout=0.2)


async def test_an_endpoint_that_takes_no_connection(stack: Emulation) -> None:
    """Neither does one where nobody listens, or takes what came."""
    await refused(stack, Unreachable, "127.0.0.1:9", endpoint="http://127.0.0.1:9", timeout=0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        await refused(stack, Unreachable, f"127.0.0.1:{port}", endpoint=f"http://127.0.0.1:{port}", timeout=0.2)


# --- what --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"types": ["c9.huge"]}, HostError, "c9.huge"),
        (
            {"types": ["c5n.18xlarge"], "life": "24h"},
            UsageError,
            r"(?s)--netbench-max-cost.*1 x 24 h of c5n.18xlarge at",
        ),
        ({"max_hosts": 1, "types": ["t3.micro"], "price": {"t3.micro": "x"}}, UsageError, "expected dollars"),
        ({"typs": ["x"]}, UsageError, "did you mean 'types'"),
        ({"life": "1s"}, UsageError, "five minutes to one day"),
        ({"subnet_tag": "nb=x"}, UsageError, "needs bucket and instance_profile"),
        (
            {"subnet_tag": "nb=x", "bucket": "b", "instance_profile": "p"},
            HostError,
            "no subnet in us-west-2 has the tag",
        ),
        ({"image": "/aws/service/none"}, HostError, "ssm:GetParameter: ParameterNotFound"),
    ],
    ids=lambda one: "-".join(one) if isinstance(one, dict) else "",
)
async def test_settings_that_can_not_work(
    stack: Emulation, settings: dict[str, Any], kind: type[Exception], words: str
) -> None:
    """With the line that mends them."""
    await refused(stack, kind, words, **settings)


async def test_more_hosts_than_may_be(stack: Emulation) -> None:
    """By the setting's name."""
    await refused(stack, UsageError, "3 hosts are needed, .* max_hosts is 2", Need(2, 1), max_hosts=2)


async def test_a_type_that_the_zone_has_not(stack: Emulation) -> None:
    """The marker asks for both: each is named."""
    kinds = {Role.SERVER: Hosts(zone=HAS_NOT[1], type=HAS_NOT[0])}
    await refused(stack, HostError, f"{HAS_NOT[1]}.* asked for: {HAS_NOT[0]}", Need(1, 0, kinds))


async def test_a_zone_that_is_none(stack: Emulation) -> None:
    """By the marker, too."""
    await refused(stack, HostError, "us-west-2z", Need(1, 0, {Role.SERVER: Hosts(zone="us-west-2z")}))


async def test_a_cheaper_type_does_not_open_the_door_to_a_dear_one(stack: Emulation) -> None:
    """Where the first has no room, a type that could cost more than may be spent isn't tried."""
    full: dict[str, Any] = {"code": "InsufficientInstanceCapacity", "status": 500, "times": FOR_EVER, "skip": 1}
    stack.faults(ApiFault(**full, service="ec2", action="RunInstances", contains="InstanceType=c5n.large&"))
    with pytest.raises(HostError, match="InsufficientInstanceCapacity"):
        async with provider(stack, types=["c5n.large", "c5n.18xlarge"], max_cost=1) as made, made.fleet(Need(1, 0)):
            pass
    assert left(stack) == []


async def test_data_between_zones_is_counted(stack: Emulation) -> None:
    """A test that moves too much of it is refused, also where its hosts are there already."""
    kinds = {role: Hosts(zone=f"us-west-2{zone}") for role, zone in ((Role.SERVER, "a"), (Role.CLIENT, "b"))}
    async with provider(stack) as made:
        async with made.fleet(Need(1, 1, kinds, volume=1e9)) as fleet:
            first = made.cost(fleet)
        assert first is not None
        assert first.dollars > 0.02
        with pytest.raises(UsageError, match=r"(?s)1000.0 GB between 2 zones, \$0.01 each way = \$20.00"):
            async with made.fleet(Need(1, 1, kinds, volume=1e12)):
                pass
    assert left(stack) == []
