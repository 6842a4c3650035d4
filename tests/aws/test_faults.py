"""What does a run do when AWS says no, falls silent, or loses a host? It says which, and leaves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws.failures import (
    CredentialsRefused,
    NoCapacity,
    QuotaReached,
    RightsMissing,
    Unreachable,
)
from pytest_netbench.hosts.model import Need
from pytest_netbench.protocols import SERVER, NetbenchServer
from pytest_netbench.testing.aws.emulation import Emulation
from pytest_netbench.testing.aws.rules import DROP, FOR_EVER, HANG, ApiFault, Cause, Fate, HostFault
from russula import Coordinator, Target, WorkerLost
from tests.aws.aws_runs import left, provider

pytestmark = pytest.mark.timeout(300)
ONE = Need(1, 0)


async def zone_of_one_host(cloud: Emulation, **settings: Any) -> str:
    """Have one host; the zone and the type where it is."""
    async with provider(cloud, **settings) as made, made.fleet(ONE) as fleet:
        facts = fleet.servers[0].facts
    assert left(cloud) == []
    return f"{facts['zone']} {facts['type']}"


async def refused(cloud: Emulation, kind: type[Exception], words: str, **settings: Any) -> str:
    """A run with one host ends with this error, and nothing is left; what it says."""
    with pytest.raises(kind, match=words) as error:
        async with provider(cloud, **settings) as made, made.fleet(ONE):
            pass
    cloud.faults()
    assert left(cloud) == []
    return str(error.value)


RUN: dict[str, Any] = {"service": "ec2", "action": "RunInstances"}


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (ApiFault("InsufficientInstanceCapacity", **RUN, status=500, skip=1, times=FOR_EVER), NoCapacity, "zones"),
        (ApiFault("VcpuLimitExceeded", **RUN, skip=1, times=FOR_EVER), QuotaReached, "Service Quotas"),
        (ApiFault("ExpiredTokenException", "ssm", "SendCommand", times=FOR_EVER), CredentialsRefused, "sign in again"),
        (
            ApiFault("UnauthorizedOperation", **RUN, message="You are not authorized"),
            RightsMissing,
            "may not ec2:RunInstances",
        ),
        (ApiFault("AccessDenied", "s3", "HEAD", status=403), HostError, "somebody else's"),
        (ApiFault("AccessDenied", "s3", "PUT", status=403, times=FOR_EVER), HostError, "may not s3:PutObject"),
        (ApiFault(HANG, "ssm", "SendCommand", times=FOR_EVER), Unreachable, "ssm:SendCommand"),
    ],
    ids=lambda one: one.code if isinstance(one, ApiFault) else "",
)
async def test_what_aws_refuses_is_told_with_what_to_do(
    stack: Emulation, fault: ApiFault, kind: type[Exception], words: str
) -> None:
    """The operation, AWS's code, and the way out of it."""
    stack.faults(fault)
    await refused(stack, kind, words, timeout=2 if fault.code == HANG else 15)


@pytest.mark.parametrize(
    "fault",
    [
        ApiFault("RequestLimitExceeded", "ec2", "DescribeInstances", status=503, times=2),
        ApiFault("RequestLimitExceeded", **RUN, status=503, skip=1),
        ApiFault(DROP, **RUN, skip=1, after=True),
        ApiFault(DROP, "ec2", "CreateSecurityGroup", after=True),
        ApiFault(DROP, "ec2", "CreatePlacementGroup", after=True),
        ApiFault("InvalidPlacementGroup.InUse", **RUN, skip=1),
        ApiFault("InvalidInstanceID.NotFound", "ec2", "TerminateInstances", times=4),
        ApiFault("DependencyViolation", "ec2", "DeleteSecurityGroup", times=3),
        ApiFault("InvalidPlacementGroup.InUse", "ec2", "DeletePlacementGroup", times=3),
        ApiFault("InternalError", "ssm", "DescribeInstanceInformation", status=500, times=2),
        ApiFault("InvocationDoesNotExist", "ssm", "ListCommandInvocations", times=2),
        ApiFault("AccessDenied", "service-quotas", times=FOR_EVER),
    ],
    ids=lambda one: f"{one.code}-{one.action}",
)
async def test_what_passes_is_waited_for(stack: Emulation, fault: ApiFault) -> None:
    """Throttling, a lost answer, a group that isn't free yet, an invocation that isn't known yet."""
    stack.faults(fault)
    before = len(stack.state()["hosts"])
    assert await zone_of_one_host(stack)
    assert len(stack.state()["hosts"]) == before + 1


