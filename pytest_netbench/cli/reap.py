"""What does `netbench reap` do? It removes what killed runs left, and says what that was."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_netbench.settings import options


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Offer the subcommand."""
    parser = commands.add_parser("reap", help="remove what killed runs left", description=__doc__)
    parser.add_argument("run", nargs="?", metavar="RUN", help="this run's, also if it lives; else those of dead runs")
    parser.add_argument(
        "--expired",
        action="store_true",
        help="also kept hosts whose time is over, and, on AWS, all that tags say so of",
    )
    options.add_to(parser, prefix="", only=("config",))


def run(args: argparse.Namespace) -> int:
    """Remove it, and print a line each.

    :raises UsageError: if there is no such run.
    :raises HostError: if something can't be removed, after all others were.
    """
    from pytest_netbench.hosts.reap import reaping

    count = 0
    for one in reaping(args.run, expired=args.expired):
        print(f"{one.run}: removed {one.kind} {one.id}", flush=True)
        count += 1
    if args.expired:
        count += _expired_on_aws(args)
    if not count:
        print("nothing is left")
    return 0


def _expired_on_aws(args: argparse.Namespace) -> int:
    """Where AWS is configured, runs whose ledger was lost: found by their tags, if their time is over."""
    settings = options.settings(start=Path.cwd(), command_line=options.given(args))
    if not settings.providers.get("aws", {}).get("accounts"):
        return 0
    from pytest_netbench.hosts.aws.expired import reap_expired

    count = 0
    for run, kind, name in reap_expired(settings.providers["aws"]):
        print(f"{run}: removed {kind} {name}", flush=True)
        count += 1
    return count
