"""Is it worse than stored numbers? A tripwire against a baseline, which says so, and never decides across environments.

Numbers of another session can't carry a tight gate: machines differ by some per cent from session to session. So a
baseline trips at 15 % or what sessions were measured to differ, whichever is wider; two arms in one session decide.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from pytest_netbench.errors import ResultsError
from pytest_netbench.gate.estimate import log_ratio, share
from pytest_netbench.gate.limits import Limits
from pytest_netbench.gate.words import STORED, percent
from pytest_netbench.result import reading
from pytest_netbench.result.environment import environment_hash
from pytest_netbench.result.model import Better, Interval, MetricVerdict, SessionRecord, Summary, TestRecord, Verdict
from pytest_netbench.result.reading import Element

SCHEMA = 1
TRIPWIRE = 0.15
"""From which share on stored numbers trip, if sessions weren't measured to differ by more."""

STRONGER = "stored numbers are a tripwire only: `netbench ab REF CAND` runs both in one session and decides"


@dataclass(frozen=True, slots=True)
class Entry:
    """One test of a baseline. ``environment``: the hash of where it was measured. ``commit``: of the code, if known."""

    environment: str
    commit: str
    reason: str
    run: str
    metrics: Mapping[str, Summary]
    gates: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Baseline:
    """Stored numbers: tests by their id, environments by their hash.

    ``spread``: by which share sessions differ, as ``netbench calibrate`` measured it here.
    """

    tests: Mapping[str, Entry] = field(default_factory=lambda: MappingProxyType({}))
    environments: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: MappingProxyType({}))
    spread: float = 0.0

    def with_session(self, session: SessionRecord, commit: str, reason: str) -> Baseline:
        """The same with the numbers of all tests of a session that have some; others stay as they are."""
        tests, environments = dict(self.tests), dict(self.environments)
        for test in session.tests:
            if test.summary:
                facts = facts_of(test, session.environment)
                mark = environment_hash(facts)
                environments[mark] = facts
                tests[test.nodeid] = Entry(mark, commit, reason, session.id, test.summary, test.gates)
        used = {one.environment for one in tests.values()}
        return replace(self, tests=tests, environments={key: one for key, one in environments.items() if key in used})


def facts_of(test: TestRecord, machine: Mapping[str, object]) -> dict[str, object]:
    """Where a test was measured: its provider, what is known of its hosts, and of this machine where they are on it."""
    hosts = [{key: value for key, value in host.items() if key not in {"name", "address"}} for host in test.hosts]
    here = all(host.get("kernel") in {machine.get("kernel"), None} for host in hosts)
    known = {name: fact for name, fact in machine.items() if name != "hash"} if here else {}
    return {**known, "provider": test.provider, "driver": test.driver, "hosts": hosts}


# --- as text -----------------------------------------------------------------------------------


def to_text(one: Baseline) -> str:
    """The baseline as it is reviewed and merged: sorted, a value a line.

    :raises ResultsError: for a number that isn't finite.
    """
    whole = {
        "schema": SCHEMA,
        "environments": {key: dict(facts) for key, facts in one.environments.items()},
        "spread": one.spread,
        "tests": {nodeid: _entry(entry) for nodeid, entry in one.tests.items()},
    }
    try:
        return json.dumps(whole, indent=2, sort_keys=True, allow_nan=False, default=str) + "\n"
    except ValueError as error:
        raise ResultsError(f"a baseline needs finite numbers: {error}") from error


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "commit": entry.commit,
        "environment": entry.environment,
        "reason": entry.reason,
        "run": entry.run,
        "metrics": {
            name: {
                "unit": one.unit,
                "better": one.better.value,
                "n": one.n,
                "median": one.median,
                "ci": None if one.ci is None else [one.ci.low, one.ci.high],
                **_gate(entry.gates.get(name)),
            }
            for name, one in entry.metrics.items()
        },
    }


def _gate(bounds: tuple[float, float] | None) -> dict[str, float]:
    return {} if bounds is None else {"fail_above": bounds[0], "must_detect": bounds[1]}


def from_text(text: str | bytes, name: str) -> Baseline:
    """A baseline from its text; ``name`` is what errors call it.

    :raises ResultsError: if it is cut, of another schema, has NaN or no rounds; names the element.
    """
    return reading.parse(text, name, SCHEMA, _read)


def _read(whole: Element) -> Baseline:
    return Baseline(
        tests=whole.get("tests", lambda one: one.members(_read_entry)),
        environments=whole.get("environments", lambda one: one.members(reading.plain_object)),
        spread=whole.get("spread", reading.number, 0.0),
    )


