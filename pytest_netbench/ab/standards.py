"""To what is a test held beside its other arm? Stored baselines, a calibration, regressions that are accepted."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field

from pytest_netbench.gate.accept import Acceptance, accepted
from pytest_netbench.gate.baseline import Reference, facts_of
from pytest_netbench.gate.calibration import Calibration
from pytest_netbench.gate.limits import Gate, Limits, all_limits
from pytest_netbench.result.environment import environment
from pytest_netbench.result.model import MetricVerdict, TestRecord


@dataclass(frozen=True, slots=True)
class Standards:
    """References, acceptances and calibration of a session; ``machine``: the facts of this one, asked when needed."""

    references: tuple[Reference, ...] = ()
    acceptances: tuple[Acceptance, ...] = ()
    calibration: Calibration = field(default_factory=Calibration)
    machine: Callable[[], Mapping[str, object]] = environment

    def limits(self, nodeid: str, gates: Mapping[str, Gate], *, rebuilt: bool = False) -> Mapping[str, Limits]:
        """A test's limits, widened by what sessions, and where ``rebuilt`` builds, were measured to differ by here."""
        if nodeid not in self.calibration.tests:
            return all_limits(gates)
        here = str(self.machine().get("hash", ""))

        def known(metric: str) -> Mapping[str, float]:
            found = self.calibration.recorded(nodeid, metric, here)
            if found is None:
                return {}
            return {"sigma": found.sigma, "rebuild": found.rebuild if rebuilt else 0.0}

        return all_limits(gates, known)

    def against_baselines(
        self, test: TestRecord, bounds: Mapping[str, Limits], *, taken: Container[str], built: bool = False
    ) -> dict[str, MetricVerdict]:
        """The verdicts against each baseline; a name that is taken by another reference says against which it is.

        ``built``: whether the test's driver can be built from the commit of a baseline.
        """
        made: dict[str, MetricVerdict] = {}
        facts = facts_of(test, self.machine())
        for one in self.references:
            for name, found in one.verdicts(test, facts, bounds, built=built).items():
                key = name if name not in taken and name not in made else f"{name} (against {one.name})"
                made[key] = found
        return made

    def with_acceptances(self, nodeid: str, verdicts: Mapping[str, MetricVerdict]) -> dict[str, MetricVerdict]:
        """The verdicts, with failures that are accepted let pass."""
        return accepted(nodeid, verdicts, self.acceptances)
