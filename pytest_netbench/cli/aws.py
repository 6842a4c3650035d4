"""What does `netbench aws` do? It makes, shows and removes what an account needs before hosts can be in it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench import options

if TYPE_CHECKING:
    from pytest_netbench.hosts.aws.api import Aws
    from pytest_netbench.hosts.aws.settings import AwsSettings

ABSENT = 1


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
    return {"setup": _setup, "status": _status, "teardown": _teardown}[args.verb](args, aws, settings)


def _setup(args: argparse.Namespace, aws: Aws, settings: AwsSettings) -> int:
    from pytest_netbench.hosts.aws import stack

    made = stack.template(stack.zones_of(aws), owner=settings.owner)
    if args.template:
        print(json.dumps(made, indent=1))
        return 0
    print("it has: " + ", ".join(stack.describe(made)))
    print(stack.AT_REST)
    if not _agreed(args, "make it, or bring it up to date?"):
        return ABSENT
    print(stack.setup(aws, settings.stack, made, poll=settings.poll))
    print("the coordinator's credentials need this policy, and no other:")
    for line in _outputs(aws, settings):
        print(f"  {line}")
    return 0


def _status(_args: argparse.Namespace, aws: Aws, settings: AwsSettings) -> int:
    from pytest_netbench.hosts.aws.preflight import describe_stack
    from pytest_netbench.hosts.aws.request import OWNER, RUN

    found = describe_stack(aws, settings.stack)
    if found is None:
        print("there is none: `netbench aws setup` makes it")
        return ABSENT
    print(f"it is {found['StackStatus']}")
    for line in _outputs(aws, settings):
        print(f"  {line}")
    filters = [{"Name": f"tag:{OWNER}", "Values": [settings.owner]}]
    count = 0
    for reservation in aws.pages("ec2:DescribeInstances", "Reservations", Filters=filters):
        for one in reservation["Instances"]:
            if one["State"]["Name"] != "terminated":
                tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}
                print(f"  {one['InstanceId']} {one['InstanceType']} {one['State']['Name']} run {tags.get(RUN, '?')}")
                count += 1
    print(f"{count} hosts")
    return 0


def _teardown(args: argparse.Namespace, aws: Aws, settings: AwsSettings) -> int:
    from pytest_netbench.hosts.aws import stack

    if not _agreed(args, "remove it, and everything in its bucket?"):
        return ABSENT
    print("removed" if stack.teardown(aws, settings.stack, poll=settings.poll) else "there is none")
    return 0


def _outputs(aws: Aws, settings: AwsSettings) -> list[str]:
    from pytest_netbench.hosts.aws.preflight import describe_stack

    found = describe_stack(aws, settings.stack) or {}
    return [f"{one['OutputKey']}: {one['OutputValue']}" for one in found.get("Outputs", ())]


def _agreed(args: argparse.Namespace, question: str) -> bool:
    if args.yes:
        return True
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False
