"""How is the stack made, brought up to date and removed? As a whole, whatever state an earlier try left it in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws.api import Aws
from pytest_netbench.hosts.aws.cleanup import delete_objects
from pytest_netbench.hosts.aws.failures import AwsError, NotThere, RightsMissing
from pytest_netbench.hosts.aws.preflight import describe_stack, subnets_of
from pytest_netbench.hosts.aws.stackstate import ADVICE, OUTPUTS, Condition, condition
from pytest_netbench.hosts.aws.template import TAG, TAGS

DEADLINE = 900.0
"""Seconds for a stack to be made or removed."""
_STANDING = ("pending", "running", "stopping", "stopped", "shutting-down")
_GONE = "DELETE_COMPLETE"
_REASONS = 5
"""Events of what failed that are told."""


@dataclass(frozen=True, slots=True)
class Found:
    """A stack as it was found. ``ours``: whether it is one of netbench's."""

    name: str
    status: str
    ours: bool
    outputs: Mapping[str, str]

    @property
    def condition(self) -> Condition:
        """What can be done with it."""
        return condition(self.status)


def find(aws: Aws, name: str) -> Found | None:
    """The stack of that name, or None.

    :raises AwsError: if AWS doesn't tell.
    """
    there = describe_stack(aws, name)
    if there is None:
        return None
    tags = {one["Key"]: one["Value"] for one in there.get("Tags", ())}
    outputs = {one["OutputKey"]: one["OutputValue"] for one in there.get("Outputs", ())}
    return Found(name, str(there["StackStatus"]), tags.get(TAG[0]) == TAG[1], outputs)


def faults(aws: Aws, found: Found) -> Iterator[str]:
    """What is wrong with a stack, a line each: its state, and what somebody took out of it."""
    if found.condition is not Condition.READY:
        yield _state(found)
        yield from _reasons(aws, found.name)
        return
    missing = OUTPUTS - set(found.outputs)
    if missing:
        yield f"it has no output {', '.join(sorted(missing))}: `netbench aws setup` brings it up to date"
    else:
        yield from _gone(aws, found.outputs)


def _gone(aws: Aws, outputs: Mapping[str, str]) -> Iterator[str]:
    anew = "`netbench aws teardown` and `netbench aws setup` make it anew"
    try:
        aws.call("s3:HeadBucket", Bucket=outputs["Bucket"])
    except NotThere:
        yield f"its bucket {outputs['Bucket']} is gone: {anew}"
    except RightsMissing:
        yield f"its bucket {outputs['Bucket']} can't be read: it is somebody else's, or these credentials have no right"
    try:
        aws.call("ec2:DescribeSubnets", SubnetIds=sorted(subnets_of(outputs["Subnets"]).values()))
    except NotThere as error:
        yield f"a subnet of it is gone ({error.said}): {anew}"


def zones_of(aws: Aws) -> list[str]:
    """The zones of the region in which instances can be."""
    filters = [{"Name": "zone-type", "Values": ["availability-zone"]}]
    found = aws.call("ec2:DescribeAvailabilityZones", Filters=filters)["AvailabilityZones"]
    return sorted(one["ZoneName"] for one in found if one.get("State", "available") == "available")


def setup(aws: Aws, name: str, made: Mapping[str, Any], *, poll: float = 5.0) -> str:
    """Make the stack, or bring it up to date; what was done.

    Somebody else's work at it is waited for; what an earlier try left that has nothing in it is removed first.

    :raises HostError: if there is another's of that name, or it can't be changed, or ends otherwise than well; with
        the events that say why.
    """
    body: dict[str, Any] = {
        "StackName": name,
        "TemplateBody": json.dumps(made),
        "Capabilities": ["CAPABILITY_IAM"],
        "Tags": TAGS,
    }
    there = _settled(aws, name, poll)
    if there is not None and there.condition is Condition.EMPTY:
        _delete(aws, name, poll)
        there = None
    if there is None:
        aws.call("cloudformation:CreateStack", OnFailure="ROLLBACK", **body)
        _await(aws, name, {"CREATE_COMPLETE"}, poll)
        return "made"
    if there.condition is not Condition.READY:
        raise HostError(_why(aws, there))
    if json.loads(_body(aws, name)) != json.loads(json.dumps(made)) and _update(aws, body):
        _await(aws, name, {"UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"}, poll)
        return "brought up to date"
    if wrong := list(faults(aws, there)):
        raise HostError(f"the stack {name!r} isn't whole: " + "\n".join(wrong))
    return "unchanged"


