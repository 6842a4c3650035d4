"""How does the driver run from start to end? Read, prepare, arm, carry out, report; every end has its status.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import signal
import sys
import time
from pathlib import Path

from pytest_netbench.drivers.builtin import extension_support, settings, support, tcp
from pytest_netbench.drivers.builtin.client import Client
from pytest_netbench.drivers.builtin.ending import DriverError, Failed, Misused, Status, Stopped
from pytest_netbench.drivers.builtin.place import place
from pytest_netbench.drivers.builtin.pool import Pool
from pytest_netbench.drivers.builtin.preparation import multiplexed, recorder_of, settle, wire_of
from pytest_netbench.drivers.builtin.recorder import Recorder
from pytest_netbench.drivers.builtin.sampler import sampled
from pytest_netbench.drivers.builtin.serving import serve
from pytest_netbench.drivers.builtin.signals import Signals
from pytest_netbench.errors import ScenarioError
from pytest_netbench.roles import Role
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.features import Feature
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.scenario.netbench_json import read as read_scenario
from pytest_netbench.scenario.walk import connects, cut_by_time, reopened_by_servers
from pytest_netbench.telemetry.report_json import write as write_report


def main(arguments: list[str]) -> int:
    """Run the driver; returns its exit status, unless a signal ended a client, which then ends it in truth."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    try:
        chosen = settings.read(arguments, os.environ)
    except DriverError as error:
        where = os.environ.get("NETBENCH_REPORT")
        return _report(Path(where) if where else None, Recorder(()), str(error), error.status)
    recorders: list[Recorder | Pool] = []
    problem: str | None = None
    ended_by: int | None = None
    waited = ""
    status: int = Status.OK
    try:
        _run(chosen, recorders, Signals())
    except Stopped as stopped:
        ended_by, waited = stopped.signal, f", waiting: {stopped.waiting}" if stopped.waiting else ""
    except DriverError as error:
        problem, status = str(error), error.status
    except OSError as error:
        if error.errno not in tcp.NO_DESCRIPTOR:
            raise
        problem, status = f"the {chosen.role.value} can't be set up: {tcp.reason(error)}", Status.FAILED
    finally:
        Signals.ignore()
        if ended_by is not None and chosen.role is Role.CLIENT:
            problem = f"ended by {signal.Signals(ended_by).name}{waited}"
        status = _report(chosen.report, recorders[-1] if recorders else Recorder(()), problem, status)
    if ended_by is not None and chosen.role is Role.CLIENT:
        signal.signal(ended_by, signal.SIG_DFL)
        os.kill(os.getpid(), ended_by)
    return status


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads it any more
        os.write(sys.stderr.fileno(), f"{line}\n".encode())


def _report(path: Path | None, recorder: Recorder | Pool, problem: str | None, status: int) -> int:
    """Say what went wrong, write the report; the status is a failure if that can't be done."""
    if problem is not None:
        _say(problem)
        recorder.problem(problem)
    if path is not None:
        try:
            write_report(recorder.report(), path)
        except OSError as error:
            _say(f"the report can't be written to {path}: {error.strerror}")
            return status or Status.FAILED
    return status


def _run(chosen: settings.Settings, recorders: list[Recorder | Pool], signals: Signals) -> None:
    """Prepare and carry out; what was recorded stands in ``recorders`` from the time on when there is something."""
    _raise_descriptor_limit()
    try:
        scenario = read_scenario(chosen.scenario)
        recorders.append(recorder := recorder_of(chosen, scenario))
        extension_support.check(scenario, chosen.transport)
        if chosen.role is Role.SERVER:
            serve(chosen, scenario, recorders, signals, _say)
        else:
            _dial(chosen, scenario, recorder, signals)
    except ScenarioError as error:
        raise Misused(str(error)) from None
    except RecursionError:
        raise Misused(f"{chosen.scenario}: its operations are nested too deeply") from None


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _dial(chosen: settings.Settings, scenario: Scenario, recorder: Recorder, signals: Signals) -> None:
    if chosen.index >= len(scenario.clients):
        raise Misused(f"CLIENT_ID: {chosen.index}, the scenario has {len(scenario.clients)} clients")
    own = scenario.clients[chosen.index]
    where = f"clients[{chosen.index}]"
    many = multiplexed(chosen, scenario)
    support.check(where, own.connections, many=many)
    dialled = set(connects(own.scenario))
    for one in dialled:
        far = scenario.servers[one.server_id].connections[one.server_connection_id]
        support.check_pair(where, own.connections[one.client_connection_id], far, many=many)
        if one.router_id is not None:
            raise Misused(f"{where}: a connect through router {one.router_id}: there is no program for routers")
    wire = wire_of(chosen, scenario, own, multiplex=many)
    place(own.configuration).take()
    client = Client(
        own,
        _resolved(chosen, dialled),
        chosen.local_ip,
        wire,
        scenario.id,
        recorder,
        again=reopened_by_servers(scenario, chosen.index),
        exact=not cut_by_time(scenario),
        precise=Feature.SCHEDULE.word in scenario.requires,
    )
    settle()
    _await_instant(chosen)
    signals.end(client.engine)
    recorder.begin()
    with wire.finishing(), sampled(chosen.profile):
        client.run()


def _resolved(chosen: settings.Settings, dialled: set[m.Connect]) -> dict[int, tcp.Address]:
    found = {}
    for number in sorted({one.server_id for one in dialled}):
        if number not in chosen.peers:
            raise Misused(f"SERVER_{number} is missing: expected HOST:PORT of a server that this client dials")
        found[number] = tcp.resolve(*chosen.peers[number])
    return found


def _await_instant(chosen: settings.Settings) -> None:
    """Say that everything is ready, and sleep to the instant that comes as an answer.

    :raises Failed: if none comes.
    """
    if chosen.arm is None:
        return
    reader, writer = chosen.arm
    try:
        os.write(writer, b"armed\n")
        text = b""
        while not text.endswith(b"\n"):
            more = os.read(reader, 64)
            if not more:
                raise Failed("armed, but no instant to begin came")
            text += more
        instant = int(text)
    except (OSError, ValueError) as error:
        raise Failed(f"NETBENCH_ARM: {error}") from None
    while (rest := instant - time.monotonic_ns()) > 0:
        time.sleep(rest / 1e9)
