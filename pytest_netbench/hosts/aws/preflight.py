"""Can hosts be made there at all? Everything that can be known is asked before anything is made."""

from __future__ import annotations

import ipaddress
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from pytest_netbench.errors import HostError, UsageError
from pytest_netbench.hosts.aws.api import Aws
from pytest_netbench.hosts.aws.cargo import Platform
from pytest_netbench.hosts.aws.failures import AwsError, failure
from pytest_netbench.hosts.aws.plan import TypeInfo
from pytest_netbench.hosts.aws.settings import IMAGES, AwsSettings
from pytest_netbench.hosts.aws.stackstate import ADVICE, OUTPUTS, Condition, condition

SETUP = "`netbench aws setup` makes it"
WHO_AM_I = "https://checkip.amazonaws.com"
_DEBIAN = {"x86_64": "amd64", "arm64": "arm64"}
_STANDARD = frozenset(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"))
"""Families of types that share one quota of vCPUs, by their letters; others have quotas of their own."""
_VCPUS_ON_DEMAND, _VCPUS_SPOT = "L-1216C47A", "L-34B43A08"
"""Its code, and that of the same families as spot instances."""


@dataclass(frozen=True, slots=True)
class Network:
    """Where hosts go: a network with a subnet in each zone, the bucket, the hosts' profile, maybe a log group."""

    vpc: str
    subnets: Mapping[str, str]
    bucket: str
    instance_profile: str
    log_group: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """All that a run must know of its place. ``offered``: type to zones; ``images``: by machine."""

    account: str
    network: Network
    offered: dict[str, frozenset[str]]
    types: dict[str, TypeInfo]
    images: dict[str, str]
    platform: Platform
    source: str
    vcpus: float | None = None

    def check_quota(self, types: Sequence[str]) -> None:
        """Whether the account may have hosts of these types, as far as their quota could be read.

        :raises QuotaReached: if they alone are more than it may have.
        """
        counted = [one for one in types if _family(one) in _STANDARD]
        wanted = sum(self.types[one].vcpus for one in counted)
        if self.vcpus is not None and wanted > self.vcpus:
            raise failure(
                "ec2:RunInstances",
                "VcpuLimitExceeded",
                f"{len(counted)} hosts have {wanted} vCPUs, the account may have {self.vcpus:g}",
            )

    def learn(self, more: Site) -> None:
        """Add what was asked later about other types."""
        self.offered.update(more.offered)
        self.types.update(more.types)
        self.images.update(more.images)


def preflight(aws: Aws, settings: AwsSettings, wanted: frozenset[str]) -> Site:
    """Ask for everything; ``wanted`` are instance types.

    :raises UsageError: if the account isn't allowed, or settings are missing; with the line that is.
    :raises HostError: if the stack isn't there or isn't whole, or AWS says no.
    """
    account = check_account(aws, settings)
    network = named_network(aws, settings) if settings.subnet_tag else stack_network(aws, settings)
    types = _types(aws, wanted)
    return Site(
        account=account,
        network=network,
        offered=_offered(aws, wanted),
        types=types,
        images={machine: _image(aws, settings, machine) for machine in {one.machine for one in types.values()}},
        platform=_platform(settings),
        source=_source(settings),
        vcpus=_quota(aws, settings),
    )


def check_account(aws: Aws, settings: AwsSettings) -> str:
    """The account of these credentials.

    :raises UsageError: if it isn't one in which hosts may be made.
    """
    account = str(aws.call("sts:GetCallerIdentity")["Account"])
    if account not in settings.accounts:
        allowed = ", ".join(settings.accounts) or "none"
        raise UsageError(
            f"these credentials are of account {account}, in which nothing may be made (allowed: {allowed}): "
            f'[providers.aws] accounts = ["{account}"]'
        )
    return account


def describe_stack(aws: Aws, name: str) -> Mapping[str, Any] | None:
    """The stack of that name, or None.

    :raises AwsError: if AWS doesn't tell.
    """
    try:
        found = aws.call("cloudformation:DescribeStacks", StackName=name)["Stacks"]
    except AwsError as error:
        if error.code in {"ValidationError", "StackNotFoundException"} and "does not exist" in error.said:
            return None
        raise
    stack: Mapping[str, Any] | None = found[0] if found else None
    return stack


def stack_network(aws: Aws, settings: AwsSettings) -> Network:
    """What ``netbench aws setup`` made.

    :raises HostError: if it isn't there, or isn't whole.
    """
    stack = describe_stack(aws, settings.stack)
    region = aws.where.region
    if stack is None:
        raise HostError(f"there is no stack {settings.stack!r} in {region}: {SETUP}")
    now = condition(str(stack["StackStatus"]))
    if now is not Condition.READY:
        raise HostError(
            f"the stack {settings.stack!r} in {region} is {stack['StackStatus']}, `netbench aws status` says why: "
            f"{ADVICE[now]}"
        )
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}
    missing = OUTPUTS - set(outputs)
    if missing:
        raise HostError(
            f"the stack {settings.stack!r} in {region} has no output {', '.join(sorted(missing))}: "
            "`netbench aws setup` brings it up to date, or says that it isn't netbench's"
        )
    return Network(
        outputs["Vpc"],
        subnets_of(outputs["Subnets"]),
        settings.bucket or outputs["Bucket"],
        settings.instance_profile or outputs["InstanceProfile"],
        settings.log_group or outputs["LogGroup"],
    )