def _update(aws: Aws, body: Mapping[str, Any]) -> bool:
    """Whether there was something to update."""
    try:
        aws.call("cloudformation:UpdateStack", **body)
    except AwsError as error:
        if "No updates" in error.said:
            return False
        raise
    return True


def _body(aws: Aws, name: str) -> str:
    body = aws.call("cloudformation:GetTemplate", StackName=name)["TemplateBody"]
    return body if isinstance(body, str) else json.dumps(body)


def teardown(aws: Aws, name: str, *, poll: float = 5.0) -> bool:
    """Empty the bucket, and remove the stack; False if there is none.

    :raises HostError: if hosts stand in it, it isn't netbench's, or can't be removed; with the events that say why.
    """
    there = _settled(aws, name, poll)
    if there is None:
        return False
    if vpc := there.outputs.get("Vpc"):
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "instance-state-name", "Values": list(_STANDING)}]
        pages = aws.pages("ec2:DescribeInstances", "Reservations", Filters=filters)
        if hosts := [one["InstanceId"] for reservation in pages for one in reservation["Instances"]]:
            raise HostError(f"{len(hosts)} hosts stand in it ({', '.join(hosts[:5])}): `netbench reap` first")
    if bucket := there.outputs.get("Bucket"):
        delete_objects(aws, bucket, "")
    _delete(aws, name, poll)
    return True


def _delete(aws: Aws, name: str, poll: float) -> None:
    aws.call("cloudformation:DeleteStack", StackName=name)
    _await(aws, name, {_GONE}, poll)


def _settled(aws: Aws, name: str, poll: float) -> Found | None:
    """The stack, once nobody works at it any more; None if there is none then.

    :raises HostError: if it isn't netbench's, or doesn't come to an end.
    """
    end = time.monotonic() + DEADLINE
    while (found := find(aws, name)) is not None:
        if not found.ours:
            raise HostError(
                f"the stack {name!r} isn't netbench's (it hasn't the tag {TAG[0]}): it is left alone; "
                "[providers.aws] stack = another name"
            )
        if found.condition is not Condition.WORKING:
            break
        if time.monotonic() > end:
            raise HostError(f"the stack {name!r} has been {found.status} for {DEADLINE:g} s")
        time.sleep(poll)
    return found


def _await(aws: Aws, name: str, wanted: set[str], poll: float) -> None:
    end = time.monotonic() + DEADLINE
    while True:
        found = find(aws, name)
        status = _GONE if found is None else found.status
        if status in wanted:
            return
        if found is not None and (condition(status) is not Condition.WORKING or time.monotonic() > end):
            raise HostError(_why(aws, found))
        time.sleep(poll)


def _state(found: Found) -> str:
    advice = ADVICE[found.condition]
    return f"it is {found.status}" + (f": {advice}" if advice else "")


def _why(aws: Aws, found: Found) -> str:
    return "\n".join([f"the stack {found.name!r} isn't as it should be: {_state(found)}", *_reasons(aws, found.name)])


def _reasons(aws: Aws, name: str) -> list[str]:
    """What failed first since somebody last asked for something."""
    said: list[str] = []
    events = aws.pages("cloudformation:DescribeStackEvents", "StackEvents", StackName=name)
    for one in sorted(events, key=lambda event: event["Timestamp"]):
        reason = one.get("ResourceStatusReason", "")
        if reason == "User Initiated":
            said.clear()
        elif reason and str(one["ResourceStatus"]).endswith("_FAILED"):
            said.append(f"  {one['LogicalResourceId']}: {reason}")
    return said[:_REASONS]
