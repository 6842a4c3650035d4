"""How does a session become one page? A template with tables and charts, everything escaped, nothing loaded."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.report import charts, evidence, verdicts
from pytest_netbench.report.charts import ASSETS, Chart
from pytest_netbench.report.headline import headline, ordered, rounds
from pytest_netbench.result.catalogue import describe
from pytest_netbench.result.model import SessionRecord, Summary, TestRecord
from pytest_netbench.result.store import write_whole
from pytest_netbench.result.words import count, show, show_all

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

HERE = Path(__file__).parent

_JOINTS = re.compile(r"(?<=[/_])(?!_)|(?<=::)|(?=\[)")
"""Where the name of a test may be broken, if it doesn't fit."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table of figures, in words. ``meaning`` is shown when the name is pointed at."""

    name: str
    median: str
    interval: str
    n: int
    each: str
    note: str
    meaning: str


def write(session: SessionRecord, path: Path) -> None:
    """Write ``report.html``.

    :raises ResultsError: if it can't be written.
    """
    write_whole(path, render(session, path.parent).encode("utf-8", "backslashreplace"))


def render(session: SessionRecord, folder: Path | None = None) -> str:
    """The page; ``folder``: the result folder, which has what it is drawn from beside the results."""
    drawn = [charts.of_test(test) for test in session.tests]
    compared = charts.comparisons(session)
    every = [*compared, *(one for some in drawn for one in some)]
    numbers = iter(range(len(every)))
    return _template().render(
        session=session,
        counts=_counts(session),
        comparisons=[(next(numbers), one.title) for one in compared],
        tests=[
            {
                "id": f"test-{index}",
                "record": test,
                "rounds": rounds(test),
                "headline": rows(test, headline(test)),
                "figures": rows(test, {name: test.summary[name] for name in ordered(test)}),
                "charts": [(next(numbers), one.title) for one in some],
                "invalid": [one for one in test.rounds if not one.valid],
                "evidence": evidence.shown(test, folder, f"test-{index}"),
                "verdicts": verdicts.rows({**verdicts.gated(test), **test.verdicts}),
            }
            for index, (test, some) in enumerate(zip(session.tests, drawn, strict=True))
        ],
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        bundle=(ASSETS / "vega.js").read_text(encoding="utf-8") if every else "",
        charts=_embedded([_compact(one) for one in every]),
        templates=_embedded(charts.templates() if every else {}),
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(HERE)
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters |= {"count": count, "parts": _parts}
    return found.get_template("page.html")


def _parts(name: str) -> Markup:
    """A name that is broken between its parts, and not before its last letters."""
    from markupsafe import Markup

    return Markup("<wbr>").join(_JOINTS.split(name))


def _counts(session: SessionRecord) -> list[tuple[str, int]]:
    words = dict.fromkeys(test.outcome for test in session.tests)
    return [(word, sum(test.outcome == word for test in session.tests)) for word in words]


def rows(test: TestRecord, summary: Mapping[str, Summary]) -> list[Row]:
    """Figures of a test in words."""
    return [
        Row(
            name=name,
            median=show(one.median, one.unit),
            interval="" if one.ci is None else show_all((one.ci.low, one.ci.high), one.unit, " .. "),
            n=one.n,
            each=show_all(
                (each.metrics[name] for each in test.rounds if each.valid and name in each.metrics), one.unit
            ),
            note=one.note,
            meaning=describe(name).meaning,
        )
        for name, one in summary.items()
    ]


def _compact(chart: Chart) -> dict[str, object]:
    return {
        "kind": chart.kind.value,
        "title": chart.title,
        "unit": chart.unit,
        "columns": chart.columns,
        "rows": chart.rows,
    }


def _embedded(value: object) -> str:
    """JSON that can't end the script element in which it stands."""
    return (
        json.dumps(value, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    )
