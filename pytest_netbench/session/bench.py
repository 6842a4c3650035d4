"""What does the fixture `netbench` do for a test? It runs rounds of the test's scenario and keeps what came out."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_netbench import run as one_round
from pytest_netbench.ab.standards import Standards
from pytest_netbench.errors import HostError, NetbenchError, RunError, Unsupported, UsageError
from pytest_netbench.gate.contenders import used
from pytest_netbench.gate.course import whole_process
from pytest_netbench.gate.limits import all_limits
from pytest_netbench.gate.order import halves
from pytest_netbench.result.model import Round, TestRecord, Verdict
from pytest_netbench.result.result import Result
from pytest_netbench.result.summary import summarise
from pytest_netbench.roles import Role
from pytest_netbench.settings.plan import Contest, Plan, another

if TYPE_CHECKING:
    from pytest_netbench.ab.contest import Outcome
    from pytest_netbench.gate.arms import Arm, Arms
    from pytest_netbench.gate.comparison import Comparison
    from pytest_netbench.gate.contenders import Contender
    from pytest_netbench.hosts.model import Fleet, Host, Link
    from pytest_netbench.hosts.provider import Provider
    from pytest_netbench.playing import Clients, Servers
    from pytest_netbench.result.source import Beside, Source
    from pytest_netbench.scenario.model import Scenario

T = TypeVar("T")


def no_arms(_arms: Arms, _link: Link | None) -> Contest:
    """What is without a session can't compare.

    :raises UsageError: always.
    """
    raise UsageError("arms are compared by tests only")


def no_budget(_seconds: float) -> None:
    """Nothing is shared with others."""


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
    contend: Callable[[Arms, Link | None], Contest] = no_arms
    spend: Callable[[float], None] = no_budget
    standards: Standards = field(default_factory=Standards)
    judged: dict[str, Result] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    scenario: Scenario | None = None
    rounds: list[Round] = field(default_factory=list)
    result: Result | None = None
    _started: str = ""
    _trial: one_round.Trial | None = None
    _beside: Beside | None = None

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
        if self.plan.contest is not None:
            return await self._gated(self._wanted(scenario), self.plan.contest)
        trial = self._prepare(scenario)
        for number in range(self.plan.warmup):
            await self._round(trial, number - self.plan.warmup)
        rounds: list[Round] = []
        began = time.monotonic()
        while another(self.plan, rounds, time.monotonic() - began):
            rounds.append(await self._round(trial, len(self.rounds)))
        return self._result(rounds)

    def compare(
        self,
        ref: Arm | str,
        cand: Arm | str,
        scenario: Scenario | None = None,
        *,
        link: Link | None = None,
        pairs: int | None = None,
    ) -> Comparison:
        """Run two arms interleaved, and return how they compare: ``.ratio(NAME)`` has ``value`` and ``ci``.

        ``pairs``: as many as the test's rounds if left out. ``link``: instead of the marker's.

        :raises RunError: if a round could not be carried out.
        :raises UsageError: for an arm that isn't one, or in an ``async def`` test, where ``acompare()`` is needed.
        """
        __tracebackhide__ = True
        if self.loop.is_running():
            raise UsageError("netbench.compare() in an `async def` test: write `await netbench.acompare(...)`")
        return drive(self.loop, self.acompare(ref, cand, scenario, link=link, pairs=pairs))

    async def acompare(
        self,
        ref: Arm | str,
        cand: Arm | str,
        scenario: Scenario | None = None,
        *,
        link: Link | None = None,
        pairs: int | None = None,
    ) -> Comparison:
        """As ``compare()``, for ``async def`` tests."""
        __tracebackhide__ = True
        from pytest_netbench.ab import contest
        from pytest_netbench.gate.arms import arms

        if pairs is not None and pairs < 1:
            raise UsageError(f"compare(pairs={pairs}): at least one is needed")
        meant = self.contend(arms(ref=ref, cand=cand), link)
        outcome, found = await contest.compare(self, meant, self._wanted(scenario), pairs or self.plan.rounds)
        self._keep(outcome)
        return found

    async def renew(self) -> None:
        """Put fresh workers in the place of those that this test's hosts have."""
        await self.provider.renew(self.fleet)

    async def round_of(self, trial: one_round.Trial, index: int, arm: Contender) -> Round:
        """One round of an arm, on hosts with its link; a negative index is warm-up."""
        if arm.link == self.plan.spec.link:
            return await self._round(trial, index, arm, self.fleet)
        need = replace(self.plan.spec.need(), link=arm.link)
        if (refusal := self.provider.refuses(need)) is not None:
            raise Unsupported(refusal)
        async with self.provider.fleet(need) as fleet:
            return await self._round(trial, index, arm, fleet)

    async def collect(self, servers: Servers, clients: Clients) -> Result:
        """Read what one round left that the test drove by hand, and return what came out.

        :raises RunError: if the clients haven't been run to their end.
        """
        stage = self.stage(self._prepare(None), len(self.rounds))
        done = one_round.at(one_round.collect(stage, servers, clients, self._started), self._logs(stage))
        if self._beside is not None:
            done = self._beside.added_to(done)
        await self._keep_logs(stage)
        self.rounds.append(done)
        return self._result([done])

    async def abandoned(self, stage: one_round.Stage) -> None:
        """A round that a test drove by hand is over: of one that wasn't collected, keep what hosts' workers said."""
        if not self.rounds:
            await self._keep_logs(stage, failed=True)

    @contextmanager
    def by_hand(self) -> Iterator[one_round.Stage]:
        """The place of the round that a test drives by its coordinators."""
        self._started = self._started or one_round.now()
        stage = self.stage(self._prepare(None), len(self.rounds))
        with stage.beside() as self._beside:
            yield stage

    def stage(
        self, trial: one_round.Trial, index: int, arm: Contender | None = None, fleet: Fleet | None = None
    ) -> one_round.Stage:
        """The place of one round, on the test's hosts or on others: its folder is made, the scenario's file written."""
        name, link = (None, self.plan.spec.link) if arm is None else (arm.name, arm.link)
        folder = self.staging / self.plan.folder
        suffix = "" if name is None else f"-{name}"
        place = folder / (str(index) if index >= 0 else f"warmup{-index}{suffix}")
        place.mkdir(parents=True, exist_ok=True)
        file = folder / f"scenario{suffix}{trial.mark}.json"
        if not file.exists():
            trial.scenario.write(file)
        half = self._halves(trial) if arm is not None and self.provider.shares_machine else {}
        hosts = fleet or self.fleet
        return one_round.Stage(trial, hosts, self.run_id, index, place, file, link, name, half, sources=self.sources)

    def _halves(self, trial: one_round.Trial) -> Mapping[Role, int]:
        pair = sum(one.arm is not None for one in self.rounds) // 2
        return halves(pair, len(os.sched_getaffinity(0)), narrow=trial.narrow)

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
            summary_ref=summarise(self.rounds, reference=True),
            note="; ".join(dict.fromkeys([*filter(None, [self.fleet.note]), *untold])),
            cost=self.provider.cost(self.fleet),
            verdict=self.result.verdict if self.result else Verdict.NONE,
            reason=self.result.reason if self.result else "",
            verdicts=self.result.verdicts if self.result else {},
            comparison=self.result.comparison if self.result else None,
            gates={name: (one.fail_above, one.must_detect) for name, one in all_limits(self.plan.spec.gate).items()},
            programs=used(self.plan.drivers),
            command=self.plan.command,
        )

    async def _gated(self, scenario: Scenario, contest: Contest) -> Result:
        """Run the arms; a test that is run again is told what it came to, since asking again would find more alarms."""
        from pytest_netbench.ab.contest import gate, without_verdict

        if contest.attempt > 1 and (earlier := self.judged.get(self.plan.nodeid)) is not None:
            assert earlier.comparison is not None
            earlier.comparison = replace(earlier.comparison, attempt=contest.attempt)
            self.result, self.rounds[:] = earlier, earlier.rounds
            return earlier
        try:
            self._keep(await gate(self, contest, scenario))
        except (RunError, HostError) as error:
            self._keep(without_verdict(self, contest, str(error).partition("\n")[0]))
            raise
        assert self.result is not None
        self.judged[self.plan.nodeid] = self.result
        return self.result

    def _keep(self, outcome: Outcome) -> None:
        self._judge(Result(outcome.rounds, self.plan.spec.gate, str(self.out), mode=self.plan.mode), outcome)

    def _judge(self, result: Result, outcome: Outcome | None = None) -> None:
        """Give a result its verdicts: of the arms, of stored baselines, with what is accepted."""
        self.result = result
        verdicts = dict(outcome.verdicts) if outcome is not None else {}
        if self.standards.references and result.valid:
            bounds = all_limits(self.plan.spec.gate)
            built = self.plan.contest is None and any(row.build for rows in self.plan.drivers.values() for row in rows)
            verdicts |= self.standards.against_baselines(self.record(), bounds, taken=verdicts, built=built)
        if verdicts:
            found = self.standards.with_acceptances(self.plan.nodeid, verdicts)
            result.judge(found, outcome.record if outcome is not None else None)

    def _wanted(self, scenario: Scenario | None) -> Scenario:
        wanted = scenario or self.plan.spec.scenario
        if wanted is None:
            raise UsageError("which scenario? Give one to netbench.run(), or scenario= in @pytest.mark.netbench(...)")
        if self.scenario is not None and self.scenario != wanted:
            raise UsageError(f"a test runs one scenario, this one has run {self.scenario}: parametrise it over both")
        self.plan.spec.check_fits(wanted)
        self.scenario = wanted
        return wanted

    def _prepare(self, scenario: Scenario | None) -> one_round.Trial:
        wanted, plan = self._wanted(scenario), self.plan
        if self._trial is None:
            self._trial = one_round.trial(
                wanted,
                plan.server_driver,
                plan.client_driver,
                plan.spec.options,
                plan.timeout,
                each=plan.each,
                slope=plan.gates_cpu,
            )
        return self._trial

    async def _round(
        self, trial: one_round.Trial, index: int, arm: Contender | None = None, fleet: Fleet | None = None
    ) -> Round:
        """One round; a negative index is warm-up, of which nothing is kept but its logs."""
        stage = self.stage(trial, index, arm, fleet)
        started, began, failed = one_round.now(), time.monotonic(), True
        try:
            async with self.turn():
                done = await one_round.carry_out(stage)
            failed = False
        except NetbenchError as error:
            reason = str(error).removeprefix(f"round {index}: ")
            self.rounds.append(one_round.at(one_round.failed(stage, started, began, reason), self._logs(stage)))
            raise
        finally:
            self.spend(time.monotonic() - began)
            await self._keep_logs(stage, failed=failed)
        done = one_round.at(done, self._logs(stage))
        if index >= 0:
            self.rounds.append(done)
        return done

    async def _keep_logs(self, stage: one_round.Stage, *, failed: bool = False) -> None:
        if not (failed or self.provider.salvages_cheaply):
            return
        await self.provider.salvage((*stage.servers, *stage.clients), stage.folder)

    def _logs(self, stage: one_round.Stage) -> str:
        return f"runs/{self.plan.folder}/{stage.folder.name}"

    def _result(self, rounds: list[Round]) -> Result:
        result = Result(tuple(rounds), self.plan.spec.gate, str(self.out), mode=self.plan.mode)
        refuse_whole_process(result)
        self._judge(result)
        return result


def refuse_whole_process(result: Result) -> None:
    """A limit on a figure that covers a driver's start says nothing of the transport.

    :raises UsageError: if the test has one.
    """
    for name in result.gates:
        if any(name in one.whole_process for one in result.rounds):
            raise UsageError(whole_process(name))


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
