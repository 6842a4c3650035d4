"""Who waits for whom, and whose clock stands still meanwhile?"""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_netbench.errors import HostError
from pytest_netbench.hosts.lock import machine_lock
from pytest_netbench.session.bridge import TIMEOUT, TimeoutClock
from pytest_netbench.settings.plan import another
from tests.plugin.conftest import results


def an_item(*, limited: bool) -> tuple[Any, list[str]]:
    """A test with or without a timeout, and what pytest-timeout was asked."""
    asked: list[str] = []
    hook = SimpleNamespace(
        pytest_timeout_cancel_timer=lambda item: asked.append("cancel"),
        pytest_timeout_set_timer=lambda item, settings: asked.append(f"set {settings}"),
    )
    item = SimpleNamespace(stash=pytest.Stash(), config=SimpleNamespace(hook=hook))
    if limited:
        item.stash[TIMEOUT] = "9 s"
    return item, asked


@pytest.mark.parametrize(("limited", "expected"), [(True, ["cancel", "set 9 s"]), (False, [])])
def test_the_clock_of_pytest_timeout_is_stopped_and_started_again(limited: bool, expected: list[str]) -> None:
    """Through its own hooks, with the settings that it began with; a test without a timeout is left alone."""
    item, asked = an_item(limited=limited)
    clock = TimeoutClock(item)
    clock.stop()
    clock.start()
    assert asked == expected


async def test_the_second_waits_until_the_first_is_done(tmp_path: Path) -> None:
    """Rounds never overlap; the one who waits is told so, and when it goes on."""
    waits, goes_on = asyncio.Event(), asyncio.Event()
    async with machine_lock(deadline=60, path=tmp_path / "lock"):
        second = machine_lock(deadline=60, on_wait=waits.set, on_acquired=goes_on.set, path=tmp_path / "lock")
        entering = asyncio.ensure_future(second.__aenter__())
        await asyncio.wait_for(waits.wait(), 60)
        assert not goes_on.is_set()
    await entering
    assert goes_on.is_set()
    await second.__aexit__(None, None, None)


async def test_who_waits_too_long_is_told_for_what(tmp_path: Path) -> None:
    """The message names the lock's file."""
    async with machine_lock(deadline=60, path=tmp_path / "lock"):
        with pytest.raises(HostError, match=str(tmp_path / "lock")):
            async with machine_lock(deadline=0.01, path=tmp_path / "lock"):
                pass


@pytest.mark.parametrize(
    ("valid", "spent", "due"),
    [
        ([], 0.0, True),
        ([True, True], 2.0, True),
        ([True, True], 9.0, False),
        ([True, True, True], 1.0, False),
        ([False, True, False], 1.0, False),
        ([False, False, False], 1.0, True),
        ([False] * 5, 1.0, False),
    ],
    ids=["none yet", "time is left", "time is up", "all planned", "one counts", "none counts", "still none"],
)
def test_when_another_round_is_due(valid: list[bool], spent: float, due: bool) -> None:
    """Of three planned ones with a budget of ten seconds; two more at most while none counts."""
    plan: Any = SimpleNamespace(rounds=3, budget=10.0)
    rounds: Any = [SimpleNamespace(valid=one) for one in valid]
    assert another(plan, rounds, spent) is due


def test_a_budget_ends_the_rounds(project: pytest.Pytester) -> None:
    """Of many rounds only those are run for which there is time, and at least one."""
    project.runpytest_subprocess("test_ping.py", "--netbench-rounds", "50", "--netbench-budget", "1ms").assert_outcomes(
        passed=1
    )
    assert len(results(project)["tests"][0]["rounds"]) == 1


def test_warm_up_is_thrown_away(project: pytest.Pytester) -> None:
    """Rounds before the first don't appear in the results."""
    (project.path / "netbench.toml").write_text("warmup = 2\n")
    project.runpytest_subprocess("test_ping.py").assert_outcomes(passed=1)
    assert [one["index"] for one in results(project)["tests"][0]["rounds"]] == [0]
