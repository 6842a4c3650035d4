"""What does a failing gate say? A sentence a metric, the rounds of both arms, and the command that repeats it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_netbench.gate.verdict import GRAVITY
from pytest_netbench.gate.words import line, percent, sentence, side, sight
from pytest_netbench.result.catalogue import describe
from pytest_netbench.result.model import Comparison, Evidence, MetricVerdict, Round, Verdict
from pytest_netbench.result.summary import counting
from pytest_netbench.result.words import show_all

_PASSING = frozenset({Verdict.PASS, Verdict.IMPROVED, Verdict.NEW, Verdict.NONE})
_SHOWN = 60  # rounds of an arm; with more, the first ones


def reason(state: Verdict, verdicts: Mapping[str, MetricVerdict], compared: Comparison | None) -> str:
    """Why a test's verdict is what it is, in one line: the metrics that made it so."""
    grave = (line(name, one) for name, one in verdicts.items() if one.gated and one.state is state)
    return "; ".join([*grave, *([compared.note] if compared is not None and compared.note else [])])


def failure(
    verdicts: Mapping[str, MetricVerdict], compared: Comparison | None, rounds: Sequence[Round], folder: str
) -> str:
    """The whole text of a failing ``no_regression()``, the gravest metric first; logs are in ``folder``."""
    gated = [(name, one) for name, one in verdicts.items() if one.gated and one.state not in _PASSING]
    gated.sort(key=lambda item: (GRAVITY.index(item[1].state), item[1].p if item[1].p is not None else 1.0))
    lines: list[str] = []
    for name, one in gated:
        lines.append(sentence(name, one, compared))
        lines += [f"  {text}" for text in _evidence(name, one, compared, rounds)]
    passing = [line(name, one) for name, one in verdicts.items() if one.gated and one.state in _PASSING]
    return "\n".join([*lines, *passing, *_repeat(compared, rounds, folder)])


def _evidence(name: str, one: MetricVerdict, compared: Comparison | None, rounds: Sequence[Round]) -> Iterator[str]:
    bounds = f"fails above {percent(one.fail_above)}, must detect {percent(one.must_detect)}"
    yield f"limits: {bounds}" + (f"; measured{side(name)}" if side(name) else "")
    if one.state is Verdict.FAIL and one.detectable is not None:
        yield sight(one)
    if compared is None:
        return
    for arm, label, reference in (("ref", compared.ref, True), ("cand", compared.cand, False)):
        values = [each.metrics[name] for each in counting(rounds, reference=reference) if name in each.metrics]
        if values:
            more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
            yield f"{arm} ({label}): {show_all(values[:_SHOWN], describe(name).unit)}{more}"


def _gathered(folder: str, found: Evidence) -> Iterator[str]:
    """What else there is of both arms, and what there isn't."""
    if found.profiles:
        yield f"profiles of both arms: {folder}/report.html"
    if found.qlogs:
        places = dict.fromkeys(f"{folder}/{one}".rsplit("/", 2)[0] for one in found.qlogs)
        yield f"qlogs of both arms: {', '.join(places)}"
    yield from found.notes


def _repeat(compared: Comparison | None, rounds: Sequence[Round], folder: str) -> Iterator[str]:
    logs = {one.logs.rpartition("/")[0] for one in rounds if one.logs}
    for place in sorted(logs):
        yield f"rounds: {'/'.join(part for part in (folder, place) if part)}"
    if compared is None:
        return
    yield from _gathered(folder, compared.evidence)
    yield from (text for text in (compared.note, compared.length) if text)
    if compared.attempt > 1:
        yield "this is what the first attempt found: a gated test that is run again isn't measured again"
    if compared.repeat:
        yield f"repeat: {compared.repeat}  (seed {compared.seed}, {compared.entries} gated in this session)"
