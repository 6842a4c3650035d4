"""To what is a test held beside its other arm? Stored baselines, and regressions that are accepted."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from pytest_netbench.gate.accept import Acceptance, accepted
from pytest_netbench.gate.baseline import Reference, facts_of
from pytest_netbench.gate.limits import Limits
from pytest_netbench.result.environment import environment
from pytest_netbench.result.model import MetricVerdict, TestRecord


@dataclass(frozen=True, slots=True)
class Standards:
    """The references and acceptances of a session; ``machine``: the facts of this one, asked when they are needed."""

    references: tuple[Reference, ...] = ()
    acceptances: tuple[Acceptance, ...] = ()
    machine: Callable[[], Mapping[str, object]] = environment

    def against_baselines(
        self, test: TestRecord, bounds: Mapping[str, Limits], *, taken: Container[str]
    ) -> dict[str, MetricVerdict]:
        """The verdicts against each baseline; a name that is taken by another reference says against which it is."""
        made: dict[str, MetricVerdict] = {}
        facts = facts_of(test, self.machine())
        for one in self.references:
            for name, found in one.verdicts(test.nodeid, facts, test.summary, bounds).items():
                key = name if name not in taken and name not in made else f"{name} (against {one.name})"
                made[key] = found
        return made

    def with_acceptances(self, nodeid: str, verdicts: Mapping[str, MetricVerdict]) -> dict[str, MetricVerdict]:
        """The verdicts, with failures that are accepted let pass."""
        return accepted(nodeid, verdicts, self.acceptances)
