"""What does `netbench reap` do? It removes what killed runs left, and says what that was."""

from __future__ import annotations

import argparse


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Offer the subcommand."""
    parser = commands.add_parser("reap", help="remove what killed runs left", description=__doc__)
    parser.add_argument("run", nargs="?", metavar="RUN", help="this run's, also if it lives; else those of dead runs")
    parser.add_argument("--expired", action="store_true", help="also hosts that were kept longer than a day")


def run(args: argparse.Namespace) -> int:
    """Remove it, and print a line each.

    :raises UsageError: if there is no such run.
    """
    from pytest_netbench.hosts.reap import reap

    removed = reap(args.run, expired=args.expired)
    for one in removed:
        print(f"{one.run}: removed {one.kind} {one.id}")
    if not removed:
        print("nothing is left")
    return 0
