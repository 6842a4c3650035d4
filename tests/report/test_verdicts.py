"""Do reports, jobs and JUnit files show the verdicts, the gravest first, within what they take?"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.report import charts, github, html, markdown, terminal, verdicts
from pytest_netbench.report.github import Place
from pytest_netbench.result.model import Comparison, Interval, MetricVerdict, TestRecord, Verdict
from tests.report.records import a_round, a_session, a_test

COMPARED = Comparison("main", "worktree", 7, pairs=28, entries=1, repeat="pytest 'test_x.py::test_a' --netbench-ab a,b")


def verdict(state: Verdict = Verdict.FAIL, **more: Any) -> MetricVerdict:
    given: dict[str, Any] = {
        "effect": 0.063,
        "interval": Interval(0.049, 0.077),
        "n": 20,
        "p": 1e-5,
        "detectable": 0.031,
        "reason": "confirmed by 20 fresh pairs to be above 1 %",
    }
    return MetricVerdict(state, "main", more.pop("gated", True), 0.01, 0.05, **(given | more))


def judged(nodeid: str, state: Verdict, outcome: str = "passed") -> TestRecord:
    found = {"server.cpu_per_byte": verdict(state), "goodput": verdict(Verdict.NONE, gated=False)}
    return a_test(nodeid, outcome, verdict=state, verdicts=found, comparison=COMPARED, reason="why")


def test_the_terminal_has_a_line_a_metric() -> None:
    """Verdict, change, interval, pairs and why; after the figures."""
    text = "\n".join(terminal.lines(a_session(judged("t::a", Verdict.FAIL, "failed")), 80))
    assert "t::a: fail (worktree against main)" in text
    assert "  server.cpu_per_byte: fail, 6.3 % worse (+4.9 % to +7.7 %), 20 pairs; confirmed by" in text
    assert "goodput: not gated" not in text


def test_markdown_shows_verdicts_above_figures_the_gravest_first() -> None:
    """And the command that repeats what is grave."""
    tests = [judged("t::good", Verdict.PASS), judged("t::bad", Verdict.FAIL), judged("t::open", Verdict.INCONCLUSIVE)]
    text = markdown.render(a_session(*tests))
    places = [
        text.index(f"| **{word}** | t::{name}")
        for word, name in (("fail", "bad"), ("inconclusive", "open"), ("pass", "good"))
    ]
    assert places == sorted(places)
    assert places[-1] < text.index("| test | rounds |")
    assert "repeat: `pytest 'test_x.py::test_a'" in text


def test_markdown_with_a_thousand_verdicts_still_fits() -> None:
    """Under the size of a comment, with a count of what was left out."""
    text = markdown.render(a_session(*(judged(f"t::test_{number}", Verdict.FAIL) for number in range(1000))))
    assert len(text.encode()) < 65_536
    assert "more verdicts in `results.json`" in text
    assert "more tests in `results.json`" in text


def test_the_page_has_badge_numbers_and_the_command() -> None:
    """All verdicts of a test, gated ones first."""
    text = html.render(a_session(judged("t::a", Verdict.FAIL, "failed")))
    assert text.count("verdict-fail") >= 2
    assert "worktree against main: 28 pairs, seed 7" in text
    assert text.index("server.cpu_per_byte</td>") < text.index(">not gated<")


def test_notes_of_the_session_are_shown_everywhere() -> None:
    """A baseline that was stored, an acceptance that is stale."""
    session = a_session(a_test())
    noted = type(session)(**{name: getattr(session, name) for name in session.__slots__} | {"notes": ("stale: <x>",)})
    assert "stale: <x>" in terminal.lines(noted, 80)
    assert "stale: \\<x\\>" in markdown.render(noted)
    assert "stale: &lt;x&gt;" in html.render(noted)


def test_annotations_stand_where_tests_failed() -> None:
    """An error for what failed, a warning for what stayed open, nothing for what passed."""
    tests = [
        judged("t::open", Verdict.INCONCLUSIVE),
        judged("t::bad", Verdict.FAIL, "failed"),
        judged("t::ok", Verdict.PASS),
    ]
    error, warning = github.commands(a_session(*tests), {"t::bad": Place("t,1.py", 12)})
    assert error.startswith(
        "::error file=t%2C1.py,line=12,title=t%3A%3Abad%3A fail::server.cpu_per_byte: fail, 6.3 %25 worse"
    )
    assert warning.startswith("::warning title=t%3A%3Aopen%3A inconclusive::")


@pytest.mark.parametrize(("tests", "lines"), [(10, 10), (11, 10), (500, 10), (0, 0)])
def test_at_most_ten_annotations_a_roll_up_last(tests: int, lines: int) -> None:
    """GitHub shows no more of a step."""
    found = github.commands(a_session(*(judged(f"t::{number}", Verdict.FAIL, "failed") for number in range(tests))), {})
    assert len(found) == lines
    if tests > 10:
        assert found[-1].endswith(f"::{tests - 9} more tests failed or stayed open: see the summary")


def test_the_worst_comes_first() -> None:
    """Failures before what stayed open, a larger regression before a smaller one, whatever the order of the tests."""
    tests = [judged("t::open", Verdict.INCONCLUSIVE), *(judged(f"t::{n}", Verdict.FAIL, "failed") for n in (1, 3, 2))]
    for test in tests[1:]:
        test.verdicts["server.cpu_per_byte"] = verdict(effect=int(test.nodeid[-1]) / 10)  # type: ignore[index]
    found = github.commands(a_session(*tests), {})
    assert [re.search(r"t%3A%3A(\w+)", line)[1] for line in found] == ["3", "2", "1", "open"]  # type: ignore[index]


@pytest.mark.parametrize("count", [300, 3000])
def test_with_hundreds_of_failures_everything_fits(tmp_path: Path, count: int) -> None:
    """Long names, long reasons, notes of evidence: comment, step summary and annotations each within their limit."""
    name = "tests/test_x.py::test_y[" + "a|b@c%<d>&#64;\\`" * 20
    tests = [judged(f"{name}-{number}]", Verdict.FAIL, "failed") for number in range(count)]
    session = a_session(*(replace(test, note="a\nnote\n" * 500) for test in tests))
    text = markdown.render(session)
    assert len(text.encode()) < 64 * 1024
    assert f"{count} failed" in text
    github.summarise(tmp_path / "s", text)
    assert (tmp_path / "s").read_text() == text
    lines = github.commands(session, {})
    assert len(lines) == github.MOST
    assert not any("\n" in line or "\r" in line for line in lines)


def test_notes_never_make_a_comment_too_large() -> None:
    """Accepted regressions and hosts that say a lot, beside more verdicts and tests than fit."""
    tests = [
        replace(judged(f"t::{n}", Verdict.FAIL, "failed"), note=f"{n} " + "\N{SNOWMAN}@" * 900) for n in range(500)
    ]
    session = replace(a_session(*tests), notes=tuple(f"stale: {n} " + "&<" * 900 for n in range(40)))
    text = markdown.render(session)
    assert len(text.encode()) < 64 * 1024
    assert "stale: 0" in text


def test_annotations_name_files_from_the_top_of_the_checkout(tmp_path: Path) -> None:
    """Also where pytest's configuration stands in a folder below; elsewhere as pytest has them."""
    below = tmp_path / "transport"
    assert github.from_workspace("tests/test_a.py", below, str(tmp_path)) == "transport/tests/test_a.py"
    assert github.from_workspace("tests/test_a.py", below, "") == "tests/test_a.py"
    assert github.from_workspace("tests/test_a.py", below, str(tmp_path / "other")) == "tests/test_a.py"