def _read_entry(one: Element) -> Entry:
    return Entry(
        environment=one.get("environment", reading.text),
        commit=one.get("commit", reading.text),
        reason=one.get("reason", reading.text),
        run=one.get("run", reading.text),
        metrics=one.get("metrics", lambda each: each.members(_read_summary)),
        gates=one.get("metrics", _read_gates),
    )


def _read_summary(one: Element) -> Summary:
    n = one.get("n", reading.whole_number)
    if n < 1:
        raise reading.Wrong(f"{one.path}.n", "at least 1 round", n)
    return Summary(
        unit=one.get("unit", reading.text),
        better=one.get("better", lambda each: reading.enum(Better, each)),
        n=n,
        median=one.get("median", reading.number),
        ci=one.get("ci", reading.interval),
    )


def _read_gates(metrics: Element) -> dict[str, tuple[float, float]]:
    gated = metrics.members(
        lambda one: (
            (one.get("fail_above", reading.number), one.get("must_detect", reading.number))
            if "fail_above" in one
            else None
        )
    )
    return {name: bounds for name, bounds in gated.items() if bounds is not None}


# --- the tripwire ------------------------------------------------------------------------------


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
        self, nodeid: str, facts: Mapping[str, object], now: Mapping[str, Summary], gates: Mapping[str, Limits]
    ) -> dict[str, MetricVerdict]:
        """The verdict of each gated metric of a test that came to ``now``."""
        entry = self.baseline.tests.get(nodeid)
        made = {name: self._empty(bounds) for name, bounds in gates.items()}
        if entry is None:
            reason = f"baseline {self.name} doesn't have this test: --netbench-save {self.name} adds it"
            return {name: replace(one, state=Verdict.NEW, reason=reason) for name, one in made.items()}
        other = self._other_environment(entry, facts)
        return {name: self._verdict(name, one, entry, now, other) for name, one in made.items()}

    def _empty(self, bounds: Limits) -> MetricVerdict:
        wide = max(self.trips_at, bounds.fail_above)
        return MetricVerdict(Verdict.NONE, f"{STORED}{self.name}", True, wide, wide)  # noqa: FBT003 - it is gated

    def _verdict(
        self, name: str, made: MetricVerdict, entry: Entry, now: Mapping[str, Summary], other: str
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
        if other:
            return replace(made, state=Verdict.NONE, reason=f"shown only, since the environment differs: {other}")
        return self._tripped(made, effect)

    def _tripped(self, made: MetricVerdict, effect: float) -> MetricVerdict:
        """Whether the near end of the interval lies beyond the tripwire."""
        ends, tripped, limit = made.interval, math.log1p(made.fail_above), percent(made.fail_above)
        low, high = (effect, effect) if ends is None else (math.log1p(ends.low), math.log1p(ends.high))
        if effect <= tripped:
            state = Verdict.IMPROVED if high < -tripped else Verdict.PASS
            return replace(made, state=state, reason=f"within {limit} of {made.against}; {STRONGER}")
        if low > tripped and ends is not None:
            return replace(made, state=Verdict.FAIL, reason=f"above {limit}; {STRONGER}")
        few = "too few rounds for an interval" if ends is None else "the interval reaches below"
        reason = f"above {limit}, but {few}: more rounds (--netbench-rounds); {STRONGER}"
        return replace(made, state=Verdict.INCONCLUSIVE, reason=reason)

    def _other_environment(self, entry: Entry, facts: Mapping[str, object]) -> str:
        """In what the environment of a stored test differs from this one; empty if it doesn't."""
        if entry.environment == environment_hash(facts):
            return ""
        then = self.baseline.environments.get(entry.environment, {})
        differ = sorted(key for key in {*then, *facts} if str(then.get(key)) != str(facts.get(key)))
        shown = [f"{key} was {then.get(key, 'unknown')}, is {facts.get(key, 'unknown')}" for key in differ[:3]]
        return "; ".join(shown) + (f"; and {len(differ) - 3} more" if len(differ) > 3 else "")  # noqa: PLR2004 - as shown


def _ends(stored: Summary, found: Summary) -> Interval | None:
    if found.ci is None or found.ci.low <= 0:
        return None
    low, high = sorted(log_ratio(stored.median, end, found.better) for end in (found.ci.low, found.ci.high))
    return Interval(share(low), share(high))
