"""What must not get worse, and by how much? The limits that a test declares for a metric, before anything is run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pytest_netbench.errors import UsageError
from pytest_netbench.result.catalogue import describe, distribution
from pytest_netbench.result.model import Better


@dataclass(frozen=True, slots=True)
class Gate:
    """Limits for one metric, as shares of the reference's value.

    ``fail_above``: a regression confirmed to be larger than this fails (default 1 %, for p99 and beyond 5 %).
    ``must_detect``: a regression of this size has to be seen, or the verdict is inconclusive (5 %, 20 %).

    :raises UsageError: unless 0 <= fail_above < must_detect.
    """

    fail_above: float | None = None
    must_detect: float | None = None

    def __post_init__(self) -> None:
        low = self.fail_above if self.fail_above is not None else 0.0
        if not 0 <= low < 1 or (self.must_detect is not None and not low < self.must_detect < 1):
            raise UsageError(
                f"Gate(fail_above={self.fail_above}, must_detect={self.must_detect}): "
                "shares of 1 are expected, with 0 <= fail_above < must_detect < 1"
            )


ALPHA = 0.01
"""How likely a suite of unchanged code may fail at most."""

TRIM = 0.2
"""The share of pairs that is left out at each end."""

CENTRE, TAIL = (0.01, 0.05), (0.05, 0.20)
"""``fail_above`` and ``must_detect`` where a test leaves them open: of any metric, and of the far end of a latency."""

_FAR = frozenset({"p99", "p999", "max"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Everything that the decision on one metric rests on.

    ``sigma``: how much the log ratio of equal arms differs from session to session beyond its standard error, as
    ``netbench calibrate`` measured it. ``rebuild``: by what share two builds of the same commit differ.
    """

    better: Better
    fail_above: float
    must_detect: float
    alpha: float = ALPHA
    trim: float = TRIM
    sigma: float = 0.0
    rebuild: float = 0.0

    @property
    def tau(self) -> float:
        """The logarithm of the regression from which on a test fails; never within what a rebuild does."""
        return math.log1p(max(self.fail_above, self.rebuild))

    @property
    def delta(self) -> float:
        """The logarithm of the regression that has to be seen."""
        return math.log1p(self.must_detect)

    @property
    def blind(self) -> bool:
        """Whether a rebuild alone does what should be detected, so that nothing can be decided."""
        return self.tau >= self.delta


def limits(name: str, gate: Gate, *, sigma: float = 0.0, rebuild: float = 0.0) -> Limits:
    """The limits of a metric, with the defaults of its kind where the gate leaves them open.

    :raises UsageError: if ``must_detect`` isn't above ``fail_above`` once the defaults are in.
    :raises UnknownMetric: if there is no metric of that name.
    """
    split = distribution(name)
    low, high = TAIL if split is not None and split[1] in _FAR else CENTRE
    low = gate.fail_above if gate.fail_above is not None else low
    high = gate.must_detect if gate.must_detect is not None else high
    if not low < high:
        given = "fail_above" if gate.fail_above is not None else "must_detect"
        raise UsageError(
            f"{name}: fail_above {low:g} isn't below must_detect {high:g}: "
            f"only {given} is given, the other is the default of this metric; give both"
        )
    return Limits(describe(name).better, low, high, sigma=sigma, rebuild=rebuild)


def all_limits(
    gates: Mapping[str, Gate], known: Callable[[str], Mapping[str, float]] = lambda _: {}
) -> Mapping[str, Limits]:
    """The limits of each declared metric; ``known`` of a metric: its ``sigma`` and ``rebuild``, where calibrated."""
    return MappingProxyType({name: limits(name, gate, **known(name)) for name, gate in gates.items()})
