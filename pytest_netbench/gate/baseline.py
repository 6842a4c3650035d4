"""Is it worse than stored numbers? A tripwire against a baseline, which says so, and never decides across environments.

Numbers of another session can't carry a tight gate: machines differ by some per cent from session to session. So a
baseline trips at 15 % or what sessions were measured to differ, whichever is wider; two arms in one session decide.
What a baseline is for is to run the reference again: it has the commit, the programs' SHA-256, and the command.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from pytest_netbench.gate.decision import LOOKS
from pytest_netbench.gate.estimate import estimate, log_ratio, share
from pytest_netbench.gate.limits import Gate, Limits, limits
from pytest_netbench.gate.words import STORED, percent
from pytest_netbench.result.environment import environment_hash
from pytest_netbench.result.model import Interval, MetricVerdict, SessionRecord, Summary, TestRecord, Verdict

TRIPWIRE = 0.15
"""From which share on stored numbers trip, if sessions weren't measured to differ by more."""

TRIPWIRE_ONLY = "stored numbers are a tripwire only"
STRONGER = f"{TRIPWIRE_ONLY}: `netbench ab REF CAND` runs both in one session and decides"

_PASSING = frozenset(
    {"hash", "name", "address", "instance", "zone", "memory", "phc_error_bound_ns"}
    | {f"clock_{what}" for what in ("source", "stratum", "offset_s", "rms_s", "error_bound_s", "state")}
)
"""Facts that are others each time on the same kind of machine: a virtual one's memory differs by some pages."""

_SHORT = 12  # digits of a commit that people see


@dataclass(frozen=True, slots=True)
class Origin:
    """What numbers are of, and how they are had again.

    ``commit`` of the project, empty without git; ``clean``: whether no file of it was changed. ``programs``: the
    SHA-256 of each, by side, driver and program. ``command``: the line that repeats the test, relative to where
    pytest's configuration stands. ``by``: who stored them.
    """

    commit: str = ""
    clean: bool = True
    programs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    command: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was known of a metric here when it was stored.

    Live ``runs`` of equal arms, and those that failed; ``sigma``: by how much sessions differ, as a standard deviation
    of logarithms; ``power``: how often a regression of 5 % is caught, None if that isn't known.
    """

    runs: int
    alarms: int
    sigma: float
    power: float | None


@dataclass(frozen=True, slots=True)
class Gated:
    """What is stored of a gated metric beside its numbers: the limits, and how noisy it was.

    ``noise``: the winsorised standard deviation of the rounds' logarithms. ``required``: about how many pairs would
    find a regression of ``must_detect``, None where the rounds are too few to tell.
    """

    fail_above: float
    must_detect: float
    noise: float | None = None
    required: int | None = None
    calibrated: Calibrated | None = None


Known = Callable[[str, str], Calibrated | None]
"""What was calibrated of a test's metric."""


def _uncalibrated(_nodeid: str, _metric: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Entry:
    """One test of a baseline. ``environment``: the hash of where it was measured."""

    environment: str
    origin: Origin
    reason: str
    run: str
    metrics: Mapping[str, Summary]
    gates: Mapping[str, Gated] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Baseline:
    """Stored numbers: tests by their id, environments by their hash.

    ``spread``: by which share sessions differ, as ``netbench calibrate`` measured it here.
    """

    tests: Mapping[str, Entry] = field(default_factory=lambda: MappingProxyType({}))
    environments: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: MappingProxyType({}))
    spread: float = 0.0

    def with_session(
        self, session: SessionRecord, project: Origin, reason: str, known: Known = _uncalibrated
    ) -> Baseline:
        """The same with the numbers of all tests of a session that have some; others stay as they are.

        ``project``: its commit and who stores, for tests that say nothing of their own.
        """
        tests, environments = dict(self.tests), dict(self.environments)
        for test in session.tests:
            if test.summary:
                facts = facts_of(test, session.environment)
                mark = environment_hash(facts)
                environments[mark] = facts
                gates = {name: gated(test, name, bounds, known) for name, bounds in test.gates.items()}
                origin = origin_of(test, project)
                tests[test.nodeid] = Entry(mark, origin, reason, session.id, test.summary, gates)
        used = {one.environment for one in tests.values()}
        return replace(self, tests=tests, environments={key: one for key, one in environments.items() if key in used})


