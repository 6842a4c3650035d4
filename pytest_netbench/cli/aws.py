"""What does `netbench aws` do? It makes, shows and removes what an account needs before hosts can be in it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pytest_netbench.settings import options

if TYPE_CHECKING:
    from pytest_netbench.hosts.aws.api import Aws
    from pytest_netbench.hosts.aws.settings import AwsSettings

ABSENT = 1
Verb: TypeAlias = "Callable[[argparse.Namespace, Aws, AwsSettings], int]"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Offer the subcommand."""
    parser = commands.add_parser("aws", help="what an AWS account needs for hosts", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="setup|status|teardown")
    for name, words in (
        ("setup", "make the stack, or bring it up to date"),
        ("status", "say what is there, and what runs"),
        ("teardown", "remove the stack"),
    ):
        verb = verbs.add_parser(name, help=words)
        verb.add_argument("--region", metavar="NAME", help="instead of the configuration's")
        options.add_to(verb, prefix="", only=("config",))
        if name != "status":
            verb.add_argument("--yes", action="store_true", help="don't ask")
        if name == "setup":
            verb.add_argument("--template", action="store_true", help="print the template, and make nothing")


def run(args: argparse.Namespace) -> int:
    """Do it.

    :raises UsageError: if the account isn't one in which things may be made.
    :raises HostError: if AWS says no.
    """
    from pytest_netbench.hosts.aws.api import Aws, Where
    from pytest_netbench.hosts.aws.preflight import check_account
    from pytest_netbench.hosts.aws.settings import settings_from

    found = options.settings(start=Path.cwd(), command_line=options.given(args))
    section = dict(found.providers.get("aws", {}))
    settings = settings_from({**section, **({"region": args.region} if args.region else {})})
    aws = Aws(Where.of(settings))
    account = check_account(aws, settings)
    print(f"account {account}, region {aws.where.region}, stack {settings.stack}")
    verbs = _ON_TAGGED if settings.subnet_tag else _ON_STACK
    return verbs[args.verb](args, aws, settings)


# --- a stack of netbench's ---------------------------------------------------------------------------


def _setup(args: argparse.Namespace, aws: Aws, settings: AwsSettings) -> int:
    from pytest_netbench.hosts.aws import stack, template

    made = template.template(stack.zones_of(aws), network=settings.network, owner=settings.owner)
    if args.template:
        print(json.dumps(made, indent=1))
        return 0
    found = stack.find(aws, settings.stack)
    _say("there is none yet" if found is None else f"there is one, {found.status}")
    if found is not None:
        _say(*stack.faults(aws, found))
    _say("it is to have: " + ", ".join(template.describe(made)), template.at_rest())
    if not _agreed(args, "make it, or bring it up to date?"):
        return ABSENT
    print(stack.setup(aws, settings.stack, made, poll=settings.poll))
    print("the coordinator's credentials need its CoordinatorPolicy, and no other:")
    _say(*_outputs(aws, settings))
    return 0


def _status(_args: argparse.Namespace, aws: Aws, settings: AwsSettings) -> int:
    from pytest_netbench.hosts.aws import stack

    found = stack.find(aws, settings.stack)
    if found is None:
        print("there is none: `netbench aws setup` makes it")
        return ABSENT
    wrong = list(stack.faults(aws, found))
    print(f"it is {found.status}" + ("" if wrong else ", and whole"))
    _say(*wrong, *_outputs(aws, settings))
    _say_hosts(aws, settings)
    return ABSENT if wrong else 0


def _teardown(args: argparse.Namespace, aws: Aws, settings: AwsSettings) -> int:
    from pytest_netbench.hosts.aws import stack

    if not _agreed(args, "remove it, and everything in its bucket?"):
        return ABSENT
    print("removed" if stack.teardown(aws, settings.stack, poll=settings.poll) else "there is none")
    return 0


def _outputs(aws: Aws, settings: AwsSettings) -> list[str]:
    from pytest_netbench.hosts.aws import stack

    found = stack.find(aws, settings.stack)
    return [] if found is None else [f"{name}: {value}" for name, value in found.outputs.items()]


# --- subnets that somebody else made -----------------------------------------------------------------


def _setup_tagged(_args: argparse.Namespace, aws: Aws, settings: AwsSettings) -> int:
    """Nothing is made: what is there is looked at, and the rights are printed that a coordinator needs."""
    from pytest_netbench.hosts.aws.policy import coordinator_policy

    _status_tagged(_args, aws, settings)
    profile = aws.call("iam:GetInstanceProfile", InstanceProfileName=settings.instance_profile)["InstanceProfile"]
    bucket = f"arn:aws:s3:::{settings.bucket}"
    logs = f"arn:aws:logs:*:*:log-group:{settings.log_group}:*" if settings.log_group else None
    policy = coordinator_policy(settings.owner, bucket=bucket, role=profile["Roles"][0]["Arn"], logs=logs)
    print("nothing is to be made; the coordinator's credentials need this policy, and no other:")
    print(json.dumps(policy, indent=1))
    return 0


def _status_tagged(_args: argparse.Namespace, aws: Aws, settings: AwsSettings) -> int:
    from pytest_netbench.hosts.aws.preflight import named_network

    network = named_network(aws, settings)
    print(f"subnets with the tag {settings.subnet_tag}, in {network.vpc}:")
    _say(*(f"{zone}: {subnet}" for zone, subnet in sorted(network.subnets.items())))
    aws.call("s3:HeadBucket", Bucket=network.bucket)
    _say(f"bucket: {network.bucket}", f"instance profile: {network.instance_profile}")
    _say(f"log group: {network.log_group or 'none'}")
    _say_hosts(aws, settings)
    return 0


def _teardown_tagged(_args: argparse.Namespace, _aws: Aws, settings: AwsSettings) -> int:
    print(f"nothing of netbench's is there: the subnets with the tag {settings.subnet_tag} are somebody else's")
    return ABSENT


_ON_STACK: Mapping[str, Verb] = {"setup": _setup, "status": _status, "teardown": _teardown}
_ON_TAGGED: Mapping[str, Verb] = {"setup": _setup_tagged, "status": _status_tagged, "teardown": _teardown_tagged}


# --- what both say -----------------------------------------------------------------------------------


def _say(*lines: str) -> None:
    for line in lines:
        print(f"  {line}")


def _say_hosts(aws: Aws, settings: AwsSettings) -> None:
    """The hosts of this owner that there are, with their runs."""
    from pytest_netbench.hosts.aws.cleanup import instances
    from pytest_netbench.hosts.aws.request import OWNER, RUN

    count = 0
    for one in instances(aws, OWNER, settings.owner):
        if one["State"]["Name"] != "terminated":
            tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}
            _say(f"{one['InstanceId']} {one['InstanceType']} {one['State']['Name']} run {tags.get(RUN, '?')}")
            count += 1
    print(f"{count} hosts")


def _agreed(args: argparse.Namespace, question: str) -> bool:
    if args.yes:
        return True
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False
