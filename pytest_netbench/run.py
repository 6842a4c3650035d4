"""How is one round carried out? The one place that sees every stage, from scenario to result."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pytest_netbench.drivers.choice import of_side
from pytest_netbench.drivers.driver import CpuBy
from pytest_netbench.drivers.job import Job, Reason, Watch
from pytest_netbench.drivers.support import check
from pytest_netbench.errors import RunError, Unsupported, UsageError
from pytest_netbench.playing import SLACK, Clients, Servers, play
from pytest_netbench.protocols import CLIENT, SERVER, NetbenchClient, NetbenchServer
from pytest_netbench.result.foreign import foreign_share
from pytest_netbench.result.metrics import Spent, measure, slopes, spent
from pytest_netbench.result.model import Round
from pytest_netbench.result.sender import sending
from pytest_netbench.result.source import Beside, Place
from pytest_netbench.result.validity import Budgets, from_outside, judge
from pytest_netbench.roles import Role
from pytest_netbench.scenario.analysis import Analysis, analyse
from pytest_netbench.scenario.certificates import certify
from pytest_netbench.scenario.scale import smaller
from pytest_netbench.telemetry.gather import read_host
from pytest_netbench.telemetry.shift import shifted
from russula import LATE, Coordinator, RussulaError, Target, WorkerFailed
from russula.coordinator import LEAD

if TYPE_CHECKING:
    from pytest_netbench.drivers.driver import Driver
    from pytest_netbench.hosts.model import Fleet, Host, Link
    from pytest_netbench.result.source import Source
    from pytest_netbench.scenario.model import Scenario
    from pytest_netbench.telemetry.model import HostReport

CONNECT_DEADLINE = 10.0
"""Seconds for workers to answer."""
LEADS = (LEAD, 0.3, 3.0)
"""Seconds from the announcement of the start instant to it: where a busy machine didn't let it be heard in time, the
round is begun anew, with the next. Nothing was connected in it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is run, the same in every round of one arm.

    ``options``: of each side, as the test gives them. ``timeout``: seconds that a round may take from its start
    instant. ``smaller``: what is run in addition where a driver tells the CPU time of its whole process only.
    ``each``: the drivers of a side's hosts in their order, where they differ. ``slope``: metrics without which a round
    doesn't count where that is done. ``mark``: in names of files, what tells it from others of the same test.
    """

    scenario: Scenario
    analysis: Analysis
    server_driver: Driver
    client_driver: Driver
    options: Mapping[Role, Mapping[str, Any]]
    timeout: float
    smaller: Trial | None = None
    each: Mapping[Role, Sequence[Driver]] = field(default_factory=dict)
    slope: frozenset[str] = frozenset()
    mark: str = ""

    def driver(self, role: Role, index: int = 0) -> Driver:
        """The driver of one host of a side."""
        drivers = self.each.get(role, ())
        if len(drivers) > 1:
            return drivers[index]
        return self.server_driver if role is Role.SERVER else self.client_driver

    @property
    def narrow(self) -> bool:
        """Whether each side is one process with one thread, for which a processor is enough."""
        sides = {Role.SERVER: self.scenario.servers, Role.CLIENT: self.scenario.clients}
        return all(len(hosts) == 1 and self._on_one_thread(role) for role, hosts in sides.items())

    def _on_one_thread(self, role: Role) -> bool:
        driver, chosen = self.driver(role), self.options_of(role)
        framed = chosen.get("multiplex", self.analysis.streams_per_connection > 1)
        several = chosen.get("processes", 1) > 1 or chosen.get("multithreaded") or (framed and driver.multiplex_env)
        return driver.one_thread and not several

    def options_of(self, role: Role, index: int = 0) -> Mapping[str, Any]:
        """The options of one host of a side, with those that it takes by itself because of the other side."""
        other = Role.CLIENT if role is Role.SERVER else Role.SERVER
        return of_side(self.options[role], self.driver(role, index), role, self.driver(other))


def trial(
    scenario: Scenario,
    server_driver: Driver,
    client_driver: Driver,
    options: Mapping[str, Any],
    timeout: float | None = None,
    *,
    by_role: Mapping[Role, Mapping[str, Any]] | None = None,
    each: Mapping[Role, Sequence[Driver]] | None = None,
    slope: frozenset[str] = frozenset(),
    mark: str = "",
) -> Trial:
    """Get a scenario ready: certificates are made where a driver needs them, the longest time is found.

    ``by_role``: the options of each side, where they differ.

    ``slope``: metrics of CPU time per byte or operation that are wanted without what it takes to start, also from
    drivers that don't tell it.

    :raises Unsupported: if a driver can't do it.
    :raises UsageError: if an option isn't one of the drivers'.
    """
    analysis, chosen = analyse(scenario), by_role or dict.fromkeys(Role, options)
    sides = {Role.SERVER: (server_driver,), Role.CLIENT: (client_driver,), **(each or {})}
    for role, drivers in sides.items():
        hosts = len(scenario.servers if role is Role.SERVER else scenario.clients)
        if len(drivers) not in (1, hosts):
            raise UsageError(f"{len(drivers)} drivers for {hosts} {role.value}s: name one for each, or one for all")
        for driver in drivers:
            check(driver, analysis, role, chosen[role])
    every = [driver for drivers in sides.values() for driver in drivers]
    if any(driver.secure for driver in every):
        scenario = certify(scenario)
    longest = timeout if timeout is not None else 2 * analysis.shortest_s + SLACK
    made = Trial(scenario, analysis, server_driver, client_driver, chosen, longest, each=sides, slope=slope, mark=mark)
    wanted = slope or any(driver.cpu is CpuBy.SLOPE for driver in every)
    less = smaller(scenario, whole_seconds=any(driver.foreign for driver in every)) if wanted else None
    return made if less is None else replace(made, smaller=replace(made, scenario=less, analysis=analyse(less)))


@dataclass(frozen=True, slots=True)
class Stage:
    """Where one round takes place: its hosts, and the folder that keeps what it leaves, a folder a host.

    ``arm``: whose round it is, None without arms. ``halves``: on which half of a shared machine each side runs.
    ``watch``: by what drivers are watched, None in a round that is measured. ``sources``: what plugins measure beside.
    """

    trial: Trial
    fleet: Fleet
    run: str
    index: int
    folder: Path
    scenario_file: Path
    link: Link | None = None
    arm: str | None = None
    halves: Mapping[Role, int] = field(default_factory=lambda: MappingProxyType({}))
    watch: Watch | None = None
    sources: Mapping[str, Source] = field(default_factory=lambda: MappingProxyType({}))

    def beside(self) -> Beside:
        """What plugins measure beside the round."""
        return Beside(self.sources, Place((*self.servers, *self.clients), self.folder))

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
                driver=self.trial.driver(host.role, host.index).name,
                options=self.trial.options_of(host.role, host.index),
                peers=peers(),
                bind=host.data,
                timeout_s=self.trial.timeout,
                half=self.halves.get(host.role),
                watch=self.watch,
            ).to_order()

        return Target(
            name=host.name,
            address=host.control,
            order=order,
            files=lambda: {"scenario.json": self.scenario_file},
            results=self.folder / host.name,
            pin=host.pin,
        )


@asynccontextmanager
async def servers(stage: Stage) -> AsyncIterator[Servers]:
    """The coordinator of the servers of a round, at READY."""
    targets = [stage.target(host, tuple) for host in stage.servers]
    connecting: AbstractAsyncContextManager[Servers] = Coordinator.connect(
        SERVER, targets, run=stage.run, deadline=CONNECT_DEADLINE, credentials=stage.fleet.credentials
    )
    async with connecting as coordinator:
        await coordinator.run_till(NetbenchServer.READY, deadline=CONNECT_DEADLINE)
        if stage.fleet.credentials is not None:  # machines of their own, whose clocks nobody asks for a start
            await coordinator.measure_clocks()
        yield coordinator


@asynccontextmanager
async def clients(
    stage: Stage, serving: Callable[[], Servers | None], lead: float = LEADS[0]
) -> AsyncIterator[Clients]:
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
    connecting = Clients.connect(
        CLIENT, targets, run=stage.run, deadline=CONNECT_DEADLINE, credentials=stage.fleet.credentials, lead=lead
    )
    async with connecting as coordinator:
        coordinator.serving = serving
        await coordinator.run_till(NetbenchClient.READY, deadline=CONNECT_DEADLINE)
        yield coordinator


def collect(stage: Stage, serving: Servers, dialling: Clients, started: str) -> Round:
    """Read what the hosts left, and say what the round came to.

    :raises RunError: if a host left nothing that can be read.
    """
    return _collect(stage, serving, dialling, started)[0]


def _collect(stage: Stage, serving: Servers, dialling: Clients, started: str) -> tuple[Round, Spent]:
    reports = [_report(stage, host, serving) for host in stage.servers]
    reports += [_report(stage, host, dialling) for host in stage.clients]
    begins = [one.began_ns for one in reports if one.role is Role.CLIENT and one.began_ns is not None]
    ends = [one.ended_ns for one in reports if one.role is Role.CLIENT and one.ended_ns is not None]
    if (begin := dialling.instant_ns) is None or not ends:
        raise RunError(f"round {stage.index}: no client has begun; run the clients to DONE before collecting")
    skew = (max(begins) - min(begins)) / 1e9 if begins else 0.0
    silent = serving.silent_bytes + dialling.silent_bytes
    armed = all(one.armed for one in reports if one.role is Role.CLIENT)
    metrics, samples, whole = measure(stage.trial.scenario, reports)
    done = Round(
        index=stage.index,
        arm=stage.arm,
        started=started,
        duration_s=(max(ends) - begin) / 1e9,
        metrics=metrics,
        start_skew_s=skew,
        armed=armed,
        control_bytes_in_run=silent,
        validity=judge(stage.trial.scenario, stage.trial.analysis, reports, skew, armed, silent, stage.budgets),
        samples=samples,
        whole_process=whole,
        untold=tuple(dict.fromkeys(_untold(stage, reports))),
        exogenous=from_outside(stage.trial.scenario, stage.trial.analysis, reports),
        foreign=foreign_share(reports),
        sending=sending(stage.trial.scenario, reports, metrics.get("goodput")),
        environment={one.host: one.environment for one in reports if one.environment},
    )
    return done, spent(stage.trial.scenario, reports)


def _untold(stage: Stage, reports: Iterable[HostReport]) -> Iterator[str]:
    """What drivers don't tell, a sentence each."""
    for one in reports:
        if one.driver.untold:
            facts = ", ".join(sorted(fact.value for fact in one.driver.untold))
            yield f"{stage.trial.driver(one.role, one.index).name} as {one.role.value} doesn't tell {facts}"