def origin_of(test: TestRecord, project: Origin) -> Origin:
    """What a test's numbers are of: of arms, they are the candidate's."""
    made = replace(project, programs=test.programs, command=test.command)
    if test.comparison is None or not test.comparison.cand_commit:
        return made
    commit = test.comparison.cand_commit
    return replace(made, commit=commit.rstrip("+"), clean=not commit.endswith("+"))


def gated(test: TestRecord, name: str, bounds: tuple[float, float], known: Known = _uncalibrated) -> Gated:
    """What is to be stored of a gated metric: with pairs, what they need is known; else it follows from the noise."""
    logs = [
        math.log(one.metrics[name])
        for one in test.rounds
        if one.valid and one.arm != "ref" and one.metrics.get(name, 0.0) > 0
    ]
    found = estimate(logs) if len(logs) > 1 else None
    verdict = test.verdicts.get(name)
    required = verdict.required if verdict is not None and test.comparison is not None else None
    if required is None and found is not None and found.n >= LOOKS[0]:
        chosen = limits(name, Gate(*bounds))
        both = replace(found, error=math.sqrt(2) * found.error)  # a pair has the noise of two rounds
        required = both.required(chosen.tau, chosen.delta, chosen.alpha)
    return Gated(*bounds, None if found is None else found.deviation, required, known(test.nodeid, name))


def facts_of(test: TestRecord, machine: Mapping[str, object]) -> dict[str, object]:
    """Where a test was measured: its provider, what is known of its hosts, and of this machine where they are on it."""
    here = all(host.get("kernel") in {machine.get("kernel"), None} for host in test.hosts)
    known = machine if here else {}
    return _lasting({**known, "provider": test.provider, "driver": test.driver, "hosts": list(test.hosts)})


# --- the tripwire ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Said:
    """What is said beside a tripwire's limit, the same for all metrics of a test."""

    other: str
    same: str
    stronger: str


def same_programs(origin: Origin, now: Mapping[str, str]) -> str:
    """Which programs are the stored ones, byte for byte; empty if none is, or nothing is known."""
    shared = [name for name, fingerprint in now.items() if origin.programs.get(name) == fingerprint]
    if shared and len(shared) == len(now) == len(origin.programs):
        return ", by the same program as then (equal SHA-256), so that something around it differs"
    return f", with the same program as then for {', '.join(shared)}" if shared else ""


def stronger(origin: Origin, command: str) -> str:
    """The command that runs the stored commit against what is here, in one session."""
    if not origin.commit or not command:
        return STRONGER
    changed = "" if origin.clean else " (its tree had changes beside, which it lacks)"
    way = f"`{command} --netbench-ab={origin.commit[:_SHORT]},as-is`"
    return f"{TRIPWIRE_ONLY}: {way} runs that commit{changed} and this tree in one session and decides"


