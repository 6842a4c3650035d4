"""What is the verdict? Of each metric, gated or not, and of the test; with the numbers on which it rests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_netbench.gate.arms import CAND, REF
from pytest_netbench.gate.course import Course, Track
from pytest_netbench.gate.decision import LOOKS, Confirmation, Screen, detectable, discoveries, improved, required, seen
from pytest_netbench.gate.estimate import LEAST, Estimate, hodges_lehmann, share
from pytest_netbench.gate.limits import Gate, Limits, limits
from pytest_netbench.gate.pairs import NoRatio, Pair, ratios, shared
from pytest_netbench.gate.words import outlook, percent
from pytest_netbench.result.catalogue import describe
from pytest_netbench.result.model import Interval, MetricVerdict, Verdict
from pytest_netbench.result.summary import too_few

GRAVITY = (
    Verdict.FAIL,
    Verdict.INVALID,
    Verdict.INCONCLUSIVE,
    Verdict.NEW,
    Verdict.IMPROVED,
    Verdict.PASS,
    Verdict.NONE,
)
"""The gravest first: a test has the gravest verdict among its gated metrics."""


def of_test(verdicts: Iterable[MetricVerdict]) -> Verdict:
    """The verdict of a test from those of its gated metrics."""
    found = {one.state for one in verdicts if one.gated}
    return next((state for state in GRAVITY if state in found), Verdict.NONE)


def gated(course: Course, screened: Sequence[Pair], fresh: Sequence[Pair], against: str) -> dict[str, MetricVerdict]:
    """The verdict of each gated metric at the end of its course."""
    return {name: _gated(name, track, course, screened, fresh, against) for name, track in course.tracks.items()}


def _gated(
    name: str, track: Track, course: Course, screened: Sequence[Pair], fresh: Sequence[Pair], against: str
) -> MetricVerdict:
    made = _empty(against, track.limits, gated=True)
    if track.lacking:
        return replace(made, state=Verdict.NEW, reason=f"the reference doesn't give {name}")
    if track.trouble:
        return replace(made, state=Verdict.INVALID, reason=track.trouble)
    counted = list(screened[: track.looks[-1]])
    if track.fresh_looks and track.confirmed is Confirmation.FAIL:
        counted = list(fresh[: track.fresh_looks[-1]])
    elif track.fresh_looks:
        counted += fresh[: track.fresh_looks[-1]]
    values = ratios(counted, name)
    found = seen(values, track.limits)
    made = _with_numbers(made, values, found, track.limits, course.entries)
    state = _state(track, found)
    reason = _reason(state, track, made)
    return replace(made, state=state, looks=tuple(track.looks), fresh=(track.fresh_looks or [0])[-1], reason=reason)


def _state(track: Track, found: Estimate) -> Verdict:
    if track.confirmed is Confirmation.FAIL:
        return Verdict.FAIL
    if track.screened is Screen.PASS or track.confirmed is Confirmation.PASS:
        return Verdict.IMPROVED if improved(found, track.limits) else Verdict.PASS
    return Verdict.INCONCLUSIVE


def _reason(state: Verdict, track: Track, made: MetricVerdict) -> str:
    if state is Verdict.FAIL:
        return f"confirmed by {made.fresh or made.n} fresh pairs to be above {percent(made.fail_above)}"
    if state is Verdict.IMPROVED:
        return f"better by more than {percent(made.fail_above)}"
    if state is Verdict.PASS:
        return f"a regression of {percent(made.must_detect)} is excluded"
    if track.limits.blind:
        return (
            f"two builds of one commit differ by {percent(track.limits.rebuild)} here, "
            f"so a regression of {percent(made.must_detect)} can't be told from a rebuild"
        )
    if made.n < LOOKS[0]:
        few = f"{LOOKS[0]} pairs are the least, the budget left time for {made.n} (--netbench-budget)"
        needed = max(LOOKS[0], made.required or 0)
        return f"{few}; by these it needs about {needed:,}" if made.n >= LOOKS[0] / 2 else few  # fewer tell nothing
    head = "suspected, not confirmed" if track.screened is Screen.SUSPECT else "not decided within the budget"
    return f"{head}: {outlook(made)}"


def advisory(pairs: Sequence[Pair], without: Iterable[str], against: str, entries: int) -> dict[str, MetricVerdict]:
    """What the pairs say of the metrics that aren't gated; nothing fails by it."""
    skipped = set(without)
    made: dict[str, MetricVerdict] = {}
    for name in shared(pairs):
        scarce = any(too_few([pair.rounds[arm] for pair in pairs], name) for arm in (REF, CAND))
        if name in skipped or describe(name).detail or scarce or len(pairs) < LEAST:
            continue
        bounds = limits(name, Gate())
        try:
            values = ratios(pairs, name)
        except NoRatio:
            continue
        found = seen(values, bounds)
        made[name] = _with_numbers(_empty(against, bounds, gated=False), values, found, bounds, max(1, entries))
    order = list(made)
    worst = discoveries([made[name].p or 0.0 for name in order])
    for at, name in enumerate(order):
        if at in worst and len(pairs) >= LOOKS[0]:
            made[name] = replace(made[name], reason="stands out among all figures; not gated, so it doesn't fail")
    return dict(sorted(made.items(), key=lambda item: item[1].p if item[1].p is not None else 1.0))


def missing(gates: Mapping[str, Limits], state: Verdict, against: str, reason: str) -> dict[str, MetricVerdict]:
    """One verdict for all gated metrics."""
    return {name: replace(_empty(against, one, gated=True), state=state, reason=reason) for name, one in gates.items()}


def _empty(against: str, bounds: Limits, *, gated: bool) -> MetricVerdict:
    return MetricVerdict(Verdict.NONE, against, gated, bounds.fail_above, bounds.must_detect)


def _with_numbers(
    made: MetricVerdict, values: Sequence[float], found: Estimate, bounds: Limits, entries: int
) -> MetricVerdict:
    ends = found.interval()
    return replace(
        made,
        effect=share(found.mean),
        interval=Interval(share(ends.low), share(ends.high)),
        n=found.n,
        p=found.p(bounds.tau),
        check=share(hodges_lehmann(values)),
        detectable=detectable(found, bounds, entries),
        required=required(found, bounds, entries),
    )
