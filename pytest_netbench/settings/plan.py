"""What is one test to run? All layers of settings merged: drivers, rounds, times, arms; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_netbench.gate.mode import Choice, Mode
from pytest_netbench.roles import Role
from pytest_netbench.scenario.analysis import analyse, volume
from pytest_netbench.settings.marker import EACH

if TYPE_CHECKING:
    from pytest_netbench.drivers.driver import Driver
    from pytest_netbench.gate.contenders import Contender
    from pytest_netbench.gate.environment import Meant
    from pytest_netbench.hosts.model import Need
    from pytest_netbench.result.model import Round
    from pytest_netbench.settings.marker import Spec

SPARE = 2
"""Rounds run in addition where none of the planned ones counts: a busy machine may spoil one."""


@dataclass(frozen=True, slots=True)
class Contest:
    """What a test with arms is to do.

    ``entries``: gated metrics of the whole session. ``attempt``: how often pytest has run this test. ``repeat``: the
    command that runs it alone. ``commits``: of the project, from which each arm is.
    """

    ref: Contender
    cand: Contender
    entries: int = 1
    attempt: int = 1
    repeat: str = ""
    commits: tuple[str, str] = ("", "")

    @property
    def meant(self) -> Meant:
        """What the arms are meant to change of their environment."""
        return self.ref.means(self.cand)

    @property
    def note(self) -> str:
        """What a reader must know of the arms."""
        return "both arms are the same: what differs is noise" if self.ref.same_as(self.cand) else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one test is to run, all layers merged. Times in seconds; ``budget`` for all its rounds together.

    ``contest``: the arms that it runs interleaved, if so. ``mode``: what verdicts do. ``length``: who says how long
    their rounds are. ``each``: the drivers of a side's hosts in their order, where they differ. ``command``: the one
    that repeats it, with what its numbers depend on.
    """

    nodeid: str
    spec: Spec
    server_driver: Driver
    client_driver: Driver
    rounds: int
    warmup: int
    timeout: float | None
    budget: float | None
    contest: Contest | None = None
    mode: Mode = Mode.WARN
    length: Choice = Choice.AUTO
    each: Mapping[Role, Sequence[Driver]] = field(default_factory=dict)
    command: str = ""

    @property
    def drivers(self) -> Mapping[Role, Sequence[Driver]]:
        """The rows of both sides whose numbers are the test's: of arms, the candidate's."""
        if self.contest is not None:
            return self.contest.cand.drivers
        return {Role.SERVER: (self.server_driver,), Role.CLIENT: (self.client_driver,), **self.each}

    def need(self) -> Need:
        """The hosts that the test needs, and what must be on them."""
        sides = [self.each] if self.contest is None else [self.contest.ref.drivers, self.contest.cand.drivers]
        several = (one.name for side in sides for rows in side.values() for one in rows)
        drivers = frozenset((self.server_driver.name, self.client_driver.name, *several))
        return replace(
            self.spec.need(),
            drivers=drivers,
            volume=self.rounds * volume(self.spec.scenario),
            seconds=self._seconds(),
        )

    def _seconds(self) -> float:
        """What all rounds take at least, as far as the scenario tells."""
        if self.spec.scenario is None:
            return 0.0
        arms = 1 if self.contest is None else 2
        return arms * (self.warmup + self.rounds) * analyse(self.spec.scenario).shortest_s

    @property
    def label(self) -> str:
        """The driver as shown: one name, or ``SERVER/CLIENT``; the names of several on a side are joined by ``+``."""
        names = tuple(
            EACH.join(one.name for one in self.each.get(role, (driver,)))
            for role, driver in ((Role.SERVER, self.server_driver), (Role.CLIENT, self.client_driver))
        )
        return names[0] if names[0] == names[1] else "/".join(names)

    @property
    def gates_cpu(self) -> frozenset[str]:
        """The gated metrics of what a byte or an operation costs, which the start of a process must not be part of."""
        return frozenset(name for name in self.spec.gate if ".cpu_per_" in name)

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
