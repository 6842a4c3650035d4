"""How is one round carried out? The one place that sees every stage, from scenario to result."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_netbench.drivers.choice import of_side
from pytest_netbench.drivers.job import Job, Reason
from pytest_netbench.errors import RunError, Unsupported, UsageError
from pytest_netbench.protocols import CLIENT, SERVER, NetbenchClient, NetbenchServer
from pytest_netbench.result.metrics import measure
from pytest_netbench.result.model import Round
from pytest_netbench.result.validity import Budgets, judge
from pytest_netbench.roles import Role
from pytest_netbench.scenario.analysis import Analysis, analyse
from pytest_netbench.scenario.certificates import certify
from pytest_netbench.telemetry.gather import read_host
from russula import Coordinator, RussulaError, Target, WorkerFailed

if TYPE_CHECKING:
    from pytest_netbench.drivers.driver import Driver
    from pytest_netbench.hosts.model import Fleet, Host, Link
    from pytest_netbench.scenario.model import Scenario
    from pytest_netbench.telemetry.model import HostReport

CONNECT_DEADLINE = 10.0
START_DEADLINE = 30.0
STOP_DEADLINE = 30.0
SLACK = 30.0
"""Seconds: for workers to answer, drivers to come up, drivers to go down, and beyond the scenario's own duration."""

Servers = Coordinator[NetbenchServer]
Clients = Coordinator[NetbenchClient]


@dataclass(frozen=True, slots=True)
class Trial:
    """What is run, the same in every round. ``timeout``: seconds that a round may take from its start instant.

    ``options``: of both sides, as the test gives them.
    """

    scenario: Scenario
    analysis: Analysis
    server_driver: Driver
    client_driver: Driver
    options: Mapping[str, Any]
    timeout: float

    def driver(self, role: Role) -> Driver:
        """The driver of one side."""
        return self.server_driver if role is Role.SERVER else self.client_driver

    def options_of(self, role: Role) -> Mapping[str, Any]:
        """The options of one side, with those that it takes by itself because of the other."""
        other = Role.CLIENT if role is Role.SERVER else Role.SERVER
        return of_side(self.options, self.driver(role), role, self.driver(other))


