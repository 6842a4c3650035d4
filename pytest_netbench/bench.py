"""What does the fixture `netbench` do for a test? It runs rounds of the test's scenario and keeps what came out."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_netbench import run as one_round
from pytest_netbench.errors import NetbenchError, UsageError
from pytest_netbench.marker import EACH
from pytest_netbench.result.model import Round, TestRecord, Verdict
from pytest_netbench.result.result import Result
from pytest_netbench.result.summary import summarise
from pytest_netbench.roles import Role

if TYPE_CHECKING:
    from pytest_netbench.drivers.driver import Driver
    from pytest_netbench.hosts.model import Fleet, Host
    from pytest_netbench.hosts.provider import Provider
    from pytest_netbench.marker import Spec
    from pytest_netbench.scenario.model import Scenario

T = TypeVar("T")

SPARE = 2
"""Rounds run in addition where none of the planned ones counts: a busy machine may spoil one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one test is to run, all layers merged. Times in seconds; ``budget`` for all its rounds together.

    ``each``: the drivers of a side's hosts in their order, where they differ.
    """

    nodeid: str
    spec: Spec
    server_driver: Driver
    client_driver: Driver
    rounds: int
    warmup: int
    timeout: float | None
    budget: float | None
    each: Mapping[Role, Sequence[Driver]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The driver as shown: one name, or ``SERVER/CLIENT``; the names of several on a side are joined by ``+``."""
        names = tuple(
            EACH.join(one.name for one in self.each.get(role, (driver,)))
            for role, driver in ((Role.SERVER, self.server_driver), (Role.CLIENT, self.client_driver))
        )
        return names[0] if names[0] == names[1] else "/".join(names)

    @property
    def folder(self) -> str:
        """The test's id as the name of a folder under ``runs/``."""
        return re.sub(r"[^A-Za-z0-9_.\[\]=,-]+", "-", self.nodeid).strip("-.")[-150:]


def another(plan: Plan, rounds: Sequence[Round], spent: float) -> bool:
    """Whether one more round is due after these, which took ``spent`` seconds.

    So many as planned, within the budget and at least one; a few more while none counts.
    """
    done = len(rounds)
    if done >= plan.rounds:
        return done < plan.rounds + SPARE and not any(one.valid for one in rounds)
    return done == 0 or plan.budget is None or spent * (1 + 1 / done) <= plan.budget


