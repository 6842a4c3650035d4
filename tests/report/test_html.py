"""Is the page whole, harmless, small, and open without a network?"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pytest_netbench.report import html
from tests.report.records import ENEMY, a_round, a_session, a_test


class Reader(HTMLParser):
    """Collects elements, what they would load, and the text of scripts of data."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.scripts = 0
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.loads += [value or "" for name, value in attrs if name in {"src", "href"} and tag != "a"]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def test_nothing_is_loaded() -> None:
    """No element has an address to load from."""
    assert read(html.render(a_session(a_test()))).loads == []


def test_names_that_are_markup_stay_names() -> None:
    """A test's id can't become an element, in text or in data."""
    harmless, enemy = (
        html.render(a_session(a_test(name), a_test(name + "2"))) for name in ("test_x.py::test_y[1]", ENEMY)
    )
    assert read(enemy).scripts == read(harmless).scripts
    assert "<script>alert" not in enemy


def test_all_that_a_reader_asks_for_is_there() -> None:
    """Outcome, driver, figures with units and intervals, invalid rounds with reasons, logs, notes, environment."""
    bad = a_test(outcome="failed", rounds=(a_round(), a_round(1, validity=("2 bytes got lost",))), note="mind the MTU")
    text = read(html.render(a_session(bad))).text
    for part in (
        "failed",
        "tcp",
        "20 us",
        "10 .. 30 us",
        "2 bytes got lost",
        "runs/test/0",
        "mind the MTU",
        "whole process",
        "6.1",
    ):
        assert part in text


def test_a_name_is_broken_between_its_parts() -> None:
    """And not before its last letters, where a narrow page has no room for all of it."""
    page = html.render(a_session(a_test("tests/test_x.py::test_a_b[tc p]")))
    assert page.count("tests/<wbr>test_<wbr>x.py::<wbr>test_<wbr>a_<wbr>b<wbr>[tc p]") == 2
    assert '<td class="whole">client-0</td>' in page


def test_a_session_without_figures_is_a_page_too() -> None:
    """All skipped: no charts, no JavaScript library, no error."""
    page = html.render(a_session(a_test(outcome="skipped", rounds=(), summary={}, hosts=(), note="no driver")))
    assert "no driver" in page
    assert len(page) < 50_000


def test_data_is_json_that_matches_its_template() -> None:
    """Every chart's rows have as many values as it has columns."""
    page = html.render(a_session(a_test(), a_test("test_x.py::test_ping[s2n-tcp]")))
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    charts = json.loads(found[1])
    assert {one["kind"] for one in charts} == {"distribution", "rounds", "comparison"}
    assert all(len(row) == len(one["columns"]) for one in charts for row in one["rows"])


def test_two_hundred_tests_of_ten_rounds_stay_below_five_megabytes() -> None:
    """The library is in it once, and curves are short."""
    rounds = tuple(a_round(index) for index in range(10))
    tests = [a_test(f"test_x.py::test_{number}", rounds=rounds) for number in range(200)]
    assert len(html.render(a_session(*tests))) < 5_000_000


@pytest.mark.real
@pytest.mark.skipif(shutil.which("chromium") is None, reason="apt-get install chromium")
def test_a_browser_draws_the_charts(tmp_path: Path) -> None:
    """Opened from a file, each chart becomes a picture."""
    (tmp_path / "report.html").write_text(html.render(a_session(a_test())))
    command = (
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(f"--user-data-dir={tmp_path}/profile", "--window-size=1000,4000", "--virtual-time-budget=8000", "--dump-dom"),
    )
    done = subprocess.run(
        [*command, f"file://{tmp_path}/report.html#all"], capture_output=True, text=True, timeout=250, check=True
    )
    assert done.stdout.count('class="chart vega-embed drawn"') == 2
