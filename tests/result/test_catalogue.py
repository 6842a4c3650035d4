"""Does the table of metrics know every name, and only those?"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.errors import UnknownMetric
from pytest_netbench.result.catalogue import (
    CATALOGUE,
    LEAST_SAMPLES,
    PERCENTILES,
    describe,
    distribution,
    gateable,
    trace_names,
)
from pytest_netbench.result.model import Better


@pytest.mark.parametrize(
    ("name", "unit", "better"),
    [
        ("goodput", "B/s", Better.HIGHER),
        ("goodput.slowest_client", "B/s", Better.HIGHER),
        ("goodput.fairness", "1", Better.HIGHER),
        ("connect.p99", "s", Better.LOWER),
        ("ping_1KB.p999", "s", Better.LOWER),
        ("a.b.max", "s", Better.LOWER),
        ("server.cpu_per_byte", "s/B", Better.LOWER),
        ("client.cpu_per_op", "s", Better.LOWER),
        ("client.peak_rss", "B", Better.LOWER),
        ("tcp.retransmits", "1", Better.LOWER),
        ("udp.rcvbuf_drops.server-0", "1", Better.LOWER),
    ],
)
def test_every_metric_has_unit_and_direction(name: str, unit: str, better: Better) -> None:
    """A name, or the pattern that it fits, gives unit and direction."""
    assert (describe(name).unit, describe(name).better) == (unit, better)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """A misspelt metric names the one that was meant."""
    with pytest.raises(UnknownMetric, match=r"unknown metric 'goodputt': did you mean 'goodput'\?"):
        describe("goodputt")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("goodput", None),
        ("my_trace.p99", None),
        ("server.cpu_per_bite", "did you mean"),
        ("tcp.retransmits.h", "breakdown"),
    ],
)
def test_limits_go_on_whole_metrics(name: str, complaint: str | None) -> None:
    """A limit can be set on any metric, but not on an unknown name or a breakdown."""
    said = gateable(name)
    assert said is None if complaint is None else complaint in (said or "")


def test_a_percentile_needs_thirty_samples_beyond_it() -> None:
    """The least number of samples is 30 / (1 - q)."""
    for point, least in LEAST_SAMPLES.items():
        assert least == round(30 / (1 - PERCENTILES[point]))


@pytest.mark.parametrize(
    ("name", "split"), [("a.p50", ("a", "p50")), ("a.b.max", ("a.b", "max")), ("goodput", None), (".p50", None)]
)
def test_points_of_distributions_are_told_by_their_end(name: str, split: tuple[str, str] | None) -> None:
    """The last part of a name says which point of which distribution it is."""
    assert distribution(name) == split


@given(st.lists(st.sampled_from(["a b", "a_b", "a\tb", "connect", "", "x", "a_b_2"])))
def test_traces_never_share_a_name(traces: list[str]) -> None:
    """Different traces have different names without blanks, none of them empty or ``connect``."""
    names = trace_names(traces)
    assert set(names) == set(traces)
    assert len(set(names.values())) == len(names)
    assert not {"connect", ""} & set(names.values())
    assert not any(" " in name for name in names.values())


def test_the_page_on_results_has_every_metric() -> None:
    """No metric is without a line in the documentation; points of a distribution share one."""
    page = (Path(__file__).parents[2] / "docs" / "results.md").read_text()
    lines = page.splitlines()
    for name in CATALOGUE:
        trace, point = distribution(name) or (name, "")
        assert any(f"`{trace}{'.p50' if point else '`'}" in line and point in line for line in lines), name
