"""What does one process hold for its benchmarks? Settings, tables, the run's name, and the provider while it lives."""

from __future__ import annotations

import gc
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_netbench.errors import BuildError, UsageError, nearest
from pytest_netbench.session.budget import Budget
from pytest_netbench.settings.marker import EACH

if TYPE_CHECKING:
    from pytest_netbench.drivers.build import Build
    from pytest_netbench.drivers.driver import Driver
    from pytest_netbench.gate.accept import Acceptance
    from pytest_netbench.gate.arms import Arms
    from pytest_netbench.gate.baseline import Reference
    from pytest_netbench.gate.calibration import Calibration
    from pytest_netbench.hosts.ledger import Ledger
    from pytest_netbench.hosts.model import Need
    from pytest_netbench.hosts.provider import Provider
    from pytest_netbench.result.result import Result
    from pytest_netbench.result.source import Source
    from pytest_netbench.settings.options import Settings


T = TypeVar("T")

PROVIDERS = {
    "local": "pytest_netbench.hosts.local:LocalProvider",
    "aws": "pytest_netbench.hosts.aws.provider:AwsProvider",
}
"""Providers that are always there."""


def run_name() -> str:
    """A name for a run: when it began, and enough chance that two of one second differ."""
    return time.strftime("%Y%m%dt%H%M%S", time.gmtime()) + "-" + secrets.token_hex(3)


