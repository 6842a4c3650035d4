"""Which source does a ref mean? Trees of a git repository, the working tree as it is included, laid out at one path."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_netbench.errors import BuildError, UsageError

WORKTREE, MERGE_BASE = "worktree", "merge-base"
"""The refs that git doesn't know: the working tree with what isn't committed, and where HEAD left the main branch."""

_NO_SOURCE = (
    ":(exclude)netbench-results",
    ":(exclude,glob)**/__pycache__/**",
    ":(exclude,glob)**/.netbench/**",
)
"""What a run leaves in the working tree: it must not make another source of it."""

_MAIN = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
_DEADLINE = 300.0
"""Seconds that git may take for one thing."""

_NAMED = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in
          (("NAME", "netbench"), ("EMAIL", "netbench@localhost"), ("DATE", "2000-01-01T00:00:00Z"))}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """What a ref means: a tree, and a commit that has it. ``name``: as a person would say it."""

    tree: str
    commit: str
    name: str


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository, by the top of its working tree."""

    top: Path

    @classmethod
    def at(cls, folder: Path) -> Repository:
        """The repository that a folder belongs to.

        :raises UsageError: if it belongs to none, or git isn't here.
        """
        try:
            return cls(Path(_git(folder, "rev-parse", "--show-toplevel").strip()))
        except BuildError as error:
            raise UsageError(f"{folder} isn't in a git repository, so no ref of it can be built: {error}") from error

    def source(self, ref: str) -> Source:
        """What a ref means: any of git's, ``merge-base``, or ``worktree``.

        :raises UsageError: if git knows no such ref; says what it said.
        """
        if ref == WORKTREE:
            return self._working_tree()
        wanted = self._merge_base() if ref == MERGE_BASE else ref
        try:
            commit = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{wanted}^{{commit}}").strip()
        except BuildError as error:
            known = f"a ref of git's, {MERGE_BASE} or {WORKTREE}"
            remedy = f"; this clone is shallow: git fetch origin {ref}" if self._is_shallow else ""
            raise UsageError(f"{self.top} has no commit {ref!r}: expected {known}{remedy}") from error
        tree = self.git("rev-parse", f"{commit}^{{tree}}").strip()
        return Source(tree, commit, f"{ref} ({commit[:12]})")

    def _merge_base(self) -> str:
        for main in _MAIN:
            try:
                return self.git("merge-base", "HEAD", main).strip()
            except BuildError:
                continue
        remedy = "this clone is shallow: git fetch --unshallow" if self._is_shallow else "name a ref instead"
        none = f"none of {', '.join(_MAIN)} has a commit in common with HEAD"
        raise UsageError(f"{self.top} has no {MERGE_BASE}: {none}; {remedy}")

    @property
    def _is_shallow(self) -> bool:
        return self.git("rev-parse", "--is-shallow-repository").strip() == "true"

    def _working_tree(self) -> Source:
        """All that isn't ignored, as it stands there, without touching the index, or any branch."""
        with tempfile.TemporaryDirectory(prefix="netbench-index-") as folder:
            copy, own = Path(folder) / "index", self.top / self.git("rev-parse", "--git-path", "index").strip()
            if own.is_file():  # it knows which files haven't changed, and which aren't checked out
                shutil.copyfile(own, copy)
            index = {"GIT_INDEX_FILE": str(copy)}
            self.git("add", "--all", "--", ".", *_NO_SOURCE, env=index)
            tree = self.git("write-tree", env=index).strip()
        parent = ("-p", self.git("rev-parse", "HEAD").strip()) if self._has_commits() else ()
        commit = self.git("commit-tree", *parent, "-m", "the working tree", tree, env=_NAMED).strip()
        return Source(tree, commit, f"{WORKTREE} (tree {tree[:12]})")

    def _has_commits(self) -> bool:
        try:
            self.git("rev-parse", "--verify", "--quiet", "HEAD")
        except BuildError:
            return False
        return True

    def lay_out(self, source: Source, place: Path, *, clean: bool) -> None:
        """Have a commit's files at a path, as a worktree of git's; what it ignores stays, unless ``clean``.

        :raises BuildError: if git can't.
        """
        self.git("worktree", "prune")
        if not (place / ".git").exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            self.git("worktree", "add", "--force", "--detach", "--no-checkout", str(place), source.commit)
        _git(place, "checkout", "--force", "--detach", source.commit)
        _git(place, "clean", "-ffd", *(["-x"] if clean else []), "--quiet")
        if (place / ".gitmodules").exists():
            _git(place, "submodule", "update", "--init", "--recursive", "--force")

    def git(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """What git prints.

        :raises BuildError: if it fails; says what it said.
        """
        return _git(self.top, *arguments, env=env)


_OWN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""What a hook of git's sets: it would have another repository looked at than that of the folder."""


def _git(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    inherited = {name: value for name, value in os.environ.items() if name not in _OWN}
    command: Sequence[str] = ("git", "-C", str(folder), "-c", "core.hooksPath=/dev/null", *arguments)
    try:
        done = subprocess.run(
            command, env={**inherited, **(env or {})}, capture_output=True, text=True, timeout=_DEADLINE, check=False
        )
    except FileNotFoundError:
        raise BuildError("git isn't on PATH") from None
    except subprocess.TimeoutExpired:
        raise BuildError(f"git {arguments[0]} took longer than {_DEADLINE:g} s") from None
    if done.returncode != 0:
        raise BuildError(f"git {' '.join(arguments[:2])}: {done.stderr.strip() or f'status {done.returncode}'}")
    return done.stdout
