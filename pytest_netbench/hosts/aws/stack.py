"""What must be in an account before hosts can be? One CloudFormation stack: made, shown and removed as a whole."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws.api import Aws
from pytest_netbench.hosts.aws.cleanup import delete_objects
from pytest_netbench.hosts.aws.failures import AwsError
from pytest_netbench.hosts.aws.policy import coordinator_policy, host_trust
from pytest_netbench.hosts.aws.preflight import describe_stack

NETWORK = "10.77.0.0/16"
SUBNET_BITS = 4
"""A subnet has a sixteenth of the network: 4,091 hosts, and up to 16 zones."""
DEADLINE = 900.0
"""Seconds for a stack to be made or removed."""
KEEP_PROGRAMS_DAYS, KEEP_REPORTS_DAYS = 30, 90
AT_REST = (
    "at rest it costs nothing but the storage of its bucket, a few cents a month: there is no NAT gateway, "
    "no address, no host"
)
_TAGS = [{"Key": "nb:stack", "Value": "netbench"}]
_SSM_CORE = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


def template(zones: Sequence[str], *, network: str = NETWORK, owner: str = "netbench") -> dict[str, Any]:
    """The stack, for a region with these zones."""
    subnets = [str(one) for one in ipaddress.ip_network(network).subnets(prefixlen_diff=SUBNET_BITS)]
    names = {zone: f"Subnet{zone.rpartition('-')[2].replace('-', '').title()}" for zone in zones}
    resources: dict[str, Any] = {**_network(network), **_bucket(), **_roles(owner)}
    for zone, block in zip(zones, subnets, strict=False):
        resources[names[zone]] = _resource(
            "EC2::Subnet", VpcId=_ref("Vpc"), CidrBlock=block, AvailabilityZone=zone, Tags=_TAGS
        )
        resources[f"{names[zone]}Route"] = _resource(
            "EC2::SubnetRouteTableAssociation", SubnetId=_ref(names[zone]), RouteTableId=_ref("Routes")
        )
    listed = {"Fn::Join": [",", [{"Fn::Join": ["=", [zone, _ref(names[zone])]]} for zone in zones]]}
    outputs = {
        "Vpc": _ref("Vpc"),
        "Subnets": listed,
        "Bucket": _ref("Bucket"),
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
        "Vpc": _resource("EC2::VPC", CidrBlock=network, EnableDnsSupport=True, EnableDnsHostnames=True, Tags=_TAGS),
        "Gateway": _resource("EC2::InternetGateway", Tags=_TAGS),
        "Attachment": _resource("EC2::VPCGatewayAttachment", VpcId=_ref("Vpc"), InternetGatewayId=_ref("Gateway")),
        "Routes": _resource("EC2::RouteTable", VpcId=_ref("Vpc"), Tags=_TAGS),
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
            "S3::Bucket", LifecycleConfiguration={"Rules": rules}, PublicAccessBlockConfiguration=closed, Tags=_TAGS
        ),
    }


def _roles(owner: str) -> dict[str, Any]:
    arns = {"bucket": {"Fn::GetAtt": ["Bucket", "Arn"]}, "role": {"Fn::GetAtt": ["HostRole", "Arn"]}}
    return {
        "HostRole": _resource(
            "IAM::Role", AssumeRolePolicyDocument=host_trust(), ManagedPolicyArns=[_SSM_CORE], Tags=_TAGS
        ),
        "HostProfile": _resource("IAM::InstanceProfile", Roles=[_ref("HostRole")]),
        "CoordinatorPolicy": _resource(
            "IAM::ManagedPolicy",
            Description="What the coordinator of netbench runs may do, and nothing else",
            PolicyDocument=coordinator_policy(owner, bucket=arns["bucket"], role=arns["role"]),
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


def zones_of(aws: Aws) -> list[str]:
    """The zones of the region in which instances can be."""
    filters = [{"Name": "zone-type", "Values": ["availability-zone"]}]
    found = aws.call("ec2:DescribeAvailabilityZones", Filters=filters)["AvailabilityZones"]
    return sorted(one["ZoneName"] for one in found if one.get("State", "available") == "available")


def setup(aws: Aws, name: str, made: Mapping[str, Any], *, poll: float = 5.0) -> str:
    """Make the stack, or bring it up to date; what was done.

    :raises HostError: if it ends otherwise than well; with the events that say why.
    """
    body: dict[str, Any] = {
        "StackName": name,
        "TemplateBody": json.dumps(made),
        "Capabilities": ["CAPABILITY_IAM"],
        "Tags": _TAGS,
    }
    there = describe_stack(aws, name)
    if there is None:
        aws.call("cloudformation:CreateStack", OnFailure="ROLLBACK", **body)
        _await(aws, name, {"CREATE_COMPLETE"}, poll)
        return "made"
    if not str(there["StackStatus"]).endswith("_COMPLETE") or there["StackStatus"] in {
        "ROLLBACK_COMPLETE",
        "DELETE_COMPLETE",
    }:
        raise HostError(_why(aws, name, str(there["StackStatus"])))
    if json.loads(_body(aws, name)) == json.loads(json.dumps(made)):
        return "unchanged"
    try:
        aws.call("cloudformation:UpdateStack", **body)
    except AwsError as error:
        if "No updates" in error.said:
            return "unchanged"
        raise
    _await(aws, name, {"UPDATE_COMPLETE"}, poll)
    return "updated"


def _body(aws: Aws, name: str) -> str:
    body = aws.call("cloudformation:GetTemplate", StackName=name)["TemplateBody"]
    return body if isinstance(body, str) else json.dumps(body)


def teardown(aws: Aws, name: str, *, poll: float = 5.0) -> bool:
    """Empty the bucket, and remove the stack; False if there is none.

    :raises HostError: if hosts stand in it, or it can't be removed; with the events that say why.
    """
    stack = describe_stack(aws, name)
    if stack is None:
        return False
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}
    if vpc := outputs.get("Vpc"):
        filters = [
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped", "shutting-down"]},
        ]
        pages = aws.pages("ec2:DescribeInstances", "Reservations", Filters=filters)
        if there := [one["InstanceId"] for reservation in pages for one in reservation["Instances"]]:
            raise HostError(f"{len(there)} hosts stand in it ({', '.join(there[:5])}): `netbench reap` first")
    if bucket := outputs.get("Bucket"):
        delete_objects(aws, bucket, "")
    aws.call("cloudformation:DeleteStack", StackName=name)
    _await(aws, name, {"DELETE_COMPLETE"}, poll)
    return True


def _await(aws: Aws, name: str, wanted: set[str], poll: float) -> None:
    end = time.monotonic() + DEADLINE
    while True:
        stack = describe_stack(aws, name)
        status = "DELETE_COMPLETE" if stack is None else str(stack["StackStatus"])
        if status in wanted:
            return
        if status.endswith(("_FAILED", "ROLLBACK_COMPLETE")) or time.monotonic() > end:
            raise HostError(_why(aws, name, status))
        time.sleep(poll)


def _why(aws: Aws, name: str, status: str) -> str:
    events = aws.call("cloudformation:DescribeStackEvents", StackName=name)["StackEvents"]
    said = [
        f"  {one.get('LogicalResourceId')}: {one.get('ResourceStatusReason')}"
        for one in events
        if str(one.get("ResourceStatus", "")).endswith("_FAILED") and one.get("ResourceStatusReason")
    ]
    why = "\n".join(said[-5:])
    return f"the stack {name!r} is {status}: `netbench aws teardown` removes it\n{why}".rstrip()
