"""On what do two arms run? What they need of the bench of their test; the fixture ``netbench`` is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pytest_netbench.ab.standards import Standards
    from pytest_netbench.gate.contenders import Contender
    from pytest_netbench.hosts.model import Fleet
    from pytest_netbench.hosts.provider import Provider
    from pytest_netbench.result.model import Round
    from pytest_netbench.run import Stage, Trial
    from pytest_netbench.settings.plan import Plan


class Bench(Protocol):
    """Where the rounds of one test are run.

    ``rounds``: all so far. ``out``: the result folder. ``standards``: to what the test is held.
    """

    plan: Plan
    provider: Provider
    fleet: Fleet
    rounds: list[Round]
    out: Path
    standards: Standards

    def turn(self) -> AbstractAsyncContextManager[None]:
        """This machine, for one round."""

    def stage(self, trial: Trial, index: int, arm: Contender, fleet: Fleet) -> Stage:
        """The place of one round."""

    async def round_of(self, trial: Trial, index: int, arm: Contender) -> Round:
        """One round of an arm, on hosts with its link; a negative index is warm-up.

        :raises NetbenchError: if it can't be carried out.
        """

    async def renew(self) -> None:
        """Put fresh workers in the place of those that the hosts have."""
