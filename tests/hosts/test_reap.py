"""Does a reaper remove what a dead run left, and nothing else?"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_netbench.cli.main import main
from pytest_netbench.errors import UsageError
from pytest_netbench.hosts import ledger as book
from pytest_netbench.hosts.ledger import Ledger
from pytest_netbench.hosts.reap import FORGET, reap
from pytest_netbench.telemetry.proc import identify


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def dead_run(*things: tuple[str, str], name: str = "dead") -> Path:
    """The ledger of a run whose owner is gone."""
    path = book.state_folder() / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    book.append(path, book.MADE, book.OWNER, "999999999:1")
    for kind, thing in things:
        book.append(path, book.MADE, kind, thing)
    return path


def test_processes_and_folders_of_a_dead_run_are_removed(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    """And the ledger then says so."""
    (tmp_path / "left" / "deep").mkdir(parents=True)
    path = dead_run((book.DIRECTORY, str(tmp_path / "left")), (book.PROCESS, identify(child.pid)))
    assert len(reap()) == 2
    assert child.wait(10) == -9
    assert not (tmp_path / "left").exists()
    assert not book.held(book.entries(path))


def test_a_process_that_only_has_the_number_lives_on(child: subprocess.Popen[bytes]) -> None:
    """Its start time isn't the ledger's."""
    dead_run((book.PROCESS, f"{child.pid}:1"))
    reap()
    assert child.poll() is None


def test_a_run_that_lives_is_left_alone(tmp_path: Path) -> None:
    """Unless it is named."""
    with Ledger.open("mine") as ledger:
        ledger.made(book.DIRECTORY, str(tmp_path / "left"))
        assert reap() == ()
        assert [one.id for one in reap("mine")] == [str(tmp_path / "left")]


def test_kept_hosts_stay_until_they_are_named_or_their_lease_ends(tmp_path: Path) -> None:
    """``--expired`` takes them then, and not before."""
    path = dead_run((book.DIRECTORY, str(tmp_path / "left")), (book.KEPT, "dead"))
    assert reap() == reap(expired=True) == ()
    book.append(path, book.MADE, book.KEPT, "dead", {"until": time.time() - 1})
    assert reap() == ()
    assert len(reap(expired=True)) == 1


def test_kept_hosts_go_when_they_are_named(tmp_path: Path) -> None:
    """Whenever."""
    dead_run((book.DIRECTORY, str(tmp_path / "left")), (book.KEPT, "dead"))
    assert len(reap("dead")) == 1


def test_a_link_in_the_place_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    """Only the very folder that was made is removed."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "left").symlink_to(tmp_path / "precious")
    dead_run((book.DIRECTORY, str(tmp_path / "left")))
    reap()
    assert (tmp_path / "precious").is_dir()


def test_an_old_ledger_that_holds_nothing_is_forgotten() -> None:
    """A week after its run."""
    path = dead_run()
    reap()
    assert path.exists()
    then = time.time() - FORGET - 1
    os.utime(path, (then, then))
    reap()
    assert not path.exists()


def test_an_unknown_run_names_the_nearest() -> None:
    """As every unknown name does."""
    dead_run(name="20260101t000000-abc")
    with pytest.raises(UsageError, match="did you mean '20260101t000000-abc'"):
        reap("20260101t000000-abd")


def test_the_command_says_what_it_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line each, or that nothing is left."""
    (tmp_path / "left").mkdir()
    dead_run((book.DIRECTORY, str(tmp_path / "left")))
    assert main(["reap"]) == 0
    assert capsys.readouterr().out == f"dead: removed directory {tmp_path / 'left'}\n"
    assert main(["reap"]) == 0
    assert capsys.readouterr().out == "nothing is left\n"
