"""Does a ledger say what is there, whatever happened to it?"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.errors import HostError
from pytest_netbench.hosts.ledger import OWNER, Entry, Ledger, entries, held, owner, state_folder
from pytest_netbench.telemetry.proc import identify


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger("run", tmp_path / "run.jsonl") as made:
        yield made


def test_what_is_made_is_held_until_it_is_removed(ledger: Ledger) -> None:
    """The latest first: the order in which to remove it."""
    for name in ("a", "b"):
        ledger.intent("directory", name)
        ledger.made("directory", name)
    assert [one.id for one in ledger.held()] == ["b", "a"]
    ledger.removed("directory", "b")
    assert [one.id for one in ledger.held()] == ["a"]


def test_what_was_only_meant_is_held_too(ledger: Ledger) -> None:
    """Between the intent and the deed a process can die."""
    ledger.intent("directory", "a")
    assert [(one.event, one.id) for one in ledger.held()] == [("intent", "a")]


def test_the_owner_is_this_process_and_never_held(ledger: Ledger) -> None:
    """By its number and its start time."""
    assert owner(ledger.path) == identify(os.getpid())
    assert not ledger.held()


def test_lines_have_the_contracts_form(ledger: Ledger) -> None:
    """event, kind, id, at: one object a line."""
    ledger.made("directory", "a")
    for line in ledger.path.read_text().splitlines():
        assert json.loads(line).keys() == {"event", "kind", "id", "at"}


def test_what_a_reaper_must_know_is_kept_from_intent_to_deed(ledger: Ledger) -> None:
    """The whole request, and what its answer added."""
    ledger.intent("instances", "token", {"request": {"MinCount": 2}})
    ledger.made("instances", "token", {"ids": ["i-1", "i-2"]})
    (found,) = ledger.held()
    assert found.data == {"request": {"MinCount": 2}, "ids": ["i-1", "i-2"]}


@given(st.binary(max_size=60))
def test_a_torn_end_loses_nothing_before_it(tmp_path_factory: pytest.TempPathFactory, torn: bytes) -> None:
    """Whatever a crash leaves after the last whole line is passed over."""
    path = tmp_path_factory.mktemp("torn") / "run.jsonl"
    with Ledger("run", path) as ledger:
        ledger.made("directory", "a")
    with path.open("ab") as file:
        file.write(torn.replace(b'"', b"'"))
    assert [one.id for one in held(entries(path))] == ["a"]


EVENTS = st.lists(
    st.builds(Entry, st.sampled_from(["intent", "made", "removed"]), st.just("x"), st.text(max_size=2), st.just(0.0))
)


@given(EVENTS)
def test_the_last_word_on_a_thing_decides(lines: list[Entry]) -> None:
    """Held is exactly what was last meant or made."""
    last = {one.id: one.event for one in lines}
    assert {one.id for one in held(iter(lines))} == {name for name, event in last.items() if event != "removed"}
    assert OWNER not in {one.kind for one in held(iter(lines))}


def test_a_ledger_that_cannot_be_written_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be made that couldn't be found again."""
    (tmp_path / "netbench").write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(HostError, match="can't write the ledger"):
        Ledger.open("run")
    assert state_folder() == tmp_path / "netbench"
