"""Do terminal and Markdown say the same, briefly, whatever the names are?"""

from __future__ import annotations

from pytest_netbench.report import markdown, terminal
from pytest_netbench.report.headline import headline, ordered
from pytest_netbench.result.model import Better, Summary
from tests.report.records import ENEMY, a_round, a_session, a_test


def test_the_table_has_a_line_a_test_and_a_line_a_figure() -> None:
    """Medians and intervals in units for people."""
    text = "\n".join(terminal.lines(a_session(a_test()), 80))
    assert "test_x.py::test_ping[tcp]  (3 rounds)" in text
    assert "ping_1KB.p50" in text
    assert "10 .. 30 us" in text


def test_each_round_is_shown_only_when_more_is_asked_for() -> None:
    """``-v`` adds a line a round, with the place of its logs."""
    session = a_session(a_test())
    assert not any("runs/test" in line for line in terminal.lines(session, 80))
    assert sum("runs/test" in line for line in terminal.lines(session, 80, verbose=True)) == 3


def test_a_round_that_does_not_count_is_always_said() -> None:
    """With its reasons."""
    session = a_session(a_test(rounds=(a_round(), a_round(1, validity=("bytes got lost",)))))
    assert any("round 1 doesn't count: bytes got lost" in line for line in terminal.lines(session, 80))
    assert "1 of 2 rounds" in "\n".join(terminal.lines(session, 80))


def test_a_test_without_figures_shows_its_outcome() -> None:
    """Skipped tests are no gaps."""
    assert any(
        "(skipped)" in line for line in terminal.lines(a_session(a_test(outcome="skipped", rounds=(), summary={})), 80)
    )


def test_the_first_figures_are_the_telling_ones() -> None:
    """Goodput and medians first, breakdowns never in the short table and last in the long one."""
    assert list(headline(a_test()))[:2] == ["goodput", "connect.p50"]
    assert ordered(a_test())[-1] == "tcp.retransmits.client-0"
    assert "tcp.retransmits.client-0" not in headline(a_test())


def test_markdown_stays_below_what_a_comment_takes() -> None:
    """With a thousand tests, those that failed first, and a count of what was left out."""
    tests = [a_test(f"test_x.py::test_{number}") for number in range(1000)] + [a_test("test_x.py::test_bad", "failed")]
    text = markdown.render(a_session(*tests))
    assert len(text.encode()) < 65_536
    assert "more tests in `results.json`" in text
    assert text.index("test\\_bad") < text.index("test\\_0")


def test_markdown_cannot_be_broken_out_of() -> None:
    """A name is text in its cell: no markup, no mention, no new row."""
    text = markdown.render(a_session(a_test(ENEMY.replace("enemy", "a|b\n@everyone"))))
    assert "<script>" not in text
    assert "@\N{ZERO WIDTH SPACE}everyone" in text
    assert all(line.count("|") - line.count("\\|") == 6 for line in text.splitlines() if line.startswith("|"))


def test_loads_and_memory_come_before_what_they_cost() -> None:
    """What a scenario beyond netbench's language is about leads its short table."""
    first = ["connect.rate", "server.memory_per_connection", "request.offered", "goodput", "connect.p50"]
    summary = {name: Summary("1", Better.LOWER, 3, 1.0, None) for name in ("request.p50", *reversed(first))}
    assert list(headline(a_test(summary=summary))) == [*first, "request.p50"]
