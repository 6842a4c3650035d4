"""What came out? Frozen rounds, summaries and tests, as they stand in results.json. All numbers in SI base units."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Better(Enum):
    """In which direction a metric improves."""

    HIGHER = "higher"
    LOWER = "lower"


class Verdict(Enum):
    """What the gate says of a test; ``NONE`` without a reference to compare with."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"
    NEW = "new"
    IMPROVED = "improved"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Round:
    """One round: its numbers, and why it doesn't count (``validity`` is empty for a valid one).

    ``samples``: trace name with blanks as ``_`` to seconds, merged over the clients; not written to results.json.
    ``curves``: short ones in their place, percentile (0 to below 1) and seconds, for the charts; not written either.
    ``whole_process``: names of metrics that cover the whole process, start included; never gated.
    ``slopes``: names of metrics that were had from this round and a smaller one.
    ``untold``: what its drivers don't tell, so that it wasn't checked, in sentences.
    ``logs``: the round's folder under the result folder.
    """

    index: int
    arm: str | None
    started: str
    duration_s: float
    metrics: Mapping[str, float]
    start_skew_s: float
    armed: bool
    control_bytes_in_run: int
    validity: tuple[str, ...]
    samples: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    whole_process: frozenset[str] = frozenset()
    logs: str = ""
    curves: Mapping[str, tuple[tuple[float, float], ...]] = field(
        default_factory=lambda: MappingProxyType({}), compare=False
    )
    untold: tuple[str, ...] = ()
    slopes: frozenset[str] = frozenset()

    @property
    def valid(self) -> bool:
        """Whether it counts."""
        return not self.validity


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Summary:
    """One metric over the valid rounds: the median, and the interval of that median (None below 3 rounds)."""

    unit: str
    better: Better
    n: int
    median: float
    ci: Interval | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class TestRecord:
    """One test as results.json has it; ``outcome`` is pytest's word, filled in after the test ended.

    ``summary`` is the candidate's where there are arms, ``summary_ref`` the reference's. ``note``: what a reader must
    know of the hosts. ``reason``: why the verdict is what it is.
    """

    __test__ = False  # not a test class, whatever its name says to pytest

    nodeid: str
    scenario_id: str
    scenario_name: str
    driver: str
    provider: str
    hosts: tuple[Mapping[str, object], ...]
    outcome: str
    rounds: tuple[Round, ...]
    summary: Mapping[str, Summary]
    verdict: Verdict = Verdict.NONE
    note: str = ""
    reason: str = ""
    summary_ref: Mapping[str, Summary] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session as results.json has it."""

    id: str
    started: str
    provider: str
    versions: Mapping[str, str]
    environment: Mapping[str, object]
    tests: tuple[TestRecord, ...] = ()
