"""Is a driver built once for each source and command, at one path, and is a build that fails told with its words?"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_netbench.drivers import build, registry
from pytest_netbench.drivers.driver import Driver
from pytest_netbench.drivers.repository import Repository
from pytest_netbench.errors import BuildError, UsageError
from pytest_netbench.gate import baseline_file
from pytest_netbench.roles import Role

BUILD = "pwd >> $LOG; cat tool > $OUT/tool; chmod +x $OUT/tool; echo $OUT >> $LOG"

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git isn't here")


def git(folder: Path, *arguments: str) -> str:
    names = ("-c", "user.name=me", "-c", "user.email=me@localhost", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder: Path, tool: str) -> str:
    (folder / "tool").write_text(tool)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", tool)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits, and a cache and a log of builds of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    folder = tmp_path / "home"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    (folder / ".gitignore").write_text("*.o\n")
    commit(folder, "one")
    commit(folder, "two")
    return folder


def mine(command: str = BUILD) -> Driver:
    section = {"build": command, "server": ["$OUT/tool", "serve"], "toolchain": ["true"]}
    return registry.table({"mine": section})["mine"]


def built(driver: Driver, ref: str, home: Path, again: int = 0) -> Path:
    return build.ensure(build.plan(driver, ref, home, again))


def log(home: Path) -> list[str]:
    path = home.parent / "log"
    return path.read_text().splitlines() if path.exists() else []


def test_a_ref_is_built_once(home: Path) -> None:
    """The second time its products are there already, wherever in the repository one stands."""
    first = built(mine(), "HEAD~1", home)
    assert (first / "tool").read_text() == "one"
    (home / "sub").mkdir()
    assert built(mine(), "main~1", home / "sub") == first
    assert len(log(home)) == 2


def test_every_ref_is_built_at_the_same_path(home: Path) -> None:
    """A compiler writes paths into programs: those of two arms must not differ."""
    outs = {built(mine(), ref, home) for ref in ("HEAD", "HEAD~1")}
    assert len(outs) == 2
    assert len(set(log(home))) == 2  # one place of the source, one of the products


def test_the_same_source_is_built_again(home: Path) -> None:
    """From nothing, at the same path, into another folder; each number once."""
    driver = mine(f"test ! -e left.o && {BUILD} && touch left.o")
    first = built(driver, "HEAD", home)
    outs = [built(driver, "HEAD", home, again) for again in (1, 2, 1)]
    assert len({first, *outs}) == 3
    assert outs[0] == outs[2]
    assert len(log(home)) == 6
    assert len(set(log(home))) == 2


def test_the_working_tree_is_built_as_it_is(home: Path) -> None:
    """With what isn't committed, and new files; what is ignored, and what a run leaves, makes no other source of it."""
    (home / "tool").write_text("three")
    made = built(mine(), "worktree", home)
    assert (made / "tool").read_text() == "three"
    (home / "netbench-results").mkdir()
    for unimportant in ("tool.o", "netbench-results/results.json"):
        (home / unimportant).write_text("x")
    assert built(mine(), "worktree", home) == made
    (home / "new").touch()
    assert built(mine(), "worktree", home) != made
    assert git(home, "status", "--porcelain", "tool") == "M tool"
    assert git(home, "diff", "--cached") == ""


def test_a_clean_working_tree_is_its_commit(home: Path) -> None:
    """The same tree is the same build, whatever it is called."""
    assert built(mine(), "worktree", home) == built(mine(), "HEAD", home)


def test_merge_base_is_where_the_branch_began(home: Path) -> None:
    """Of HEAD and the main branch."""
    git(home, "checkout", "--quiet", "-b", "topic")
    commit(home, "three")
    assert (built(mine(), "merge-base", home) / "tool").read_text() == "two"


def test_without_a_main_branch_there_is_no_merge_base(home: Path) -> None:
    """What was looked for is said, and in a shallow clone what to do."""
    git(home, "branch", "--quiet", "--move", "main", "topic")
    with pytest.raises(UsageError, match=r"none of origin/HEAD, origin/main.*; name a ref instead"):
        built(mine(), "merge-base", home)
    git(home.parent, "clone", "--quiet", "--depth", "1", home.as_uri(), "shallow")
    clone = home.parent / "shallow"
    git(clone, "update-ref", "-d", "refs/remotes/origin/HEAD")
    with pytest.raises(UsageError, match="this clone is shallow: git fetch --unshallow"):
        built(mine(), "merge-base", clone)


