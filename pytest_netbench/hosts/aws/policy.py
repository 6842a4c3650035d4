"""Who may do what? The coordinator's actions, all of them and no other, and whom hosts may be; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

READS = (
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribePlacementGroups",
    "ssm:DescribeInstanceInformation",
    "ssm:ListCommandInvocations",
    "ssm:GetCommandInvocation",
    "ssm:CancelCommand",
    "cloudformation:DescribeStacks",
    "servicequotas:GetServiceQuota",
)
"""On everything: these can't be narrowed, or tell nothing that is secret. ``sts:GetCallerIdentity`` needs no right."""
OWNED = (
    "ec2:TerminateInstances",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:DeleteSecurityGroup",
    "ec2:DeletePlacementGroup",
)
"""On what has the owner's tag only."""
MADE, SPOT = ("instance", "volume", "network-interface"), "spot-instances-request"
"""What RunInstances makes, and gives the owner's tag; the last where hosts are spot instances."""
MADE_WITH_TAG = ("ec2:CreateSecurityGroup", "ec2:CreatePlacementGroup")
OBJECTS = ("s3:PutObject", "s3:GetObject", "s3:DeleteObject")
LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")
OTHER_NAMES: Mapping[str, str] = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "service-quotas:GetServiceQuota": "servicequotas:GetServiceQuota",
}
"""Operations whose right is named otherwise."""
ALSO_NEEDED: Mapping[str, tuple[str, ...]] = {
    "ec2:RunInstances": ("ec2:CreateTags", "iam:PassRole"),
    "ec2:CreateSecurityGroup": ("ec2:CreateTags",),
    "ec2:CreatePlacementGroup": ("ec2:CreateTags",),
}
"""What a call is refused for as well, which EC2 tells in a way that only it can read."""


def coordinator_policy(owner: str, *, bucket: object, role: object, logs: object = None) -> dict[str, Any]:
    """The policy; ``bucket``, ``role`` and ``logs`` are ARNs, or what CloudFormation puts there; the last, if any."""
    tagged = {"StringEquals": {"aws:RequestTag/nb:owner": owner}}
    theirs = {"StringEquals": {"aws:ResourceTag/nb:owner": owner}}
    inside = {"Fn::Sub": ["${Arn}/*", {"Arn": bucket}]} if isinstance(bucket, Mapping) else f"{bucket}/*"
    made_by = {"StringEquals": {"ec2:CreateAction": ["RunInstances", "CreateSecurityGroup", "CreatePlacementGroup"]}}
    parts = "security-group", "subnet", "placement-group", "image"
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow(READS, "*"),
            _allow(("ec2:RunInstances",), _ec2(*MADE, SPOT), tagged),
            _allow(("ec2:RunInstances",), _ec2(*parts)),
            _allow(("ec2:CreateTags",), "*", made_by),
            _allow(MADE_WITH_TAG, _ec2("security-group", "placement-group"), tagged),
            _allow(("ec2:CreateSecurityGroup",), _ec2("vpc")),
            _allow(OWNED, "*", theirs),
            _allow(("iam:PassRole",), role, {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
            _allow(("ssm:SendCommand",), ["arn:aws:ssm:*:*:document/AWS-RunShellScript"]),
            _allow(("ssm:SendCommand",), _ec2("instance"), {"StringEquals": {"ssm:resourceTag/nb:owner": owner}}),
            _allow(("ssm:GetParameter",), ["arn:aws:ssm:*:*:parameter/aws/service/*"]),
            _allow(("s3:ListBucket",), bucket),
            _allow(OBJECTS, inside),
            *([_allow(LOGS, logs)] if logs else []),
        ],
    }


def actions(policy: Mapping[str, Any]) -> tuple[str, ...]:
    """Every action that a policy allows, once."""
    return tuple(dict.fromkeys(action for one in policy["Statement"] for action in one["Action"]))


def right(operation: str) -> str:
    """The action that an operation needs."""
    return OTHER_NAMES.get(operation, operation)


def host_trust() -> dict[str, Any]:
    """EC2 may give the role to hosts."""
    principal = {"Service": "ec2.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _allow(what: tuple[str, ...], on: object, when: object = None) -> dict[str, Any]:
    condition = {"Condition": when} if when else {}
    return {"Effect": "Allow", "Action": list(what), "Resource": on, **condition}


def _ec2(*kinds: str) -> list[str]:
    return [f"arn:aws:ec2:*:*:{kind}/*" if kind != "image" else "arn:aws:ec2:*::image/*" for kind in kinds]
