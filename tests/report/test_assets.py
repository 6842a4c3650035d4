"""Are the templates what the charts fill, and the library one that opens offline?"""

from __future__ import annotations

import pytest

from pytest_netbench.report.charts import ASSETS, Kind, comparisons, of_test, templates
from pytest_netbench.session.folder import curve
from tests.report.records import a_session, a_test


def test_there_is_a_template_for_each_kind() -> None:
    """Made when the package was built."""
    assert set(templates()) == {kind.value for kind in Kind}


def test_a_chart_becomes_a_picture() -> None:
    """Filled in, a template is valid Vega-Lite."""
    charts = [*of_test(a_test()), *comparisons(a_session(a_test(), a_test("test_x.py::test_ping[s2n-tcp]")))]
    assert {one.kind for one in charts} == set(Kind)
    assert all(one.svg().startswith("<svg") for one in charts)


def test_the_library_ends_no_script_element_early() -> None:
    """It stands inside one."""
    assert "</script" not in (ASSETS / "vega.js").read_text().lower()


@pytest.mark.parametrize("count", [0, 1, 2, 100, 100_000])
def test_a_curve_is_short_and_keeps_both_ends(count: int) -> None:
    """From the least to the largest, in order, with room for the tail."""
    values = tuple(float(one) for one in range(count))
    points = curve(values)
    assert len(points) <= 40
    assert [value for _, value in points] == sorted(value for _, value in points)
    if count:
        assert (points[0][1], points[-1][1]) == (0.0, count - 1)
