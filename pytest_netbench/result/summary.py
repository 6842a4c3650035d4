"""What do several rounds say together? One summary a metric, over the valid rounds of one arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_netbench.result.catalogue import LEAST_SAMPLES, describe, distribution
from pytest_netbench.result.model import Interval, Round, Summary
from pytest_netbench.result.stats import median, median_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

REFERENCE = "ref"
"""The arm that the candidate is compared with; rounds of any other arm, or of none, are the candidate's."""


def of_arm(rounds: Iterable[Round], *, reference: bool = False) -> tuple[Round, ...]:
    """The rounds of one arm, invalid ones included."""
    return tuple(one for one in rounds if (one.arm == REFERENCE) == reference)


def counting(rounds: Iterable[Round], *, reference: bool = False) -> tuple[Round, ...]:
    """The valid rounds of one arm: the only ones that count."""
    return tuple(one for one in of_arm(rounds, reference=reference) if one.valid)


def summarise(rounds: Iterable[Round], *, reference: bool = False) -> dict[str, Summary]:
    """Median and interval of each metric over the valid rounds of one arm.

    A percentile that its samples can't carry is left out, see :func:`too_few`. ``n`` counts the rounds that gave the
    metric; ``note`` says if it covers the drivers' whole run, or what it was had from.
    """
    valid = counting(rounds, reference=reference)
    found: dict[str, Summary] = {}
    for name in dict.fromkeys(name for one in valid for name in one.metrics):
        if too_few(valid, name) is not None:
            continue
        values = [one.metrics[name] for one in valid if name in one.metrics]
        kind = describe(name)
        note = "whole process" if any(name in one.whole_process for one in valid) else ""
        if any(name in one.slopes for one in valid):
            note = note or "slope between two sizes"
        ci = median_interval(values)
        if ci is not None and ci.high > kind.most:
            ci = Interval(ci.low, max(kind.most, *values))  # the rounding of a value may exceed it by a hair
        found[name] = Summary(kind.unit, kind.better, len(values), median(values), ci, note)
    return found


def too_few(valid: Sequence[Round], name: str) -> str | None:
    """Why these rounds' samples can't carry this percentile, or None.

    A percentile q above the median needs 30 samples beyond it, 30 / (1 - q) in all, pooled over the rounds; with fewer
    it is hardly more than one of the largest samples. Median and maximum are always given.
    """
    split = distribution(name)
    if split is None or split[1] not in LEAST_SAMPLES:
        return None
    trace, point = split
    needed = LEAST_SAMPLES[point]
    pooled = sum(len(one.samples.get(trace, ())) for one in valid)
    if pooled >= needed:
        return None
    return (
        f"{name} needs {needed:,} samples over all valid rounds, there are {pooled:,}: "
        f"run longer or more rounds, or ask for {trace}.p50"
    )


def shown(metrics: Mapping[str, float], summary: Mapping[str, Summary]) -> dict[str, float]:
    """A round's numbers as they are published: without the percentiles that the summary had to leave out."""
    return {name: value for name, value in metrics.items() if name in summary or not _rests_on_many(name)}


def _rests_on_many(name: str) -> bool:
    split = distribution(name)
    return split is not None and split[1] in LEAST_SAMPLES
