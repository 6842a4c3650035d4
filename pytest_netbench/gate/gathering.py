"""What do the sessions of a calibration come to? From their records to what is stored of each gated metric."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pytest_netbench.gate.calibration import Calibration, Recorded, Slower
from pytest_netbench.gate.limits import Gate
from pytest_netbench.gate.pairs import NoRatio, Pair, in_order, ratios, usable
from pytest_netbench.result.model import Round, SessionRecord, Verdict

Key = tuple[str, str]
"""A test and a metric of it."""


@dataclass(frozen=True, slots=True)
class _Found:
    """One gated metric of one test of one session."""

    ratios: tuple[float, ...]
    failed: bool
    seconds: float
    level: float
    gate: Gate
    same: bool


def gathered(
    equal: Iterable[SessionRecord],
    builds: Sequence[Iterable[SessionRecord]] = (),
    slower: Iterable[SessionRecord] = (),
    slower_arm: str = "",
) -> Calibration:
    """What sessions came to: of equal arms, of each other build against the first, of an arm that is slower."""
    records = list(equal)
    rebuilt = [_by_key(one) for one in builds]
    worse = _by_key(slower)
    made: dict[str, dict[str, Recorded]] = {}
    for (nodeid, name), found in _by_key(records).items():
        made.setdefault(nodeid, {})[name] = Recorded(
            sessions=tuple(one.ratios for one in found),
            alarms=sum(one.failed for one in found),
            seconds=statistics.fmean(one.seconds for one in found),
            gate=found[0].gate,
            levels=tuple(one.level for one in found),
            builds=tuple(_pooled(one[nodeid, name]) for one in rebuilt if (nodeid, name) in one),
            slower=_slower(worse.get((nodeid, name), []), slower_arm),
        )
    return Calibration(str(records[0].environment.get("hash", "")) if records else "", made)


def _pooled(found: Iterable[_Found]) -> tuple[float, ...]:
    """All ratios of a build; none where its programs are those of the first."""
    return tuple(ratio for one in found if not one.same for ratio in one.ratios)


def _slower(found: Sequence[_Found], arm: str) -> Slower | None:
    if not found:
        return None
    return Slower(arm, len(found), sum(one.failed for one in found), tuple(r for one in found for r in one.ratios))


def _by_key(records: Iterable[SessionRecord]) -> dict[Key, list[_Found]]:
    made: defaultdict[Key, list[_Found]] = defaultdict(list)
    for record in records:
        for key, found in _each(record):
            made[key].append(found)
    return dict(made)


def _each(record: SessionRecord) -> Iterator[tuple[Key, _Found]]:
    for test in record.tests:
        pairs = usable(in_order(test.rounds))
        for name, one in test.verdicts.items():
            if one.gated and name in test.gates and pairs:
                try:
                    values = tuple(ratios(pairs, name))
                except NoRatio:
                    continue
                level = statistics.median(pair.ref.metrics[name] for pair in pairs)
                same = test.comparison is not None and bool(test.comparison.note)
                gate = Gate(*test.gates[name])
                yield (
                    (test.nodeid, name),
                    _Found(values, one.state is Verdict.FAIL, pace(test.rounds, pairs), level, gate, same),
                )


def pace(rounds: Sequence[Round], pairs: Sequence[Pair]) -> float:
    """Seconds from the begin of a pair to that of the next; of a single one, of its rounds."""
    begins = [datetime.fromisoformat(one.started) for one in (rounds[0], rounds[-1])]
    if len(rounds) > 2:  # noqa: PLR2004 - more than a pair
        return 2 * (begins[1] - begins[0]).total_seconds() / (len(rounds) - 1)
    return sum(one.duration_s for pair in pairs for one in pair.rounds.values())