@dataclass
class Netbench:
    """Runs the rounds of one test; yielded by the fixture ``netbench``."""

    plan: Plan
    fleet: Fleet
    provider: Provider
    loop: asyncio.AbstractEventLoop
    run_id: str
    staging: Path
    out: Path
    turn: Callable[[], AbstractAsyncContextManager[None]]
    scenario: Scenario | None = None
    rounds: list[Round] = field(default_factory=list)
    result: Result | None = None
    _started: str = ""
    _trial: one_round.Trial | None = None

    def run(self, scenario: Scenario | None = None) -> Result:
        """Run all rounds of the marker's scenario, or of this one, and return what came out.

        :raises RunError: if a round could not be carried out; names host, state, and the driver's last words.
        :raises UsageError: in an ``async def`` test, where ``await netbench.arun()`` is needed.
        """
        __tracebackhide__ = True
        if self.loop.is_running():
            raise UsageError("netbench.run() in an `async def` test: write `await netbench.arun()`")
        return drive(self.loop, self.arun(scenario))

    async def arun(self, scenario: Scenario | None = None) -> Result:
        """As ``run()``, for ``async def`` tests."""
        __tracebackhide__ = True
        trial = self._prepare(scenario)
        for number in range(self.plan.warmup):
            await self._round(trial, number - self.plan.warmup)
        rounds: list[Round] = []
        began = time.monotonic()
        while another(self.plan, rounds, time.monotonic() - began):
            rounds.append(await self._round(trial, len(self.rounds)))
        return self._result(rounds)

    async def collect(self, servers: one_round.Servers, clients: one_round.Clients) -> Result:
        """Read what one round left that the test drove by hand, and return what came out.

        :raises RunError: if the clients haven't been run to their end.
        """
        stage = self.stage(self._prepare(None), len(self.rounds))
        done = one_round.at(one_round.collect(stage, servers, clients, self._started), self._logs(stage))
        await self._keep_logs(stage)
        self.rounds.append(done)
        return self._result([done])

    def by_hand(self) -> one_round.Stage:
        """The place of the round that a test drives by its coordinators."""
        self._started = self._started or one_round.now()
        return self.stage(self._prepare(None), len(self.rounds))

    def stage(self, trial: one_round.Trial, index: int) -> one_round.Stage:
        """The place of one round: its folder is made, the scenario's file written."""
        folder = self.staging / self.plan.folder
        place = folder / (str(index) if index >= 0 else f"warmup{-index}")
        place.mkdir(parents=True, exist_ok=True)
        file = folder / "scenario.json"
        if not file.exists():
            trial.scenario.write(file)
        return one_round.Stage(trial, self.fleet, self.run_id, index, place, file, self.plan.spec.link)

    def record(self) -> TestRecord:
        """What results.json says of this test; the outcome is filled in when pytest knows it."""
        scenario = self.scenario or self.plan.spec.scenario
        untold = (text for one in self.rounds for text in one.untold)
        return TestRecord(
            nodeid=self.plan.nodeid,
            scenario_id=scenario.id if scenario else "",
            scenario_name=str(scenario) if scenario else "",
            driver=self.plan.label,
            provider=self.provider.name,
            hosts=tuple(described(host) for host in self.fleet.all),
            outcome="",
            rounds=tuple(self.rounds),
            summary=summarise(self.rounds),
            note="; ".join(dict.fromkeys([*filter(None, [self.fleet.note]), *untold])),
            verdict=self.result.verdict if self.result else Verdict.NONE,
            reason=self.result.reason if self.result else "",
        )

    def _prepare(self, scenario: Scenario | None) -> one_round.Trial:
        wanted = scenario or self.plan.spec.scenario
        if wanted is None:
            raise UsageError("which scenario? Give one to netbench.run(), or scenario= in @pytest.mark.netbench(...)")
        if self.scenario is not None and self.scenario != wanted:
            raise UsageError(f"a test runs one scenario, this one has run {self.scenario}: parametrise it over both")
        if self._trial is None:
            plan = self.plan
            plan.spec.check_fits(wanted)
            self._trial = one_round.trial(
                wanted,
                plan.server_driver,
                plan.client_driver,
                plan.spec.options,
                plan.timeout,
                each=plan.each,
                slope=any(".cpu_per_" in name for name in plan.spec.gate),
            )
            self.scenario = wanted
        return self._trial

    async def _round(self, trial: one_round.Trial, index: int) -> Round:
        """One round; a negative index is warm-up, of which nothing is kept but its logs."""
        stage = self.stage(trial, index)
        started, began = one_round.now(), time.monotonic()
        try:
            async with self.turn():
                done = await one_round.carry_out(stage)
        except NetbenchError as error:
            reason = str(error).removeprefix(f"round {index}: ")
            self.rounds.append(one_round.at(one_round.failed(stage, started, began, reason), self._logs(stage)))
            raise
        finally:
            await self._keep_logs(stage)
        done = one_round.at(done, self._logs(stage))
        if index >= 0:
            self.rounds.append(done)
        return done

    async def _keep_logs(self, stage: one_round.Stage) -> None:
        for host in (*stage.servers, *stage.clients):
            await self.provider.salvage(host, stage.folder / host.name)

    def _logs(self, stage: one_round.Stage) -> str:
        return f"runs/{self.plan.folder}/{stage.folder.name}"

    def _result(self, rounds: list[Round]) -> Result:
        self.result = Result(tuple(rounds), self.plan.spec.gate, str(self.out))
        return self.result


def described(host: Host) -> dict[str, object]:
    """A host as results.json has it."""
    return {"name": host.name, "role": host.role.value, "address": host.data, **host.facts}


def drive(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a loop that stands; when interrupted, its clean-up is awaited first."""
    __tracebackhide__ = True
    task = loop.create_task(coroutine)
    try:
        return loop.run_until_complete(task)
    except NetbenchError as error:
        raise error.with_traceback(None) from None  # what it says is for the test's author; our own lines aren't
    except BaseException:
        if not task.done():
            task.cancel()
            loop.run_until_complete(asyncio.wait([task]))
        raise