def _report(stage: Stage, host: Host, coordinator: Servers | Clients) -> HostReport:
    """What a host left, with all its instants on this machine's clock."""
    found = read_host(
        stage.folder / host.name,
        stage.trial.driver(host.role, host.index),
        stage.trial.scenario,
        host.role,
        host.index,
        host.name,
    )
    return shifted(found, lambda there_ns: coordinator.here(host.name, there_ns))


async def carry_out(stage: Stage) -> Round:
    """One whole round; a smaller one after it where its CPU time covers whole processes, and is wanted without.

    :raises RunError: if it could not be carried out; names host, state, and what the driver last said.
    :raises Unsupported: if a driver said, when it was run, that it can't do this scenario.
    """
    done, cost = await _carry_out(stage)
    less = stage.trial.smaller
    if less is None or not done.valid or not any(".cpu_per_" in name for name in done.whole_process):
        return done
    folder = stage.folder / "smaller"
    folder.mkdir(exist_ok=True)
    file = folder / "scenario.json"
    less.scenario.write(file)
    second, cost_less = await _carry_out(replace(stage, trial=less, folder=folder, scenario_file=file, sources={}))
    return sloped(done, second, slopes(cost, cost_less), stage.trial.slope)


def sloped(done: Round, second: Round, found: Mapping[str, float | None], needed: frozenset[str]) -> Round:
    """A round whose CPU times of whole processes gave way to the slopes between it and a smaller one.

    A slope that isn't one is left out; if it is ``needed``, the round doesn't count.
    """
    if not second.valid:
        reasons = (f"its smaller run doesn't count: {reason}" for reason in second.validity)
        outside = tuple(f"its smaller run doesn't count: {reason}" for reason in second.exogenous)
        return replace(done, validity=tuple(reasons), exogenous=outside)
    wanted = {name: value for name, value in found.items() if name in done.whole_process}
    flat = tuple(
        f"{name}: the larger run took no more CPU time than the smaller one, the slope needs more bytes"
        for name, value in sorted(wanted.items())
        if value is None and name in needed
    )
    known = {name: value for name, value in wanted.items() if value is not None}
    return replace(
        done,
        metrics={**{name: value for name, value in done.metrics.items() if name not in wanted}, **known},
        whole_process=done.whole_process - wanted.keys(),
        slopes=frozenset(known),
        validity=flat,
    )