@dataclass(frozen=True, slots=True)
class Reference:
    """A baseline that a session is held against; ``tolerance``: given by the user, None for the usual one."""

    name: str
    baseline: Baseline
    tolerance: float | None = None

    @property
    def trips_at(self) -> float:
        """The share of more cost from which on it trips."""
        return self.tolerance if self.tolerance is not None else max(TRIPWIRE, self.baseline.spread)

    def verdicts(
        self, test: TestRecord, facts: Mapping[str, object], gates: Mapping[str, Limits], *, built: bool = False
    ) -> dict[str, MetricVerdict]:
        """The verdict of each gated metric of a test; ``built``: whether its driver can be built from a commit."""
        entry = self.baseline.tests.get(test.nodeid)
        made = {name: self._empty(bounds) for name, bounds in gates.items()}
        if entry is None:
            reason = f"baseline {self.name} doesn't have this test: --netbench-save {self.name} adds it"
            return {name: replace(one, state=Verdict.NEW, reason=reason) for name, one in made.items()}
        said = _Said(
            other=self._other_environment(entry, facts),
            same=same_programs(entry.origin, test.programs),
            stronger=stronger(entry.origin, test.command) if built else STRONGER,
        )
        return {name: self._verdict(name, one, entry, test.summary, said) for name, one in made.items()}

    def _empty(self, bounds: Limits) -> MetricVerdict:
        wide = max(self.trips_at, bounds.fail_above)
        return MetricVerdict(Verdict.NONE, f"{STORED}{self.name}", True, wide, wide)  # noqa: FBT003 - it is gated

    def _verdict(
        self, name: str, made: MetricVerdict, entry: Entry, now: Mapping[str, Summary], said: _Said
    ) -> MetricVerdict:
        stored, found = entry.metrics.get(name), now.get(name)
        if stored is None:
            return replace(made, state=Verdict.NEW, reason=f"baseline {self.name} has no {name} of this test")
        if found is None:
            return replace(
                made, state=Verdict.INVALID, reason=f"these rounds gave no {name}, baseline {self.name} has it"
            )
        try:
            effect = log_ratio(stored.median, found.median, found.better)
            ends = _ends(stored, found)
        except ValueError as error:
            return replace(made, state=Verdict.INVALID, reason=str(error))
        made = replace(made, effect=share(effect), interval=ends, n=found.n)
        if said.other:
            reason = f"shown only, since the environment differs: {said.other}; {said.stronger}"
            return replace(made, state=Verdict.NONE, reason=reason)
        return self._tripped(made, effect, said)

    def _tripped(self, made: MetricVerdict, effect: float, said: _Said) -> MetricVerdict:
        """Whether the near end of the interval lies beyond the tripwire."""
        ends, tripped, limit = made.interval, math.log1p(made.fail_above), percent(made.fail_above)
        low, high = (effect, effect) if ends is None else (math.log1p(ends.low), math.log1p(ends.high))
        if effect <= tripped:
            state = Verdict.IMPROVED if high < -tripped else Verdict.PASS
            return replace(made, state=state, reason=f"within {limit} of {made.against}; {TRIPWIRE_ONLY}")
        if low > tripped and ends is not None:
            return replace(made, state=Verdict.FAIL, reason=f"above {limit}{said.same}; {said.stronger}")
        few = "too few rounds for an interval" if ends is None else "the interval reaches below"
        reason = f"above {limit}, but {few}{said.same}: more rounds (--netbench-rounds); {said.stronger}"
        return replace(made, state=Verdict.INCONCLUSIVE, reason=reason)

    def _other_environment(self, entry: Entry, facts: Mapping[str, object]) -> str:
        """In what the environment of a stored test differs from this one; empty if it doesn't."""
        then = self.baseline.environments.get(entry.environment, {})
        if environment_hash(_lasting(then)) == environment_hash(facts):
            return ""
        differ = sorted(key for key in {*then, *facts} if str(then.get(key)) != str(facts.get(key)))
        shown = [f"{key} was {then.get(key, 'unknown')}, is {facts.get(key, 'unknown')}" for key in differ[:3]]
        return "; ".join(shown) + (f"; and {len(differ) - 3} more" if len(differ) > 3 else "")  # noqa: PLR2004 - as shown


def _ends(stored: Summary, found: Summary) -> Interval | None:
    if found.ci is None or found.ci.low <= 0:
        return None
    low, high = sorted(log_ratio(stored.median, end, found.better) for end in (found.ci.low, found.ci.high))
    return Interval(share(low), share(high))


def _lasting(facts: Mapping[str, object]) -> dict[str, object]:
    """Facts without those that pass; earlier versions stored these, too."""
    kept = {name: fact for name, fact in facts.items() if name not in _PASSING}
    hosts = kept.get("hosts")
    if isinstance(hosts, list):
        kept["hosts"] = [_lasting(one) for one in hosts if isinstance(one, Mapping)]
    return kept