def test_command_tools_and_flags_make_another_build(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them changes what comes out."""
    keys = {build.plan(mine(), "HEAD", home).key, build.plan(mine(BUILD + " "), "HEAD", home).key}
    keys.add(build.plan(replace(mine(), toolchain=("echo 2",)), "HEAD", home).key)
    monkeypatch.setenv("RUSTFLAGS", "-C opt-level=1")
    keys.add(build.plan(mine(), "HEAD", home).key)
    monkeypatch.setenv("CARGO_HOME", "/elsewhere")
    keys.add(build.plan(mine(), "HEAD", home).key)
    assert len(keys) == 4


def test_products_take_the_place_in_command_lines(home: Path) -> None:
    """In those of level command too."""
    out = built(mine(), "HEAD", home)
    assert build.at(mine(), out).executable(Role.SERVER) == out / "tool"
    assert build.at(build.at(mine(), Path("/elsewhere")), out) == build.at(mine(), out)
    section = {"level": "command", "build": BUILD, "server": "$OUT/tool", "client": {"upload": "x $OUT"}}
    row = build.at(registry.table({"mine": section})["mine"], out)
    assert row.executable(Role.SERVER) == out / "tool"
    assert row.foreign is not None
    assert [line[-1] for line in row.foreign.lines[Role.CLIENT].values()] == [str(out)]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo no such crate; exit 3", ["exited with status 3: echo no such crate", "no such crate", "all of it: "]),
        ("kill -9 $$", ["was ended by SIGKILL"]),
        ("echo done", ["left nothing in $OUT", "done"]),
    ],
    ids=["fails", "is killed", "makes nothing"],
)
def test_a_build_that_fails_is_told_with_its_last_words(home: Path, command: str, words: list[str]) -> None:
    """Which driver, at which ref, and where all that it printed is; nothing is left in the cache."""
    with pytest.raises(BuildError) as caught:
        built(mine(command), "HEAD", home)
    assert str(caught.value).startswith("the build of mine at HEAD (")
    assert all(word in str(caught.value) for word in words)
    assert not build.plan(mine(command), "HEAD", home).out.exists()


@pytest.mark.parametrize(
    ("ref", "words"),
    [("nowhere", "has no commit 'nowhere': expected a ref of git's, merge-base or worktree"), ("--all", "'--all'")],
)
def test_a_ref_that_is_none_is_told(home: Path, ref: str, words: str) -> None:
    """Before anything is built."""
    with pytest.raises(UsageError, match=words):
        built(mine(), ref, home)


def test_a_commit_that_a_shallow_clone_lacks_is_fetched_by_its_name(home: Path) -> None:
    """As that of a stored baseline, in a job that checked out one commit."""
    first = git(home, "rev-parse", "HEAD~1")
    git(home.parent, "clone", "--quiet", "--depth", "1", home.as_uri(), "shallow")
    with pytest.raises(UsageError, match=f"this clone is shallow: git fetch origin {first}"):
        Repository.at(home.parent / "shallow").source(first)


def test_what_is_stored_beside_the_configuration_is_no_source(home: Path) -> None:
    """A baseline that was just written doesn't make another program of the tree, nor a changed one."""
    before = Repository.at(home).source("worktree").tree
    (home / ".netbench").mkdir()
    (home / ".netbench" / "main.json").write_text("{}")
    assert Repository.at(home).source("worktree").tree == before
    git(home, "add", "--all")
    assert baseline_file.commit(home) == git(home, "rev-parse", "HEAD")
    (home / "tool").write_text("three")
    assert baseline_file.commit(home).endswith("+")


def test_a_folder_without_repository_is_told(tmp_path: Path) -> None:
    """What was looked at."""
    with pytest.raises(UsageError, match="isn't in a git repository"):
        Repository.at(tmp_path)


def test_two_at_once_build_once(home: Path) -> None:
    """The second waits for the first, and takes what that made."""
    with ThreadPoolExecutor() as pool:
        outs = set(pool.map(lambda _: built(mine(), "HEAD", home), range(4)))
    assert len(outs) == 1
    assert len(log(home)) == 2


def test_a_build_whose_session_is_killed_leaves_no_half_product(home: Path) -> None:
    """What it began isn't taken for a product, nor built upon; it goes on by itself, and the next to build ends it."""
    os.mkfifo(said := home.parent / "said")
    command = f"echo half > $OUT/tool; echo stale > stale.o; sh -c 'echo $$ > {said}; exec sleep 600'; true"
    code = (
        "from pathlib import Path; from tests.drivers.test_build import built, mine; "
        f"built(mine({command!r}), 'HEAD', Path({str(home)!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2]) as child:
        abandoned = os.pidfd_open(int(said.read_text()))  # it has begun
        child.kill()
    assert not build.plan(mine(command), "HEAD", home).out.exists()
    made = built(mine("ls > $OUT/list"), "HEAD", home)
    assert "stale.o" not in (made / "list").read_text()
    assert select.select([abandoned], [], [], 30)[0] == [abandoned]  # its lock is free a moment before it is gone
    os.close(abandoned)


def test_a_build_that_somebody_waits_for_is_let_be(home: Path) -> None:
    """Another session's: it is waited for, and what it made is taken."""
    os.mkfifo(said := home.parent / "said")
    os.mkfifo(go := home.parent / "go")
    command = f"echo > {said}; cat {go} > $OUT/tool"
    with ThreadPoolExecutor() as pool:
        first = pool.submit(built, mine(command), "HEAD", home)
        said.read_text()  # it has begun
        second = pool.submit(built, mine("echo another > $OUT/tool"), "HEAD", home)
        build.end_abandoned(build.plan(mine(), "HEAD", home).root / build.PRODUCTS)  # as the second does, waiting
        go.write_text("mine")
        assert (first.result() / "tool").read_text() == "mine"
        assert (second.result() / "tool").read_text() == "another\n"
