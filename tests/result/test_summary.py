"""Do several rounds say together only what they can carry?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_netbench.result.catalogue import LEAST_SAMPLES
from pytest_netbench.result.model import Better, Interval
from pytest_netbench.result.summary import counting, shown, summarise, too_few
from tests.result.result_cases import round_, sampled


def test_a_summary_is_the_median_over_valid_rounds() -> None:
    """Invalid rounds don't count; unit and direction come from the table."""
    bad = replace(round_(3, goodput=1.0), validity=("starved",))
    summary = summarise([round_(0, goodput=10.0), round_(1, goodput=30.0), round_(2, goodput=20.0), bad])["goodput"]
    assert (summary.median, summary.n, summary.unit, summary.better) == (20, 3, "B/s", Better.HIGHER)
    assert isinstance(summary.ci, Interval)


def test_below_three_rounds_there_is_no_interval() -> None:
    """Two rounds have a median, and null for the interval."""
    assert summarise([round_(0, goodput=1.0), round_(1, goodput=3.0)])["goodput"].ci is None


@pytest.mark.parametrize(("point", "needed"), LEAST_SAMPLES.items())
@pytest.mark.parametrize("short", [0, 1])
def test_a_percentile_needs_enough_samples_over_all_rounds(point: str, needed: int, short: int) -> None:
    """Samples are pooled over the valid rounds: one too few and the percentile is left out."""
    rounds = [sampled(needed // 3, 0), sampled(needed // 3, 1), sampled(needed - 2 * (needed // 3) - short, 2)]
    assert (f"t.{point}" in summarise(rounds)) == (short == 0)
    assert {"t.p50", "t.max"} <= set(summarise(rounds))


def test_samples_of_invalid_rounds_do_not_count() -> None:
    """Only valid rounds are pooled."""
    assert "t.p90" not in summarise([sampled(299), sampled(300, 1, validity=("late",))])


def test_the_reason_has_the_numbers() -> None:
    """What is missing is said with both numbers, and what to do."""
    reason = too_few([sampled(1000)], "t.p99")
    assert reason is not None
    assert reason.startswith("t.p99 needs 3,000 samples over all valid rounds, there are 1,000")


def test_arms_are_summarised_apart() -> None:
    """The reference's rounds count for the reference only, samples included."""
    ref = [replace(sampled(200, number), arm="ref") for number in (0, 1)]
    cand = [replace(sampled(100, number), arm="cand") for number in (0, 1)]
    assert "t.p90" in summarise([*ref, *cand], reference=True)
    assert "t.p90" not in summarise([*ref, *cand])
    assert counting([*ref, *cand]) == tuple(cand)


def test_what_the_summary_left_out_is_not_published_with_a_round() -> None:
    """A round's own percentiles go out only if the summary has them; median, maximum and plain metrics always."""
    one = sampled(10)
    published = shown({**one.metrics, "goodput": 5.0}, summarise([one]))
    assert {"t.p50", "t.max", "goodput"} <= set(published)
    assert not {"t.p90", "t.p99", "t.p999"} & set(published)


def test_a_metric_that_a_round_lacks_counts_where_it_is() -> None:
    """``n`` is the number of rounds that gave the metric."""
    summary = summarise([round_(0, goodput=1.0), round_(1, goodput=2.0, server__peak_rss=3.0)])
    assert (summary["goodput"].n, summary["server.peak_rss"].n) == (2, 1)


def test_no_interval_claims_more_than_is_possible() -> None:
    """Fairness of three rounds isn't said to reach beyond 1."""
    rounds = [round_(number, goodput__fairness=value) for number, value in enumerate((0.7, 0.99, 1.0))]
    ci = summarise(rounds)["goodput.fairness"].ci
    assert ci is not None
    assert ci.high == 1


def test_whole_process_numbers_are_marked() -> None:
    """A number that covers a process's start says so in its note."""
    one = replace(round_(0, server__cpu_per_op=1.0), whole_process=frozenset({"server.cpu_per_op"}))
    assert summarise([one])["server.cpu_per_op"].note == "whole process"