async def _carry_out(stage: Stage, leads: Sequence[float] = LEADS) -> tuple[Round, Spent]:
    lead, *later = leads
    try:
        return await _played(stage, lead)
    except WorkerFailed as error:
        if error.reason == LATE and later:
            return await _carry_out(stage, later)
        if error.reason == Reason.UNSUPPORTED:
            why = error.tail.strip().rpartition("\n")[2]  # its own words: the last line of its standard error
            raise Unsupported(": ".join(filter(None, (error.worker, error.detail, why)))) from None
        raise _not_carried_out(stage, error) from None
    except RussulaError as error:
        raise _not_carried_out(stage, error) from None


async def _played(stage: Stage, lead: float) -> tuple[Round, Spent]:
    started = now()
    async with servers(stage) as serving, clients(stage, lambda: serving, lead) as dialling:
        with stage.beside() as beside:
            await play(serving, dialling, stage.trial.timeout)
            done, cost = _collect(stage, serving, dialling, started)
            return beside.added_to(done), cost


def _not_carried_out(stage: Stage, error: RussulaError) -> RunError:
    """Its text has all of the cause."""
    return RunError("\n".join((f"round {stage.index}: {error}", *getattr(error, "__notes__", ()))))


def failed(stage: Stage, started: str, began: float, reason: str) -> Round:
    """The record of a round that could not be carried out: no numbers, and why."""
    return Round(
        index=stage.index,
        arm=stage.arm,
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