async def test_a_full_zone_is_left_for_the_next(stack: Emulation) -> None:
    """Then the type is tried that is named next."""
    full: dict[str, Any] = {"code": "InsufficientInstanceCapacity", **RUN, "status": 500, "times": FOR_EVER}
    stack.faults(ApiFault(**full, contains="Placement.AvailabilityZone=us-west-2a&", skip=1))
    assert await zone_of_one_host(stack) == "us-west-2b c5n.large"
    stack.faults(ApiFault(**full, contains="InstanceType=c5n.large&", skip=1))
    assert await zone_of_one_host(stack, types=["c5n.large", "c5n.xlarge"]) == "us-west-2a c5n.xlarge"


async def test_a_host_accepted_and_then_not_made_is_tried_elsewhere(stack: Emulation) -> None:
    """EC2's reason for its end is read."""
    stack.faults(HostFault(Fate.BOOT_FAILS, times=1))
    assert await zone_of_one_host(stack) == "us-west-2b c5n.large"


@pytest.mark.parametrize(
    ("fate", "limit", "words"),
    [
        (Fate.NO_AGENT, "agent", r"SSM hasn't heard of i-\w+ within 1 s"),
        (Fate.NEVER_BOOTS, "boot", r"after 1 s i-\w+ is pending"),
    ],
)
async def test_a_host_that_never_serves_is_named_within_its_deadline(
    stack: Emulation, fate: Fate, limit: str, words: str
) -> None:
    """And what may be the reason."""
    stack.faults(HostFault(fate))
    await refused(stack, HostError, words, **{limit: 1})


async def test_a_host_ends_itself_when_its_time_is_over(stack: Emulation) -> None:
    """By the timer in its user data, whoever forgot it; here a minute is a fiftieth of a second, and the agent slow."""
    stack.delays(minute_s=0.02, agent_s=60.0)
    await refused(stack, HostError, r"i-\w+ ended: .*Instance initiated shutdown", life="5m")


async def test_new_hosts_may_be_invisible_for_a_while(stack: Emulation) -> None:
    """NotFound, just after RunInstances, is no end."""
    stack.delays(visible_s=1.0)
    assert await zone_of_one_host(stack)


@pytest.mark.parametrize("cause", Cause)
async def test_a_host_that_dies_is_told_and_the_next_test_has_another(
    stack: Emulation, tmp_path: Path, cause: Cause
) -> None:
    """The worker is lost at once, by its connection; whatever EC2 says of it."""
    async with provider(stack) as made:
        async with made.fleet(ONE) as fleet:
            (host,) = fleet.servers
            target = Target(host.name, host.control, tmp_path, pin=host.pin)
            connecting = Coordinator[NetbenchServer].connect(
                SERVER, [target], run="r", deadline=10, credentials=fleet.credentials, lease=0.5
            )
            async with connecting as group:
                await group.run_till(NetbenchServer.READY, deadline=10)
                stack.kill(str(host.facts["instance"]), cause)
                with pytest.raises(WorkerLost, match="server-0"):
                    await group.run_till(NetbenchServer.RUNNING, deadline=10)
        async with made.fleet(ONE) as again:
            assert again.servers[0].facts["instance"] != host.facts["instance"]
    assert left(stack) == []
