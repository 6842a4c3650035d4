"""What does `netbench run FILE` do? It runs a scenario file without a test being written, and prints what came out."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.cli import to_errors
from pytest_netbench.errors import DriverMissing, NetbenchError, Unsupported
from pytest_netbench.roles import Role
from pytest_netbench.settings import options

if TYPE_CHECKING:
    from pytest_netbench.scenario.model import Scenario
    from pytest_netbench.session.bench import Netbench
    from pytest_netbench.session.session import Session
    from pytest_netbench.settings.plan import Plan

INVALID = 1


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Offer the subcommand."""
    parser = commands.add_parser("run", help="run a scenario file", description=__doc__)
    parser.add_argument("file", metavar="FILE", type=Path, help="scenario, as the real netbench tools read it")
    parser.add_argument("--server-driver", metavar="NAME", help="driver of the servers only")
    parser.add_argument("--client-driver", metavar="NAME", help="driver of the clients only; of each, as A+B")
    options.add_to(
        parser,
        prefix="",
        only=("provider", "driver", "rounds", "out", "config", "keep-hosts", "max-cost", "aws-emulate"),
    )


def run(args: argparse.Namespace) -> int:
    """Run it with each driver named.

    :returns: 1 if a round is invalid or could not be carried out, else 0.
    :raises Unsupported: if a driver can't do the scenario.
    :raises DriverMissing: if one isn't here.
    """
    from pytest_netbench.report import terminal
    from pytest_netbench.scenario.netbench_json import read
    from pytest_netbench.session.folder import Folder, Parcel, session_record, thinned
    from pytest_netbench.session.session import Session

    session = Session(lambda: options.settings(start=Path.cwd(), command_line=options.given(args)), say=to_errors)
    scenario = replace(read(args.file, limit=session.settings.scenario_limit), title=args.file.stem)
    plans = [_plan(session, scenario, args, name) for name in session.settings.drivers.over(None)]
    folder = Folder(session.settings.out)
    folder.check()
    try:
        benches, error = asyncio.run(_rounds(session, scenario, plans))
        parcels = [
            Parcel(
                replace(thinned(bench.record()), outcome="passed" if error is None else "failed"),
                str(bench.staging / bench.plan.folder),
                str(session.ledger.path) if session.ledger else "",
            )
            for bench in benches
        ]
        record = session_record(session, parcels)
        folder.clear()
        for parcel in parcels:
            folder.take_logs(parcel)
        folder.write(record, parcels)
    finally:
        session.close()
    for line in terminal.lines(record, width=shutil.get_terminal_size().columns):
        print(line)
    print(f"report: {folder.path / 'report.html'}")
    if error is not None:
        print(f"netbench: {error}", file=sys.stderr)
    return INVALID if error is not None or not all(one.valid for bench in benches for one in bench.rounds) else 0


def _plan(session: Session, scenario: Scenario, args: argparse.Namespace, driver: str) -> Plan:
    from pytest_netbench.run import trial
    from pytest_netbench.settings.marker import Spec
    from pytest_netbench.settings.plan import Plan

    chosen = session.settings
    names = (args.server_driver or driver, args.client_driver or driver)
    for name in names:
        session.ensure_built(name)
    servers, clients = (session.cast(name) for name in names)
    for row in (*servers, *clients):
        row.locate()
    each = {Role.SERVER: servers, Role.CLIENT: clients}
    trial(scenario, servers[0], clients[0], {}, each=each)
    return Plan(
        nodeid=f"{args.file.name}[{driver}]",
        spec=Spec(scenario=scenario),
        server_driver=servers[0],
        client_driver=clients[0],
        each=each,
        rounds=chosen.rounds.over(None),
        warmup=chosen.warmup.over(None),
        timeout=chosen.timeout.over(None),
        budget=chosen.budget,
    )


async def _rounds(
    session: Session, scenario: Scenario, plans: list[Plan]
) -> tuple[list[Netbench], NetbenchError | None]:
    from pytest_netbench.session.planning import NoClock, bench, provider

    benches: list[Netbench] = []
    async with provider(session) as made:
        for plan in plans:
            async with made.fleet(plan.need()) as fleet:
                one = bench(session, plan, fleet, made, NoClock())
                benches.append(one)
                try:
                    await one.arun(scenario)
                except (Unsupported, DriverMissing):
                    raise
                except NetbenchError as error:
                    return benches, error
    return benches, None