def trial(
    scenario: Scenario,
    server_driver: Driver,
    client_driver: Driver,
    options: Mapping[str, Any],
    timeout: float | None = None,
) -> Trial:
    """Get a scenario ready: certificates are made where a driver needs them, the longest time is found.

    :raises Unsupported: if a driver can't do it.
    :raises UsageError: if an option isn't one of the drivers'.
    """
    analysis = analyse(scenario)
    for driver, role in ((server_driver, Role.SERVER), (client_driver, Role.CLIENT)):
        driver.check(analysis, role, options)
    if server_driver.secure or client_driver.secure:
        scenario = certify(scenario)
    longest = timeout if timeout is not None else 2 * analysis.shortest_s + SLACK
    return Trial(scenario, analysis, server_driver, client_driver, options, longest)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where one round takes place: its hosts, and the folder that keeps what it leaves, a folder a host."""

    trial: Trial
    fleet: Fleet
    run: str
    index: int
    folder: Path
    scenario_file: Path
    link: Link | None = None

    @property
    def budgets(self) -> Budgets:
        """What a round may show and still count; receive buffers may overflow unless a link promises no loss."""
        lossless = self.link is not None and self.link.loss == 0
        return Budgets(udp_drops=0 if lossless else None)

    @property
    def servers(self) -> tuple[Host, ...]:
        """The hosts that serve in this scenario."""
        return self.fleet.servers[: len(self.trial.scenario.servers)]

    @property
    def clients(self) -> tuple[Host, ...]:
        """The hosts that dial in this scenario."""
        return self.fleet.clients[: len(self.trial.scenario.clients)]

    def target(self, host: Host, peers: Callable[[], tuple[str, ...]]) -> Target:
        """What russula must know to drive the worker of a host."""

        def order() -> Mapping[str, Any]:
            return Job(
                role=host.role,
                index=host.index,
                driver=self.trial.driver(host.role).name,
                options=self.trial.options_of(host.role),
                peers=peers(),
                bind=host.data,
                timeout_s=self.trial.timeout,
            ).to_order()

        return Target(
            name=host.name,
            address=host.control,
            order=order,
            files=lambda: {"scenario.json": self.scenario_file},
            results=self.folder / host.name,
        )


@asynccontextmanager
async def servers(stage: Stage) -> AsyncIterator[Servers]:
    """The coordinator of the servers of a round, at READY."""
    targets = [stage.target(host, tuple) for host in stage.servers]
    connecting: AbstractAsyncContextManager[Servers] = Coordinator.connect(
        SERVER, targets, run=stage.run, deadline=CONNECT_DEADLINE
    )
    async with connecting as coordinator:
        await coordinator.run_till(NetbenchServer.READY, deadline=CONNECT_DEADLINE)
        yield coordinator


@asynccontextmanager
async def clients(stage: Stage, serving: Callable[[], Servers | None]) -> AsyncIterator[Clients]:
    """The coordinator of the clients of a round, at READY; ``serving`` gives the servers when these are needed."""

    def peers() -> tuple[str, ...]:
        coordinator = serving()
        said = (
            []
            if coordinator is None
            else [coordinator.said(host.name, NetbenchServer.RUNNING) for host in stage.servers]
        )
        if len(said) < len(stage.servers) or not all(said):
            raise UsageError(
                "the clients need servers that listen: `await server_coord.run_till(NetbenchServer.RUNNING)` first"
            )
        return tuple(str(one["address"]) for one in said)

    targets = [stage.target(host, peers) for host in stage.clients]
    connecting: AbstractAsyncContextManager[Clients] = Coordinator.connect(
        CLIENT, targets, run=stage.run, deadline=CONNECT_DEADLINE
    )
    async with connecting as coordinator:
        await coordinator.run_till(NetbenchClient.READY, deadline=CONNECT_DEADLINE)
        yield coordinator


async def play(stage: Stage, serving: Servers, dialling: Clients) -> None:
    """Take both sides from READY to DONE.

    :raises RussulaError: for the first worker that fails or is silent; names it, its state, its driver's last words.
    """
    await serving.run_till(NetbenchServer.RUNNING, deadline=START_DEADLINE)
    await dialling.run_till(NetbenchClient.ARMED, deadline=START_DEADLINE)
    await dialling.run_till(NetbenchClient.STOPPED, deadline=stage.trial.timeout + SLACK)
    await serving.run_till(NetbenchServer.DONE, deadline=STOP_DEADLINE)
    await dialling.run_till(NetbenchClient.DONE, deadline=STOP_DEADLINE)


def collect(stage: Stage, serving: Servers, dialling: Clients, started: str) -> Round:
    """Read what the hosts left, and say what the round came to.

    :raises RunError: if a host left nothing that can be read.
    """
    reports = [_report(stage, host) for host in (*stage.servers, *stage.clients)]
    begins = [one.began_ns for one in reports if one.role is Role.CLIENT and one.began_ns is not None]
    ends = [one.ended_ns for one in reports if one.role is Role.CLIENT and one.ended_ns is not None]
    begin = dialling.instant_ns
    if begin is None or not ends:
        raise RunError(f"round {stage.index}: no client has begun; run the clients to DONE before collecting")
    skew = (max(begins) - min(begins)) / 1e9 if begins else 0.0
    silent = serving.silent_bytes + dialling.silent_bytes
    armed = all(one.armed for one in reports if one.role is Role.CLIENT)
    metrics, samples, whole = measure(stage.trial.scenario, reports)
    return Round(
        index=stage.index,
        arm=None,
        started=started,
        duration_s=(max(ends) - begin) / 1e9,
        metrics=metrics,
        start_skew_s=skew,
        armed=armed,
        control_bytes_in_run=silent,
        validity=judge(stage.trial.scenario, stage.trial.analysis, reports, skew, armed, silent, stage.budgets),
        samples=samples,
        whole_process=whole,
    )


def _report(stage: Stage, host: Host) -> HostReport:
    return read_host(
        stage.folder / host.name, stage.trial.driver(host.role), stage.trial.scenario, host.role, host.index, host.name
    )


async def carry_out(stage: Stage) -> Round:
    """One whole round.

    :raises RunError: if it could not be carried out; names host, state, and what the driver last said.
    :raises Unsupported: if a driver said, when it was run, that it can't do this scenario.
    """
    started = now()
    try:
        async with servers(stage) as serving, clients(stage, lambda: serving) as dialling:
            await play(stage, serving, dialling)
            return collect(stage, serving, dialling, started)
    except WorkerFailed as error:
        if error.reason == Reason.UNSUPPORTED:
            raise Unsupported(f"{error.worker}: {error.detail}") from None
        raise RunError(f"round {stage.index}: {error}") from None  # its text has all of the cause
    except RussulaError as error:
        raise RunError(f"round {stage.index}: {error}") from None


def failed(stage: Stage, started: str, began: float, reason: str) -> Round:
    """The record of a round that could not be carried out: no numbers, and why."""
    return Round(
        index=stage.index,
        arm=None,
        started=started,
        duration_s=time.monotonic() - began,
        metrics={},
        start_skew_s=0.0,
        armed=False,
        control_bytes_in_run=0,
        validity=(reason,),
    )


def now() -> str:
    """This moment, as in results.json."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def at(round_: Round, logs: str) -> Round:
    """The same round, knowing where its logs are."""
    return replace(round_, logs=logs)
