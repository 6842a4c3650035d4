"""What is made once, when the package is built? The charts' JavaScript and one Vega-Lite template per kind of chart.

A build hook of hatchling; ``altair`` draws the templates, ``vl-convert-python`` bundles the libraries. A page written
later only fills data in, and loads nothing from a network.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ASSETS = Path(__file__).parent / "assets"
TITLE, UNIT = "__TITLE__", "__UNIT__"
"""What a template has where a chart has its own words."""

_WIDTH, _HEIGHT = 560, 260
_SNIPPET = "window.netbenchEmbed = vegaEmbed;"


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Makes the assets before the wheel, or the editable installation, is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  hatchling's interface
        """Make them if they are older than this file."""
        here = Path(__file__)
        made = [ASSETS / name for name in ("vega.js", "templates.json")]
        if not all(one.is_file() and one.stat().st_mtime >= here.stat().st_mtime for one in made):
            make()


def make() -> None:
    """Write the JavaScript and the templates."""
    import vl_convert

    ASSETS.mkdir(exist_ok=True)
    (ASSETS / "vega.js").write_text(vl_convert.javascript_bundle(_SNIPPET), encoding="utf-8")
    templates = {"distribution": distribution(), "rounds": rounds(), "comparison": comparison()}
    (ASSETS / "templates.json").write_text(json.dumps(templates, separators=(",", ":")), encoding="utf-8")


def distribution() -> dict[str, Any]:
    """Durations over percentiles, both logarithmic, so that the tail has room; a line a round.

    Columns: ``inverse`` (1 / (1 - percentile)), ``value``, ``round``.
    """
    import altair as alt

    words = "datum.value == 1 ? 'min' : format(100 * (1 - 1 / datum.value), '.6~g') + ' %'"
    percentiles = alt.Axis(values=[1, 2, 10, 100, 1000, 10000, 100000], labelExpr=words, grid=True)
    return _spec(
        alt.Chart(alt.NamedData("values"), title=TITLE)
        .mark_line(interpolate="monotone", strokeWidth=1.6, clip=True)
        .encode(
            x=alt.X("inverse:Q", scale=alt.Scale(type="log"), axis=percentiles, title="percentile"),
            y=alt.Y("value:Q", scale=alt.Scale(type="log", zero=False, nice=True), title=UNIT),
            color=alt.Color("round:N", title="round"),
            tooltip=[alt.Tooltip("round:N"), alt.Tooltip("value:Q", format=".4~s", title=UNIT)],
        )
        .properties(width=_WIDTH, height=_HEIGHT)
    )


def rounds() -> dict[str, Any]:
    """A figure over the rounds, with the median as a line; a row of them, a panel a figure.

    Columns: ``figure`` (its name and unit), ``round``, ``value``, ``valid``.
    """
    import altair as alt

    base = alt.Chart()
    points = base.mark_point(filled=True, size=55).encode(
        x=alt.X("round:O", title="round", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(format=".4~g")),
        color=alt.Color("valid:N", scale=alt.Scale(domain=["yes", "no"], range=["#3b78b8", "#c0392b"]), title="counts"),
        tooltip=[alt.Tooltip("round:O"), alt.Tooltip("value:Q", format=".5~g"), alt.Tooltip("valid:N", title="counts")],
    )
    median = base.transform_filter("datum.valid == 'yes'").mark_rule(strokeDash=[4, 3], opacity=0.7).encode(
        y=alt.Y("median(value):Q")
    )  # fmt: skip
    return _spec(
        alt.layer(median, points, data=alt.NamedData("values"))
        .properties(width=165, height=150)
        .facet(facet=alt.Facet("figure:N", title=None, sort=None), columns=3, title=TITLE)
        .resolve_scale(y="independent")
        .resolve_axis(x="independent")
    )


def comparison() -> dict[str, Any]:
    """One figure of several tests, median and interval, a row a test.

    Columns: ``test``, ``median``, ``low``, ``high``.
    """
    import altair as alt

    base = alt.Chart(alt.NamedData("values"), title=TITLE)
    rows = alt.Y("test:N", title=None, sort=None, axis=alt.Axis(labelLimit=260))
    interval = base.mark_rule(strokeWidth=3, opacity=0.45).encode(y=rows, x=alt.X("low:Q", title=UNIT), x2="high:Q")
    point = base.mark_point(filled=True, size=80, opacity=1).encode(
        y=rows, x=alt.X("median:Q", scale=alt.Scale(zero=True)), tooltip=["test:N", "median:Q", "low:Q", "high:Q"]
    )
    return _spec((interval + point).properties(width=_WIDTH, height=alt.Step(26)))


def _spec(chart: Any) -> dict[str, Any]:  # noqa: ANN401  altair's charts have no common public class
    made: dict[str, Any] = chart.configure_view(stroke=None).to_dict()
    made["datasets"] = {"values": []}
    return made


if __name__ == "__main__":
    make()
