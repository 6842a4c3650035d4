"""What does `netbench doctor` say? What this machine can do, what is missing, and the one command that brings it."""

from __future__ import annotations

import argparse
from itertools import groupby
from pathlib import Path

from pytest_netbench import options

UNABLE = 1


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Offer the subcommand."""
    parser = commands.add_parser("doctor", help="what this machine can do, and what is missing", description=__doc__)
    parser.add_argument("--ci", action="store_true", help="print what a hosted CI runner needs")
    options.add_to(parser, prefix="", only=("config",))


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 only if the default, provider ``local`` with driver ``tcp``, can't run."""
    from pytest_netbench import doctor
    from pytest_netbench.hosts.namespace import why_not_own
    from pytest_netbench.session import Session

    if args.ci:
        print(doctor.HOSTED_RUNNER, end="")
        return 0
    session = Session(lambda: options.settings(start=Path.cwd(), command_line=options.given(args)))
    findings = [
        *doctor.machine(),
        *doctor.drivers(session.drivers),
        doctor.namespaces(why_not_own()),
        *doctor.kernel(),
        *doctor.tools(),
    ]
    for topic, found in groupby(findings, lambda one: one.topic):
        print(topic)
        for one in found:
            print(f"  {one.state.value:8}{one.name:24}{one.detail}")
            if one.remedy:
                print(f"          {'':24}-> {one.remedy}")
    unable = [one for one in findings if one.needed and one.state is not doctor.State.OK]
    for one in unable:
        print(f"the default can't run: {one.name}: {one.detail}")
    return UNABLE if unable else 0
