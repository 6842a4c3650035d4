"""What does `netbench doctor` say? What this machine can do, what is missing, and the one command that brings it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.cli import to_errors
from pytest_netbench.settings import options

if TYPE_CHECKING:
    from pytest_netbench.session.session import Session

UNABLE = 1


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Offer the subcommand."""
    parser = commands.add_parser("doctor", help="what this machine can do, and what is missing", description=__doc__)
    parser.add_argument("--ci", action="store_true", help="print what a hosted CI runner needs")
    parser.add_argument("--driver", metavar="NAME", dest="contract_of", help="run a driver through its whole contract")
    parser.add_argument("--peer", metavar="NAME", default="tcp", help="what plays the role that it doesn't have")
    options.add_to(parser, prefix="", only=("config",))


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 only if the default, provider ``local`` with driver ``tcp``, can't run.

    With ``--driver``: print each promise of its contract; 1 if one is broken.
    """
    from pytest_netbench.cli import probes
    from pytest_netbench.hosts.namespace import why_not_own
    from pytest_netbench.session.session import Session

    if args.ci:
        print(probes.HOSTED_RUNNER, end="")
        return 0
    session = Session(lambda: options.settings(start=Path.cwd(), command_line=options.given(args)), say=to_errors)
    if args.contract_of is not None:
        try:
            return asyncio.run(_contract(session, args.contract_of, args.peer))
        finally:
            session.close()
    findings = [
        *probes.machine(),
        *probes.drivers(session.drivers),
        probes.namespaces(why_not_own()),
        *probes.kernel(),
        *probes.tools(),
    ]
    for topic, found in groupby(findings, lambda one: one.topic):
        print(topic)
        for one in found:
            print(f"  {one.state.value:8}{one.name:24}{one.detail}")
            if one.remedy:
                print(f"          {'':24}-> {one.remedy}")
    unable = [one for one in findings if one.needed and one.state is not probes.State.OK]
    for one in unable:
        print(f"the default can't run: {one.name}: {one.detail}")
    return UNABLE if unable else 0


@contextmanager
def _answered_here() -> Iterator[None]:
    """What fails is answered in order, and not said by russula's log beside it."""
    log = logging.getLogger("russula")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


async def _contract(session: Session, name: str, peer: str) -> int:
    from pytest_netbench.cli.promises import Answer, promises

    session.ensure_built(name)
    driver = session.driver(name)
    print(f"{name}: a driver of level {driver.level.value}")
    broken = 0
    with _answered_here():
        async for one in promises(session, driver, session.driver(peer)):
            broken += one.answer is Answer.BROKEN
            lines = [line for part in one.detail.splitlines() for line in textwrap.wrap(part, 100)] or [""]
            print(f"  {one.answer.value:13}{one.name:28}{lines[0]}")
            for line in (*lines[1:], *([f"-> {one.remedy}"] if one.remedy else [])):
                print(f"  {'':41}{line}")
    print(f"{name} breaks {broken} of its promises" if broken else f"{name} keeps its contract")
    return UNABLE if broken else 0
