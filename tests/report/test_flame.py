"""Does the difference of two profiles show what got costlier, and nothing that chance explains?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pytest_netbench.report import flame, html
from pytest_netbench.report.flame import Arm, difference, svg, table, tree
from pytest_netbench.result.model import Better, Comparison, Evidence, Profile, Summary, TestRecord
from tests.report.records import ENEMY, a_session, a_test

BEFORE = Arm({("main", "run", "copy"): 500, ("main", "run", "poll"): 500}, 2e-9)
AFTER = Arm({("main", "run", "copy"): 500, ("main", "run", "copy", "check"): 300, ("main", "run", "poll"): 500}, 2.6e-9)


def test_costs_are_shares_of_what_was_measured() -> None:
    """More samples alone are no change: the other arm's rounds may have been longer."""
    twice = Arm({stack: 2 * count for stack, count in BEFORE.stacks.items()}, BEFORE.cost)
    one = difference(BEFORE, twice, 500, 1000)
    assert (one.ref, one.cand) == pytest.approx((1e-9, 1e-9))
    assert not one.sure


@pytest.mark.parametrize(("samples", "sure"), [(1, False), (100, True)])
def test_what_chance_explains_has_no_colour(samples: int, sure: bool) -> None:
    """A tenth more from ten samples is nothing, from thousands it is something."""
    ref, cand = Arm({("a",): 10 * samples, ("b",): 10 * samples}), Arm({("a",): 14 * samples, ("b",): 6 * samples})
    assert difference(ref, cand, 10 * samples, 14 * samples).sure is sure


def test_the_tree_begins_where_stacks_part() -> None:
    """Calls that all have in common are left out, but for the last."""
    top = tree(BEFORE, AFTER)
    assert (top.name, top.ref, top.cand) == ("run", 1000, 1300)
    assert {name: (one.ref, one.cand) for name, one in top.below.items()} == {"copy": (500, 800), "poll": (500, 500)}


def test_one_stack_alone_is_a_tree() -> None:
    """Its last call is drawn below the one that made it."""
    top = tree(Arm({("a", "b", "c"): 3}), Arm({("a", "b", "c"): 4}))
    assert (top.name, list(top.below)) == ("b", ["c"])


def test_the_table_begins_with_what_came() -> None:
    """By its own cost, without what it calls."""
    first = table(BEFORE, AFTER, "s/B")[0]
    assert (first.name, first.ref, first.cand, first.change, first.sure) == (
        "check",
        "0 s/B",
        "600 ps/B",
        "+600 ps/B",
        True,
    )


def test_a_picture_is_well_formed_and_says_what_it_is() -> None:
    """Title and description for those who don't see it; a frame's numbers where it is pointed at; nothing overlaps."""
    root = ET.fromstring(svg(BEFORE, AFTER, "s/B", "server: b against a", "t"))
    space = "{http://www.w3.org/2000/svg}" if root.tag.startswith("{") else ""
    labelled = root.attrib["aria-labelledby"].split()
    assert [one.attrib["id"] for one in root if one.tag in {f"{space}title", f"{space}desc"}] == labelled
    titles = [one.findtext(f"{space}title") for one in root.iter(f"{space}g")]
    assert "check: 600 ps/B, before 0 s/B" in titles
    rows: dict[str, list[tuple[float, float]]] = {}
    for one in root.iter(f"{space}rect"):
        rows.setdefault(one.attrib["y"], []).append((float(one.attrib["x"]), float(one.attrib["width"])))
    for frames in rows.values():
        ends = [x + width for x, width in sorted(frames)]
        assert all(x >= end - 0.2 for end, (x, _) in zip(ends, sorted(frames)[1:], strict=False))
        assert max(ends) <= flame.WIDTH


def test_names_that_are_markup_stay_names() -> None:
    """In the picture as in the table."""
    page = svg(Arm({(ENEMY,): 5, ("b",): 5}), Arm({(ENEMY,): 5, ("b",): 5}), "", ENEMY, "t")
    assert "<script" not in page


def failing(folder: Path, **evidence: Any) -> TestRecord:
    """A test whose evidence is in this folder."""
    found = {"profiles": tuple(Profile(arm, "client", "perf", 10, arm) for arm in ("ref", "cand")), **evidence}
    for arm, stacks in (("ref", "main;copy 500\nmain;poll 500\n"), ("cand", "main;copy 500\nmain;<check> 500\n")):
        (folder / arm).mkdir()
        (folder / arm / "profile.folded").write_text(stacks)
    cost = {"client.cpu_per_byte": Summary("s/B", Better.LOWER, 3, 1e-9, None)}
    return a_test(
        outcome="failed", summary=cost, summary_ref=cost, comparison=Comparison("a", "b", 1, evidence=Evidence(**found))
    )


def test_the_page_has_picture_table_and_links(tmp_path: Path) -> None:
    """Beside the notes of what couldn't be had."""
    test = failing(tmp_path, qlogs=("runs/t/qlog-ref/client-0/x.qlog",), notes=("ref: no profile of server-0: why",))
    page = html.render(a_session(test), tmp_path)
    assert page.count('<svg class="flame"') == 1
    assert "&lt;check&gt;" in page
    assert '<td class="number">+500 ps/B</td>' in page
    assert 'href="runs/t/qlog-ref/client-0/x.qlog"' in page
    assert "ref: no profile of server-0: why" in page
    assert not re.search(r"<image|xlink:href|url\(", page.partition("<svg")[2].partition("</svg>")[0])


def test_a_profile_that_is_gone_or_cut_is_said(tmp_path: Path) -> None:
    """A page is made all the same."""
    test = failing(tmp_path)
    (tmp_path / "ref" / "profile.folded").write_text("main;co")
    page = html.render(a_session(test), tmp_path)
    assert "the profiles of the client can&#39;t be read" in page
    assert "<svg class=" not in page
