"""Is anything ever leaked? Killed by SIGKILL before or after each API call; its clean-up too, which is begun anew."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_netbench.hosts.aws.reaper import clean
from pytest_netbench.hosts.ledger import entries, held
from pytest_netbench.testing.aws.emulation import Emulation
from tests.aws.aws_runs import left

OWNER = """
import asyncio, json, os, signal, sys
from pathlib import Path
from pytest_netbench.drivers import registry
from pytest_netbench.hosts.aws import api, provider
from pytest_netbench.hosts.aws.provider import AwsProvider
from pytest_netbench.hosts.aws.reaper import clean
from pytest_netbench.hosts.ledger import Ledger
from pytest_netbench.hosts.model import Need
from pytest_netbench.hosts.provider import ProviderContext

what, settings, when, at, path = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
seen, make = [], api.Aws._make

class NoReaper:
    def __init__(self, *_): pass
    def dismiss(self): pass
    def hand_over(self): pass

provider.Reaper = NoReaper

def crash(event_name, **_):
    if not seen or seen[-1] != event_name:  # repeats of one poll are one
        seen.append(event_name)
        if len(seen) == at:
            os.kill(os.getpid(), signal.SIGKILL)

def hooked(self, service, *, once):
    client = make(self, service, once=once)
    client.meta.events.register_first("before-send" if when == "before" else "needs-retry", crash)
    return client

api.Aws._make = hooked

async def live():
    with Ledger(Path(path).stem, Path(path)) as ledger:
        context = ProviderContext(ledger.run, ledger, registry.dump(registry.KNOWN), settings)
        async with AwsProvider(context) as made, made.fleet(Need(1, 0)):
            pass

if what == "live":
    asyncio.run(live())
else:
    clean(Path(path))
"""
CLEANUP_CALLS = 8
"""A clean-up makes about so many; each of them is the one at which some point's clean-up is killed."""
DELAYS = {"boot_s": 0.02, "agent_s": 0.02, "end_s": 0.05}


@pytest.fixture(scope="module")
def own() -> Iterator[Emulation]:
    """A cloud of this file's own, since crashed runs leave things for a while."""
    with Emulation() as cloud:
        cloud.delays(**DELAYS)
        cloud.set_up()
        yield cloud


def child(cloud: Emulation, what: str, when: str, at: int, ledger: Path) -> int:
    """Live through a run, or its clean-up, up to the call at which it is killed; how it ended."""
    command = [sys.executable, "-c", OWNER, what, json.dumps(dict(cloud.settings())), when, str(at), str(ledger)]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


def crash_and_clean(cloud: Emulation, when: str, at: int, folder: Path) -> bool:
    """One crash point; whether there was such a call."""
    ledger = folder / f"{when}-{at}.jsonl"
    ended = child(cloud, "live", when, at, ledger)
    child(cloud, "clean", when, 1 + at % CLEANUP_CALLS, ledger)
    clean(ledger)
    assert left(cloud) == [], (when, at)
    assert not held(entries(ledger))
    return ended != 0


SAMPLE = random.Random(7).sample([(when, at) for when in ("before", "after") for at in range(7, 24)], 4)
"""Some of the calls that make or remove something."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("when", "at"), SAMPLE)
def test_a_crash_leaks_nothing(own: Emulation, tmp_path: Path, when: str, at: int) -> None:
    """A seeded sample of the points."""
    assert crash_and_clean(own, when, at, tmp_path)


@pytest.mark.deep
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("visible_s", [0.0, 3.0])
@pytest.mark.parametrize("when", ["before", "after"])
def test_no_crash_leaks_anything(own: Emulation, tmp_path: Path, when: str, visible_s: float) -> None:
    """Every point there is; also while new instances can't be seen yet. ``-s`` shows how many there are."""
    own.delays(visible_s=visible_s)
    try:
        points = sum(1 for _ in itertools.takewhile(lambda at: crash_and_clean(own, when, at, tmp_path), range(1, 99)))
    finally:
        own.delays(visible_s=0.0)
    print(f"\n{when}, {visible_s:g} s invisible: {points} crash points, nothing leaked")  # noqa: T201  a figure
    assert points > 20
