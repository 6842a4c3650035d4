"""What came out? Frozen rounds, summaries and tests, as they stand in results.json. All numbers in SI base units."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Sending:
    """What senders did in the time that goodput covers, as shares of it.

    ``asked``: what rates and pauses of the scenario take by themselves. ``idle``: for how long at least no sender had
    anything under way, nor computed; None where one can't tell.
    """

    asked: float
    idle: float | None = None


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
    ``logs``: the round's folder under the result folder. ``exogenous``: those of ``validity`` that neither arm can have
    caused. ``foreign``: the share of the machines' CPU that other programs took, None where it isn't known.
    ``environment``: how each host was set, by its name and that of the setting. ``sending``: whether its senders were
    limited by their application, None where its goodput isn't known.
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
    exogenous: tuple[str, ...] = ()
    foreign: float | None = None
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    sending: Sending | None = None

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
class MetricVerdict:
    """What the gate says of one metric against one reference.

    ``effect`` and ``interval`` (95 %): how much more it costs than the reference, as shares: 0.05 is 5 % worse, in
    whichever direction the metric improves. ``n``: pairs on which they rest (rounds, against a stored baseline).
    ``check``: the estimate of Hodges and Lehmann. ``detectable``: the smallest regression that so many pairs find;
    ``required``: how many find one of ``must_detect``, None if that isn't known. ``looks``: after how many pairs it was
    looked; ``fresh``: pairs of the confirmation, 0 without one. ``evidence``: how much all pairs together speak for a
    regression above ``fail_above``, as an e-value, whose values of several sessions may be multiplied. ``reason``: a
    sentence. ``accepted``: why a regression is let pass.
    """

    state: Verdict
    against: str
    gated: bool
    fail_above: float
    must_detect: float
    effect: float | None = None
    interval: Interval | None = None
    n: int = 0
    p: float | None = None
    check: float | None = None
    detectable: float | None = None
    required: int | None = None
    looks: tuple[int, ...] = ()
    fresh: int = 0
    evidence: float | None = None
    reason: str = ""
    accepted: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the CPU time of one host's driver went, in a round that wasn't measured.

    ``by``: what took the ``samples``. ``folder``: that host's of that round, under the result folder; its files
    ``profile*.folded`` have the stacks.
    """

    arm: str
    role: str
    by: str
    samples: int
    folder: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was gathered of both arms after a regression was confirmed.

    ``qlogs``: files under the result folder. ``notes``: what couldn't be had, and why, in sentences.
    """

    profiles: tuple[Profile, ...] = ()
    qlogs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two arms were compared.

    ``entries``: gated metrics of all tests of the session, over which the error rate is shared out. ``pairs`` were run,
    ``screened`` of them first, the rest to confirm; ``excluded`` of them don't count for what neither arm caused.
    ``attempt``: 1, or how often the test was run again. ``repeat``: the command that does it again. ``scale``: how many
    times as long as the scenario says the rounds were, ``length`` why, in a sentence. ``evidence``: of a regression.
    ``ref_commit``, ``cand_commit``: from which each arm was built, with ``+`` where files of it were changed; empty if
    it wasn't.
    """

    ref: str
    cand: str
    seed: int
    pairs: int = 0
    screened: int = 0
    excluded: int = 0
    entries: int = 0
    attempt: int = 1
    repeat: str = ""
    note: str = ""
    scale: float = 1.0
    length: str = ""
    evidence: Evidence = Evidence()
    ref_commit: str = ""
    cand_commit: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """What the hosts of one test cost: seconds of all hosts together, dollars, and the day of the prices."""

    host_seconds: float
    dollars: float
    prices_of: str

    def __str__(self) -> str:
        return f"${self.dollars:.4f} for {self.host_seconds:.0f} host-seconds (list prices of {self.prices_of})"


@dataclass(frozen=True, slots=True)
class TestRecord:
    """One test as results.json has it; ``outcome`` is pytest's word, filled in after the test ended.

    ``summary`` is the candidate's where there are arms, ``summary_ref`` the reference's. ``note``: what a reader must
    know of the hosts. ``reason``: why the verdict is what it is; ``verdicts`` has each metric's. ``gates``: the limits
    that the test declares, as pairs of ``fail_above`` and ``must_detect``. ``cost``: None where hosts cost nothing.
    ``programs``: the SHA-256 of what was run (by the candidate, where there are arms), by side, driver and program.
    ``command``: the one that repeats it, with what its numbers depend on.
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
    verdicts: Mapping[str, MetricVerdict] = field(default_factory=lambda: MappingProxyType({}))
    comparison: Comparison | None = None
    gates: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))
    cost: Cost | None = None
    programs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    command: str = ""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session as results.json has it. ``notes``: what a reader must know of all of it."""

    id: str
    started: str
    provider: str
    versions: Mapping[str, str]
    environment: Mapping[str, object]
    tests: tuple[TestRecord, ...] = ()
    notes: tuple[str, ...] = ()
