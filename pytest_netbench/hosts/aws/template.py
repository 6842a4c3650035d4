"""What must be in an account before hosts can be? One CloudFormation template, and what that costs at rest; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_netbench.hosts.aws import prices
from pytest_netbench.hosts.aws.policy import coordinator_policy, host_trust

SUBNET_BITS = 4
"""A subnet has a sixteenth of the network: 4,091 hosts, and up to 16 zones."""
KEEP_PROGRAMS_DAYS, KEEP_REPORTS_DAYS, KEEP_LOGS_DAYS = 30, 90, 30
TAG = ("nb:stack", "netbench")
"""By which a stack is known as one of ours, and what is in it."""
TAGS = [{"Key": TAG[0], "Value": TAG[1]}]
_SSM_CORE = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


def template(zones: Sequence[str], *, network: str, owner: str = "netbench") -> dict[str, Any]:
    """The stack, for a region with these zones; ``network`` is cut into subnets."""
    subnets = [str(one) for one in ipaddress.ip_network(network).subnets(prefixlen_diff=SUBNET_BITS)]
    names = {zone: f"Subnet{zone.rpartition('-')[2].replace('-', '').title()}" for zone in zones}
    logs = _resource("Logs::LogGroup", RetentionInDays=KEEP_LOGS_DAYS, Tags=TAGS)
    resources: dict[str, Any] = {**_network(network), **_bucket(), "Logs": logs, **_roles(owner)}
    for zone, block in zip(zones, subnets, strict=False):
        resources[names[zone]] = _resource(
            "EC2::Subnet", VpcId=_ref("Vpc"), CidrBlock=block, AvailabilityZone=zone, Tags=TAGS
        )
        resources[f"{names[zone]}Route"] = _resource(
            "EC2::SubnetRouteTableAssociation", SubnetId=_ref(names[zone]), RouteTableId=_ref("Routes")
        )
    listed = {"Fn::Join": [",", [{"Fn::Join": ["=", [zone, _ref(names[zone])]]} for zone in zones]]}
    outputs = {
        "Vpc": _ref("Vpc"),
        "Subnets": listed,
        "Bucket": _ref("Bucket"),
        "LogGroup": _ref("Logs"),
        "InstanceProfile": _ref("HostProfile"),
        "CoordinatorPolicy": _ref("CoordinatorPolicy"),
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "What hosts of pytest-netbench stand in: a network, a bucket, rights. No hosts.",
        "Resources": resources,
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }


def _network(network: str) -> dict[str, Any]:
    return {
        "Vpc": _resource("EC2::VPC", CidrBlock=network, EnableDnsSupport=True, EnableDnsHostnames=True, Tags=TAGS),
        "Gateway": _resource("EC2::InternetGateway", Tags=TAGS),
        "Attachment": _resource("EC2::VPCGatewayAttachment", VpcId=_ref("Vpc"), InternetGatewayId=_ref("Gateway")),
        "Routes": _resource("EC2::RouteTable", VpcId=_ref("Vpc"), Tags=TAGS),
        "Default": {
            **_resource(
                "EC2::Route",
                RouteTableId=_ref("Routes"),
                DestinationCidrBlock="0.0.0.0/0",
                GatewayId=_ref("Gateway"),
            ),
            "DependsOn": "Attachment",
        },
    }


def _bucket() -> dict[str, Any]:
    def expire(prefix: str, days: int) -> dict[str, Any]:
        return {"Id": prefix.rstrip("/"), "Prefix": prefix, "Status": "Enabled", "ExpirationInDays": days}

    rules = [expire("bin/", KEEP_PROGRAMS_DAYS), expire("runs/", KEEP_REPORTS_DAYS)]
    closed = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
    return {
        "Bucket": _resource(
            "S3::Bucket", LifecycleConfiguration={"Rules": rules}, PublicAccessBlockConfiguration=closed, Tags=TAGS
        ),
    }


def _roles(owner: str) -> dict[str, Any]:
    places = {"bucket": "Bucket", "role": "HostRole", "logs": "Logs"}
    arns = {name: {"Fn::GetAtt": [place, "Arn"]} for name, place in places.items()}
    return {
        "HostRole": _resource(
            "IAM::Role", AssumeRolePolicyDocument=host_trust(), ManagedPolicyArns=[_SSM_CORE], Tags=TAGS
        ),
        "HostProfile": _resource("IAM::InstanceProfile", Roles=[_ref("HostRole")]),
        "CoordinatorPolicy": _resource(
            "IAM::ManagedPolicy",
            Description="What the coordinator of netbench runs may do, and nothing else",
            PolicyDocument=coordinator_policy(owner, **arns),
        ),
    }


def _resource(kind: str, **properties: object) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def _ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def describe(made: Mapping[str, Any]) -> list[str]:
    """What a template makes, a line for each kind."""
    counts: dict[str, int] = {}
    for one in made["Resources"].values():
        kind = str(one["Type"]).removeprefix("AWS::").replace("::", " ")
        counts[kind] = counts.get(kind, 0) + 1
    return [f"{count} x {kind}" for kind, count in sorted(counts.items())]


def at_rest() -> str:
    """What the stack costs while no hosts are in it."""
    table = prices.table()
    return (
        f"at rest it costs nothing but what is stored: ${table.bucket_gb_month:g} a GB and month in its bucket, "
        f"${table.logs_gb_month:g} in its log group; drivers' programs are deleted after {KEEP_PROGRAMS_DAYS} days, "
        f"reports after {KEEP_REPORTS_DAYS}, logs after {KEEP_LOGS_DAYS}; no NAT gateway, no address, no host"
    )