def subnets_of(output: str) -> dict[str, str]:
    """The stack's subnets by zone, from its output."""
    return dict(one.split("=", 1) for one in output.split(","))


def named_network(aws: Aws, settings: AwsSettings) -> Network:
    """Subnets that somebody tagged, with a bucket and a profile that the settings name.

    :raises UsageError: if those aren't named.
    :raises HostError: if no subnet has the tag, or they are in several networks.
    """
    if not settings.bucket or not settings.instance_profile:
        raise UsageError("[providers.aws] subnet_tag needs bucket and instance_profile beside it")
    key, _, value = settings.subnet_tag.partition("=")
    tag = {"Name": f"tag:{key}", "Values": [value]} if value else {"Name": "tag-key", "Values": [key]}
    found = list(aws.pages("ec2:DescribeSubnets", "Subnets", Filters=[tag]))
    if not found:
        raise HostError(f"no subnet in {aws.where.region} has the tag {settings.subnet_tag}")
    if len({one["VpcId"] for one in found}) > 1:
        raise HostError(f"the subnets with the tag {settings.subnet_tag} are in several VPCs")
    subnets = {one["AvailabilityZone"]: one["SubnetId"] for one in found}
    return Network(found[0]["VpcId"], subnets, settings.bucket, settings.instance_profile, settings.log_group)


def _types(aws: Aws, wanted: frozenset[str]) -> dict[str, TypeInfo]:
    found = aws.call("ec2:DescribeInstanceTypes", InstanceTypes=sorted(wanted))["InstanceTypes"]
    return {one["InstanceType"]: type_info(one) for one in found}


def type_info(one: Mapping[str, Any]) -> TypeInfo:
    """What we want to know of a type."""
    machines = one["ProcessorInfo"]["SupportedArchitectures"]
    return TypeInfo(
        one["InstanceType"],
        next(machine for machine in machines if machine in _DEBIAN),
        one.get("NetworkInfo", {}).get("NetworkPerformance", ""),
        frozenset(one.get("PlacementGroupInfo", {}).get("SupportedStrategies", ())),
        int(one.get("VCpuInfo", {}).get("DefaultVCpus", 0)),
    )


def _offered(aws: Aws, wanted: frozenset[str]) -> dict[str, frozenset[str]]:
    zones: dict[str, set[str]] = {one: set() for one in wanted}
    filters = [{"Name": "instance-type", "Values": sorted(wanted)}]
    for one in aws.pages(
        "ec2:DescribeInstanceTypeOfferings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=filters,
    ):
        if one["InstanceType"] in zones:
            zones[one["InstanceType"]].add(one["Location"])
    return {name: frozenset(found) for name, found in zones.items()}


def _image(aws: Aws, settings: AwsSettings, machine: str) -> str:
    """The image's id, for one kind of machine."""
    if settings.image.startswith("ami-"):
        return settings.image
    name = IMAGES[settings.image].parameter if settings.image in IMAGES else settings.image
    path = name.replace("{machine}", machine).replace("{debian}", _DEBIAN[machine])
    return str(aws.call("ssm:GetParameter", Name=path)["Parameter"]["Value"])


def _platform(settings: AwsSettings) -> Platform:
    """What is known of the image; an emulated host has this machine's Python."""
    named = IMAGES.get(settings.image)
    glibc, python = (named.glibc, named.python) if named else (None, None)
    if settings.emulated:
        python = sys.version_info[:2]
    return Platform(settings.glibc or glibc, settings.python or python, bare=named is not None)


def _source(settings: AwsSettings) -> str:
    """The network from which workers may be reached.

    :raises UsageError: if it can't be found, or is all of the Internet.
    """
    if settings.emulated:
        return "127.0.0.1/32"
    text = settings.allow or _own_address()
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise UsageError(f'[providers.aws] allow: expected a network as "203.0.113.7/32", found {text!r}') from None
    if network.prefixlen < 8:  # noqa: PLR2004  a whole /8 is nobody's office
        raise UsageError(f"[providers.aws] allow: {network} would open the workers to everybody")
    return str(network)


def _own_address() -> str:
    try:
        with urllib.request.urlopen(WHO_AM_I, timeout=10) as answer:
            return f"{answer.read(64).decode().strip()}/32"
    except OSError as error:
        raise UsageError(
            f"can't find this machine's public address at {WHO_AM_I} ({error}): [providers.aws] allow = \"ADDRESS/32\""
        ) from None


def _family(type_: str) -> str:
    """The letters that a type's name begins with."""
    return "".join(takewhile(str.isalpha, type_))


def _quota(aws: Aws, settings: AwsSettings) -> float | None:
    """How many vCPUs the account may have; None where that can't be read, which stops nobody."""
    code = _VCPUS_SPOT if settings.spot else _VCPUS_ON_DEMAND
    try:
        found = aws.call("service-quotas:GetServiceQuota", once=True, ServiceCode="ec2", QuotaCode=code)
    except AwsError:
        return None
    value = found.get("Quota", {}).get("Value")
    return float(value) if isinstance(value, (int, float)) else None
