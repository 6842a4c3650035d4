"""What of a benchmark stands in pytest-html's own report? Its charts as pictures and its figures as a table."""

from __future__ import annotations

from html import escape
from typing import Any

from pytest_netbench.report import charts
from pytest_netbench.report.headline import headline
from pytest_netbench.report.html import rows
from pytest_netbench.result.model import TestRecord


def extras(test: TestRecord) -> list[dict[str, Any]]:
    """What to add to a report's ``extras``; a script among them wouldn't run, so charts are pictures in the page."""
    import pytest_html

    pictures = "".join(f"<div>{one.svg()}</div>" for one in charts.of_test(test))
    return [pytest_html.extras.html(pictures + _table(test))]


def _table(test: TestRecord) -> str:
    head = "<tr><th>figure</th><th>median</th><th>95 % interval</th><th>rounds</th></tr>"
    body = (
        f"<tr><td>{escape(one.name)}</td><td>{escape(one.median)}</td><td>{escape(one.interval)}</td><td>{one.n}</td></tr>"
        for one in rows(test, headline(test))
    )
    return f"<table>{head}{''.join(body)}</table>"
