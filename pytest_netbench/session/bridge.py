"""What of ours hangs on pytest's objects? Typed stash keys, and how a session is made from a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from pytest_netbench.session.session import Session, run_name
from pytest_netbench.settings import options

if TYPE_CHECKING:
    from pytest_netbench.session.bench import Netbench
    from pytest_netbench.settings.marker import Spec
    from pytest_netbench.settings.plan import Plan

SESSION: pytest.StashKey[Session] = pytest.StashKey()
BENCH: pytest.StashKey[Netbench] = pytest.StashKey()
PLAN: pytest.StashKey[Plan] = pytest.StashKey()
TIMEOUT: pytest.StashKey[Any] = pytest.StashKey()

FIXTURES = frozenset({"netbench_driver", "netbench_provider"})
"""The fixtures of which ours are made; another's of the same name as one of ours (``hosts``) needs neither."""


def is_ours(item: object) -> bool:
    """Whether a collected item asks for one of our fixtures, directly or through its own."""
    return not FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def pair_of(item: pytest.Item) -> tuple[str, str] | None:
    """The names of the server's and the client's driver of this test, None of one that runs none."""
    params: Mapping[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    return params.get("netbench_driver")


def spec(node: pytest.Item | pytest.Function) -> Spec:
    """The test's marker; where that declares no limits, with those that plugins have for it.

    :raises UsageError: names the argument, and the nearest known one.
    """
    from pytest_netbench.settings.marker import spec_of

    marks: list[Any] = [(mark.args, mark.kwargs) for mark in node.iter_markers("netbench")]
    gates = merged(node.ihook.pytest_netbench_gates(item=node))
    return spec_of([*marks, ((), {"gate": gates})] if gates else marks)


def session_of(config: pytest.Config) -> Session:
    """The session of this configuration, made when it is first asked for."""
    if SESSION not in config.stash:
        given: Mapping[str, Any] = getattr(config, "workerinput", {})
        config.stash[SESSION] = Session(
            read=lambda: options.settings(start=config.rootpath, command_line=options.given(config.option)),
            run=given.get("netbench_run") or run_name(),
            worker=given.get("workerid", ""),
            added_drivers=lambda: merged(config.hook.pytest_netbench_drivers(config=config)),
            added_providers=lambda: merged(config.hook.pytest_netbench_providers(config=config)),
            say=lambda line: _say(config, line),
        )
    return config.stash[SESSION]


def _say(config: pytest.Config, line: str) -> None:
    """Show a line at once, past what keeps the output of tests."""
    reporter, capture = (config.pluginmanager.get_plugin(name) for name in ("terminalreporter", "capturemanager"))
    if reporter is None:  # a worker of pytest-xdist
        return
    with nullcontext() if capture is None else capture.global_and_fixture_disabled():
        reporter.ensure_newline()
        reporter.write_line(f"netbench: {line}")


def merged(tables: list[Mapping[str, Any]]) -> dict[str, Any]:
    """What several plugins offer, as one table."""
    return {name: row for table in tables for name, row in table.items()}


class TimeoutClock:
    """The clock of pytest-timeout for one test, which stands still while the test waits for its turn."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def stop(self) -> None:
        """The test waits: its time doesn't count."""
        if TIMEOUT in self._item.stash:
            self._item.config.hook.pytest_timeout_cancel_timer(item=self._item)

    def start(self) -> None:
        """It goes on, with the whole of its time."""
        if TIMEOUT in self._item.stash:
            self._item.config.hook.pytest_timeout_set_timer(item=self._item, settings=self._item.stash[TIMEOUT])
