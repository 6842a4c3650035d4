"""Which tests run two arms, and what are those? Arms of markers and options on tests' drivers, before any is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_netbench.drivers import build
from pytest_netbench.drivers.repository import WORKTREE, Repository
from pytest_netbench.errors import NetbenchError, Unsupported, UsageError
from pytest_netbench.gate.baseline_file import commit
from pytest_netbench.gate.contenders import Contender, contenders
from pytest_netbench.roles import Role
from pytest_netbench.session.bridge import pair_of, spec
from pytest_netbench.session.command import repeat
from pytest_netbench.session.session import known
from pytest_netbench.settings.marker import EACH
from pytest_netbench.settings.plan import Contest

if TYPE_CHECKING:
    from pytest_netbench.drivers.driver import Driver
    from pytest_netbench.gate.arms import Arm, Arms
    from pytest_netbench.hosts.model import Link
    from pytest_netbench.session.session import Session
    from pytest_netbench.settings.marker import Spec
    from pytest_netbench.settings.plan import Plan

CONTEST: pytest.StashKey[Contest | NetbenchError] = pytest.StashKey()

BY_HAND = frozenset({"server_coord", "client_coord"})
"""The fixtures of a test that carries out its rounds itself, so that nobody else can interleave them."""


class NotBuilt(UsageError):
    """A git ref was asked for of a driver that no repository builds."""


def is_gated(session: Session, wanted: Spec) -> bool:
    """Whether a test has gated metrics and something to compare them with."""
    return bool(wanted.gate) and (session.settings.ab or wanted.ab) is not None


def prepare(session: Session, items: Sequence[pytest.Item]) -> None:
    """Count what is gated, and make what arms need: builds happen here, before the first host is made.

    An arm that can't be made fails its test when that is run, not the others. A driver that isn't built can't differ
    between two git refs: its tests are skipped, if there are others that do.
    """
    specs = [spec(item) for item in items]
    gated = [one for one in specs if is_gated(session, one)]
    session.entries = sum(len(one.gate) for one in gated)
    session.budget.gated, session.budget.others = len(gated), len(specs) - len(gated)
    made: list[pytest.Item] = []
    for item, wanted in zip(items, specs, strict=True):
        chosen = session.settings.ab or wanted.ab
        pair = pair_of(item)
        if chosen is not None and pair is not None and BY_HAND.isdisjoint(getattr(item, "fixturenames", ())):
            item.stash[CONTEST] = _contest(session, item, pair, wanted, chosen)
            made.append(item)
    if any(isinstance(item.stash[CONTEST], Contest) for item in made):
        for item in made:
            if isinstance(error := item.stash[CONTEST], NotBuilt):  # the refs are about others
                item.stash[CONTEST] = Unsupported(str(error))


def _contest(
    session: Session, item: pytest.Item, pair: tuple[str, str], wanted: Spec, chosen: Arms
) -> Contest | NetbenchError:
    own = {role: tuple(names.split(EACH)) for role, names in zip((Role.SERVER, Role.CLIENT), pair, strict=True)}
    try:
        ref, cand = contenders(chosen, own, wanted.options, wanted.link, Workshop(session))
    except NetbenchError as error:
        return error
    for row in _rows(ref, cand):
        if row.name not in session.drivers:
            session.drivers[row.name] = row
    commits = (commit_of(session, chosen.ref), commit_of(session, chosen.cand))
    return Contest(ref, cand, session.entries, repeat=repeat(item.config, item.nodeid), commits=commits)


def commit_of(session: Session, one: Arm) -> str:
    """The commit from which an arm is built, with ``+`` for the working tree's changes; empty if it isn't built."""
    if one.build is None:
        return ""
    home = session.settings.home
    return commit(home) if one.build == WORKTREE else Repository.at(home).source(one.build).commit


def _rows(*arms: Contender) -> Iterator[Driver]:
    for one in arms:
        for drivers in one.drivers.values():
            yield from drivers


def contest_of(item: pytest.Item) -> Contest | None:
    """The arms of a test, if it has some; if they could not be made, the test ends in the words of what failed."""
    made = item.stash.get(CONTEST, None)
    if isinstance(made, Unsupported):
        pytest.skip(f"unsupported: {made}")
    if isinstance(made, NetbenchError):
        pytest.fail(str(made), pytrace=False)
    return None if made is None else replace(made, attempt=getattr(item, "execution_count", 1))


def contest(session: Session, plan: Plan, chosen: Arms, link: Link | None) -> Contest:
    """The arms that a test compares by itself.

    :raises UsageError: for programs that the hosts don't know, since only markers and options tell them beforehand.
    """
    sides = {Role.SERVER: plan.server_driver, Role.CLIENT: plan.client_driver}
    own = {role: tuple(row.name for row in plan.each.get(role, (driver,))) for role, driver in sides.items()}
    ref, cand = contenders(chosen, own, plan.spec.options, link or plan.spec.link, Workshop(session))
    for one in (ref, cand):
        for row in _rows(one):
            if row.name not in session.drivers:
                raise UsageError(
                    f"arm {one.label}: programs of a build or a path must be known before hosts are made: "
                    "name it in @pytest.mark.netbench(ab=arms(...)), too"
                )
    return Contest(ref, cand)


class Workshop:
    """Rows and builds of a session, as arms want them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def ready(self, name: str) -> Driver:
        """The session's row; if it is built, from the working tree."""
        self._session.ensure_built(name)
        return self._session.driver(name)

    def raw(self, name: str) -> Driver:
        """The row as the configuration has it."""
        return known("driver", name, self._session.drivers)

    def build(self, row: Driver, ref: str, again: int) -> Path:
        """The folder with what a row's build command makes of a git ref; ``again``: which other build of it.

        :raises UsageError: if it has none, or there is no such ref.
        :raises BuildError: if it fails.
        """
        if not row.build:
            raise NotBuilt(f"driver {row.name} can't be built from {ref!r}: it has no `build` command")
        return self._session.make(build.plan(row, ref, self._session.settings.home, again))