def utc_now() -> str:
    """This moment, as results have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _none() -> Mapping[str, Any]:
    return {}


def _nothing(_: str) -> None:
    return


@dataclass
class Session:
    """One process's share of a run; under xdist, each worker has one, and the controller too.

    ``run`` names the whole run, ``name`` this process's part of it. ``read`` finds the settings, ``added_drivers`` and
    ``added_providers`` what plugins offer: each is asked once, when it is first needed. ``sources``: what plugins
    measure beside every round. ``entries``: gated metrics of
    all tests of the session. ``judged``: what gated tests came to, so that running one again doesn't ask anew.
    ``accepted``: the regressions that tests were told to let pass. ``upcoming``: what tests that haven't begun need, by
    their ids. ``hurried``: whether somebody interrupted the run. ``say`` shows a line to whoever waits.
    """

    read: Callable[[], Settings]
    run: str = field(default_factory=run_name)
    worker: str = ""
    added_drivers: Callable[[], Mapping[str, Any]] = _none
    added_providers: Callable[[], Mapping[str, Any]] = _none
    sources: Mapping[str, Source] = field(default_factory=dict)
    started: str = field(default_factory=utc_now)
    provider: Provider | None = None
    ledger: Ledger | None = None
    entries: int = 1
    judged: dict[str, Result] = field(default_factory=dict)
    accepted: dict[Acceptance, None] = field(default_factory=dict)
    _trailers: dict[str, tuple[Acceptance, ...]] = field(default_factory=dict)
    upcoming: dict[str, Need] = field(default_factory=dict)
    hurried: bool = False
    say: Callable[[str], None] = _nothing
    _builds: dict[str, Build] = field(default_factory=dict)
    _failed_builds: dict[str, BuildError] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The run's name, with the xdist worker's where there is one."""
        return f"{self.run}-{self.worker}" if self.worker else self.run

    @cached_property
    def settings(self) -> Settings:
        """What the user set.

        :raises UsageError: names the option, variable or key, and what was expected.
        """
        return self.read()

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """The stored baselines that tests are held against.

        :raises UsageError: if there is none of that name.
        :raises ResultsError: if one is malformed.
        """
        from pytest_netbench.gate.baseline_file import reference

        return tuple(reference(self.settings.home, text) for text in self.settings.baselines)

    @cached_property
    def calibration(self) -> Calibration:
        """What `netbench calibrate` measured here; empty where it hasn't.

        :raises ResultsError: if its file can't be read or is malformed.
        """
        from pytest_netbench.gate.calibration import FILE, Calibration, from_text

        path = self.settings.home / FILE
        return from_text(path.read_bytes(), f"calibration {path}") if path.is_file() else Calibration()

    def acceptances(self, arms: Arms | None = None) -> tuple[Acceptance, ...]:
        """The regressions that are let pass between two arms: by options, and by trailers of the commits in between.

        Without arms that are built, the commit that is checked out counts alone. What was asked for is ``accepted``.

        :raises UsageError: if one is malformed.
        """
        from pytest_netbench.gate.accept import acceptance, compared_commits, trailers

        by_option = [acceptance(text) for text in self.settings.accept]
        commits = compared_commits(arms or self.settings.ab, self.settings.home)
        if commits not in self._trailers:
            self._trailers[commits] = trailers(self.settings.home, commits)
        self.accepted |= dict.fromkeys([*by_option, *self._trailers[commits]])
        return tuple(dict.fromkeys([*by_option, *self._trailers[commits]]))

    @cached_property
    def drivers(self) -> dict[str, Driver]:
        """All rows: built in, the real ones, the configuration's, other plugins', and what arms need beside them.

        :raises UsageError: if a row is malformed; names its table and key.
        """
        from pytest_netbench.drivers import registry

        return dict(registry.table(self.settings.driver_rows, self.added_drivers(), self.settings.home))

    @cached_property
    def budget(self) -> Budget:
        """The time that all tests share."""
        return Budget(self.settings.budget)

    @cached_property
    def providers(self) -> Mapping[str, str | type[Provider]]:
        """All providers by name; of those that are always there, their place: each is loaded when it is used."""
        return {**PROVIDERS, **self.added_providers()}

    def driver(self, name: str) -> Driver:
        """A driver's row; of one that is built, with the place where its build of the working tree is, or will be.

        :raises UsageError: if there is none of that name, or its repository isn't found.
        """
        row = known("driver", name, self.drivers)
        if not row.build:
            return row
        from pytest_netbench.drivers import build
        from pytest_netbench.drivers.repository import WORKTREE

        if name not in self._builds:
            self._builds[name] = build.plan(row, WORKTREE, self.settings.home)
        return build.at(row, self._builds[name].out)

    def cast(self, names: str) -> tuple[Driver, ...]:
        """The rows of one side: one for all its hosts, or one for each, their names joined by ``+``.

        :raises UsageError: if there is none of a name.
        """
        return tuple(self.driver(name) for name in names.split(EACH))

    @property
    def hosts_drivers(self) -> Mapping[str, Driver]:
        """The table as hosts get it: of drivers that are built, those that were asked for know where they are."""
        return {**self.drivers, **{name: self.driver(name) for name in self._builds}}

    def ensure_built(self, names: str) -> None:
        """Build each that is built and hasn't been; once a session, also where that fails.

        :raises BuildError: with the last lines that its build printed.
        """
        self.cast(names)
        for name in names.split(EACH):
            self._ensure_built(name)

    def _ensure_built(self, name: str) -> None:
        if name in self._failed_builds:
            raise self._failed_builds[name]
        if name in self._builds:
            try:
                self.make(self._builds[name])
            except BuildError as error:
                self._failed_builds[name] = error
                raise

    def make(self, planned: Build) -> Path:
        """The folder with what a build makes; one that has to be made, and may take long, is told.

        :raises BuildError: with the last lines that it printed.
        """
        from pytest_netbench.drivers import build

        if not planned.out.is_dir():
            self.say(f"{planned}: {planned.driver.build} (prints into {planned.log})")
        return build.ensure(planned)

    def provider_class(self, name: str | None = None) -> type[Provider]:
        """The provider of that name, or the one that this session uses.

        :raises UsageError: if there is none of that name.
        """
        found = known("provider", name or self.settings.provider, self.providers)
        if isinstance(found, str):
            module, _, word = found.partition(":")
            kind: type[Provider] = getattr(import_module(module), word)
            return kind
        return found

    @property
    def provider_settings(self) -> Mapping[str, object]:
        """The own section of the provider that this session uses."""
        return self.settings.providers.get(self.settings.provider, {})

    @cached_property
    def staging(self) -> Path:
        """A folder for what rounds leave, until it is moved into the result folder."""
        folder = Path(tempfile.mkdtemp(prefix="netbench-"))
        if self.ledger is not None:
            self.ledger.made("directory", str(folder))
        return folder

    def hurry(self) -> None:
        """Somebody interrupts the run, and may not wait long: hosts that take their time are left to a reaper."""
        self.hurried = True
        gc.freeze()  # pytest searches for garbage ten times at its end: half a second with all that is loaded
        if self.provider is not None:
            self.provider.hurry()

    def close(self) -> None:
        """Remove what is still held, without an event loop."""
        if self.provider is not None:
            self.provider.sweep()
        if "staging" in self.__dict__:
            shutil.rmtree(self.staging, ignore_errors=True)
            if self.ledger is not None:
                self.ledger.removed("directory", str(self.staging))
        if self.ledger is not None:
            self.ledger.close()


def known(kind: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of a table.

    :raises UsageError: if there is none of that name; names the nearest.
    """
    if name not in table:
        raise UsageError(f"unknown {kind} {name!r}: {nearest(name, table)}")
    return table[name]