def test_titles_of_annotations_are_escaped_as_the_runner_undoes_it() -> None:
    """Colons, commas, per cent and line ends: none ends a property, or begins another command."""
    enemy = "t.py::test[a,b::error title=x::%0A%\r\n|<b>]"
    (line,) = github.commands(a_session(judged(enemy, Verdict.FAIL, "failed")), {enemy: Place("d,:%/t.py", 3)})
    head, _, _ = line.removeprefix("::").partition("::")
    level, _, rest = head.partition(" ")
    given = dict(part.split("=", 1) for part in rest.split(","))
    codes = (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%"))

    def undone(text: str) -> str:
        for code, mark in codes:
            text = text.replace(code, mark)
        return text

    assert (level, undone(given["file"]), given["line"]) == ("error", "d,:%/t.py", "3")
    assert undone(given["title"]) == f"{enemy}: fail"


def test_an_annotation_is_one_line() -> None:
    """Whatever a driver said."""
    test = a_test("t::a", "failed", reason="one\r\ntwo", summary={})
    assert github.commands(a_session(test), {}) == ["::error title=t%3A%3Aa%3A failed::one%0D%0Atwo"]


def test_the_steps_summary_grows_and_never_exceeds_what_is_shown(tmp_path: Path) -> None:
    """What others wrote stays; what doesn't fit is left out."""
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    github.summarise(path, "ours\n")
    assert path.read_text() == "before\nours\n"
    path.write_text("x" * (1 << 20))
    github.summarise(path, "ours\n")
    assert path.stat().st_size == 1 << 20


def test_junit_properties_carry_the_numbers() -> None:
    """Verdict, effect, interval, p, pairs and detectable effect of each gated metric."""
    found = dict(verdicts.properties(judged("t::a", Verdict.FAIL)))
    assert found["netbench.verdict"] == found["netbench.server.cpu_per_byte.verdict"] == "fail"
    assert found["netbench.server.cpu_per_byte.effect"] == "0.063"
    assert found["netbench.server.cpu_per_byte.ci"] == "0.049 0.077"
    assert found["netbench.server.cpu_per_byte.n"] == "20"
    assert not any("goodput" in name for name in found)
    assert verdicts.properties(a_test()) == []


def test_of_two_arms_the_round_in_the_middle_of_each_is_drawn() -> None:
    """Two curves, not one for each of a hundred rounds."""
    rounds = tuple(a_round(number, arm="cand" if number % 2 else "ref") for number in range(40))
    (chart, *_) = charts.of_test(a_test(rounds=rounds))
    assert {row[2] for row in chart.rows} == {"ref", "cand"}
