"""What comes with a confirmed regression? Profiles and qlogs of both arms, from rounds of their own after the verdict.

Watching costs time, so that nothing of it happens while rounds are measured; and it harms nothing: what can't be had
is said, and changes no verdict.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench import run as one_round
from pytest_netbench.drivers.job import Watch
from pytest_netbench.drivers.profiling import NOTE
from pytest_netbench.errors import NetbenchError
from pytest_netbench.result.model import Evidence, Profile

if TYPE_CHECKING:
    from pytest_netbench.ab.bench import Bench
    from pytest_netbench.gate.contenders import Contender
    from pytest_netbench.hosts.model import Host

ENOUGH = 300
"""Samples of each side and arm with which profiles are worth comparing."""

MOST, MOST_S, SHARE = 12, 20.0, 0.2
"""Rounds of each arm that are profiled to have as many; and when no other pair of them begins any more: after so many
seconds, or this share of the test's budget."""


async def gather(bench: Bench, arms: Mapping[str, tuple[one_round.Trial, Contender]]) -> Evidence:
    """Watch rounds of both arms, in turns; ``arms``: what each runs, by its name."""
    found, began = Evidence(), time.monotonic()
    most_s = MOST_S if bench.plan.budget is None else min(MOST_S, SHARE * bench.plan.budget)
    for number in range(MOST):
        for trial, arm in arms.values():
            found = _more(found, await _watched(bench, trial, arm, Watch.PROFILE, number))
        if not found.profiles or _enough(found) or time.monotonic() - began > most_s:
            break
    if any(driver.qlogs for _, arm in arms.values() for rows in arm.drivers.values() for driver in rows):
        for trial, arm in arms.values():
            found = _more(found, await _watched(bench, trial, arm, Watch.QLOG, 0))
    return replace(found, notes=tuple(dict.fromkeys(found.notes)))


def _more(one: Evidence, other: Evidence) -> Evidence:
    return Evidence(one.profiles + other.profiles, one.qlogs + other.qlogs, one.notes + other.notes)


def _enough(found: Evidence) -> bool:
    samples: Counter[tuple[str, str]] = Counter()
    for one in found.profiles:
        samples[one.arm, one.role] += one.samples
    return min(samples.values()) >= ENOUGH


async def _watched(bench: Bench, trial: one_round.Trial, arm: Contender, watch: Watch, number: int) -> Evidence:
    """One round that is watched, and not measured."""
    name = f"{watch.value}-{arm.name}" + (f"-{number + 1}" if number else "")
    async with AsyncExitStack() as stack:
        try:
            fleet = bench.fleet
            if arm.link != bench.plan.spec.link:
                need = replace(bench.plan.spec.need(), link=arm.link)
                fleet = await stack.enter_async_context(bench.provider.fleet(need))
            usual = bench.stage(replace(trial, smaller=None), -1, arm, fleet)
            stage = replace(usual, folder=usual.folder.parent / name, watch=watch)
            stage.folder.mkdir(exist_ok=True)
            async with bench.turn():
                await one_round.carry_out(stage)
        except (NetbenchError, OSError) as error:
            return Evidence(notes=(f"{arm.name}: no {watch.value}: {str(error).partition(chr(10))[0]}",))
    place = f"runs/{bench.plan.folder}/{name}"
    hosts = (*stage.servers, *stage.clients)
    if watch is Watch.QLOG:
        return Evidence(qlogs=tuple(_qlogs(stage.folder, place)))
    found = [_profile(stage.folder / host.name, f"{place}/{host.name}", arm.name, host) for host in hosts]
    return Evidence(
        profiles=tuple(one for one in found if isinstance(one, Profile)),
        notes=tuple(one for one in found if isinstance(one, str)),
    )


def _profile(folder: Path, place: str, arm: str, host: Host) -> Profile | str:
    """What a host left, or why it left nothing."""
    try:
        said = json.loads((folder / NOTE).read_text())
        by, samples, why_not = str(said["by"]), int(said["samples"]), str(said["why_not"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{arm}: no profile of {host.name}: {error}"
    if not samples:
        return f"{arm}: no profile of {host.name}: {why_not}"
    return Profile(arm, host.role.value, by, samples, place)


def _qlogs(folder: Path, place: str) -> Iterator[str]:
    for path in sorted(folder.rglob("*qlog")):
        if path.suffix in {".qlog", ".sqlog"}:
            yield f"{place}/{path.relative_to(folder)}"
