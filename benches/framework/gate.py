"""How often does the gate fail unchanged code, and how often does it catch a slowdown? On recorded rounds.

The corpus (``gate_corpus.py`` records it) has sessions of equal arms, over TCP and over QUIC. A live run takes one
figure of one session through the screen and, if it is suspect, through a confirmation by the sessions that follow.
Resampled runs are drawn from whole blocks of two pairs, whose arms a coin exchanges, and counted apart. A slowdown of
5 % per byte or per operation is put into the candidate's recorded values.

A whole session of four gated scenarios is run with the built-in driver against itself, and timed.

Beside it, others decide on the same rounds by their own programs (``gate_others.py``), in both ways in which they are
used: ``stored``, ten rounds of a session against ten of another; ``session``, all rounds of one session, its arms
exchanged by a coin block by block.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from figures import Better, Figure, main, missing
from gate_corpus import FAMILIES, corpus
from gate_others import OTHERS, Absent, Case, regressed

from pytest_netbench.gate.calibration import Recorded, drawn_run, upper_bound
from pytest_netbench.gate.decision import LOOKS, MOST, Confirmation, Screen, confirm, confirmation, screen, seen
from pytest_netbench.gate.estimate import log_ratio
from pytest_netbench.gate.limits import ALPHA, Gate, Limits, limits
from pytest_netbench.result import store
from pytest_netbench.result.catalogue import describe
from pytest_netbench.result.model import Verdict

SLOWER = math.log1p(0.05)
ROUNDS, EXCHANGES = 10, 10
CASES = 200
"""Decisions of each other program, at most."""

POWER = {
    "power_cpu_per_byte": ("test_download", "client.cpu_per_byte"),
    "power_cpu_per_op": ("test_ping", "client.cpu_per_op"),
    "power_p50": ("test_ping", "ping_1KB.p50"),
    "power_goodput": ("test_download", "goodput"),
    "power_p50_s2n": ("test_ping_s2n", "ping_1KB.p50"),
}
REACH = {"power_cpu_per_byte": 0.95, "power_p50": 0.95}
"""Over TCP; what other families can see is shown."""

Series = dict[tuple[str, str], list[list[tuple[float, float]]]]
"""By test and metric: sessions of pairs of values."""


def recorded_series(family: str) -> tuple[Series, str]:
    """The recorded values of a family of drivers, and how busy the machine was."""
    whole = json.loads(corpus(family).read_text())
    found: Series = {}
    for one in whole["sessions"]:
        for test, recorded in one["tests"].items():
            for metric, pairs in recorded["metrics"].items():
                valid = [tuple(pair) for pair, ok in zip(pairs, recorded["valid"], strict=True) if ok]
                found.setdefault((test, metric), []).append(valid)
    loads = [one["load"] for one in whole["sessions"]]
    cores = whole["environment"].get("cores", "?")
    return found, f"recorded at a load of {min(loads):g} to {max(loads):g} on {cores} cores"


def ratios(metric: str, sessions: list[list[tuple[float, float]]]) -> list[list[float]]:
    better = describe(metric).better
    return [[log_ratio(ref, cand, better) for ref, cand in one] for one in sessions]


def live(sessions: list[list[float]], at: int, bounds: Limits) -> tuple[bool, int]:
    """One session through the screen, later ones through a confirmation: whether it fails, pairs of the screen."""
    own, looks = sessions[at], [one for one in LOOKS if one <= len(sessions[at])]
    for look in looks:
        state = screen(seen(own[:look], bounds), bounds, last=look == looks[-1])
        if state is not Screen.NEXT:
            break
    if state is not Screen.SUSPECT:
        return False, look
    fresh = [one for step in range(1, len(sessions)) for one in sessions[(at + step) % len(sessions)]][:MOST]
    for count, part in confirmation(len(fresh)):
        found = confirm(fresh[:count], own[:look], bounds, ALPHA * part, last=False)
        if found is not Confirmation.NEXT:
            return found is Confirmation.FAIL, look
    return False, look


def measure(quick: bool, only: Callable[[str], bool] = lambda _: True) -> list[Figure]:
    return [*(session() if only("session_of_4_s") else ()), *recorded(quick)]


# --- a session ---------------------------------------------------------------------------------

FOUR = """
import pytest
from pytest_netbench import KB, MB, Gate, download, handshakes, requests, upload

BOTH = {"client.cpu_per_byte": Gate(), "server.cpu_per_byte": Gate()}

@pytest.mark.netbench(scenario=download(100 * MB), gate=BOTH)
def test_download(netbench):
    netbench.run().no_regression()

@pytest.mark.netbench(scenario=upload(100 * MB), gate=BOTH)
def test_upload(netbench):
    netbench.run().no_regression()

@pytest.mark.netbench(scenario=requests(1 * KB, 4 * KB, seconds=0.2), gate={"request.p50": Gate()})
def test_requests(netbench):
    netbench.run().no_regression()

@pytest.mark.netbench(scenario=handshakes(seconds=0.2), gate={"connect.p50": Gate()})
def test_handshakes(netbench):
    netbench.run().no_regression()
"""


def session() -> Iterator[Figure]:
    """Four gated scenarios, each as long as it takes, from pytest's start to its end."""
    with tempfile.TemporaryDirectory(prefix="netbench-session-") as place:
        Path(place, "test_four.py").write_text(FOUR)
        command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--netbench-ab=as-is,as-is")
        began = time.monotonic()
        subprocess.run((*command, "--netbench-gate=off"), cwd=place, check=True, stdout=subprocess.DEVNULL)
        took = time.monotonic() - began
        tests = store.read(Path(place, "netbench-results", "results.json")).tests
    pairs = [one.comparison.pairs for one in tests if one.comparison is not None]
    said = ", ".join(f"{one.verdict.value} after {count} pairs" for one, count in zip(tests, pairs, strict=True))
    yield Figure("session_of_4_s", took, "s", len(tests), 240, why=said)
    failed = sum(one.verdict is Verdict.FAIL for one in tests)
    yield Figure("session_false_alarms", failed, "1", len(tests), 0, why=said)
    yield Figure("session_round_s", took / (2 * sum(pairs)), "s", 2 * sum(pairs))


# --- the recorded rounds -----------------------------------------------------------------------


def recorded(quick: bool) -> list[Figure]:
    found: list[Figure] = []
    for family in FAMILIES:
        if not corpus(family).exists():
            missing(
                f"false_alarms_live{_suffix(family)}", f"there is no corpus: gate_corpus.py {family} 15 records one"
            )
            continue
        series, busy = recorded_series(family)
        ours = [*alarms(series, 60 if quick else 400, busy), *powers(series, 200 if quick else 1000, busy)]
        found += [_of(family, one) for one in ours]
        found += others(family, series, quick)
    return found


def _of(family: str, one: Figure) -> Figure:
    """The figure under its family's name; another family's power has nothing to reach."""
    suffix = _suffix(family)
    return replace(one, name=one.name + suffix, reach=None if suffix and one.name in REACH else one.reach)


def _suffix(family: str) -> str:
    """Of the figures of another family than the first."""
    return "" if family == next(iter(FAMILIES)) else f"_{family}"


def alarms(series: Series, runs: int, busy: str) -> Iterator[Figure]:
    failed, live_runs, pairs, drawn_failed, drawn = 0, 0, [], 0, 0
    for (_, metric), sessions in series.items():
        bounds, found = limits(metric, Gate()), ratios(metric, sessions)
        for at in range(len(found)):
            fails, look = live(found, at, bounds)
            failed, live_runs, pairs = failed + fails, live_runs + 1, [*pairs, look]
        blocks, rng = Recorded(tuple(map(tuple, found)), 0, 0.0).blocks, random.Random(1)
        drawn_failed += sum(drawn_run(rng, blocks, 0.0, bounds, []) for _ in range(runs))
        drawn += runs
    yield Figure("false_alarms_live", failed, "1", live_runs, 0)
    count = max(len(sessions) for sessions in series.values())
    yield Figure("gate_runs_live", live_runs, "1", live_runs, 60, Better.HIGHER, f"{count} sessions are recorded")
    bound = upper_bound(drawn_failed, drawn)
    why = f"{drawn_failed / drawn:.2%}, below {bound:.2%} with 95 % confidence; the rule allows 1 %"
    yield Figure("false_alarms_resampled", drawn_failed, "1", drawn, 0, why=why)
    yield Figure("gate_runs_resampled", drawn, "1", drawn, 300, Better.HIGHER)
    yield Figure("false_alarms_bound", bound, "1", drawn, 0.01)
    yield Figure("pairs_unchanged", statistics.fmean(pairs), "1", len(pairs), 25, why=busy)


def powers(series: Series, runs: int, busy: str) -> Iterator[Figure]:
    for name, key in POWER.items():
        if key not in series:
            continue
        bounds, rng = limits(key[1], Gate()), random.Random(2)
        blocks = Recorded(tuple(map(tuple, ratios(key[1], series[key]))), 0, 0.0).blocks
        caught = sum(drawn_run(rng, blocks, SLOWER, bounds, []) for _ in range(runs))
        noise = statistics.stdev(one for block in blocks for one in block)
        why = f"pairs differ by {noise:.0%}, {busy}"
        yield Figure(name, caught / runs, "1", runs, REACH.get(name), Better.HIGHER, why)


# --- others on the same rounds -----------------------------------------------------------------


def others(family: str, series: Series, quick: bool) -> Iterator[Figure]:
    """Each of them, on rounds of different sessions and of one, with equal arms and with a slowdown."""
    names = [name for name in ("power_cpu_per_byte", "power_p50") if POWER[name] in series]
    kinds = {"stored": _stored, "session": _session}
    for other in OTHERS:
        for kind, make in kinds.items():
            for figure, factor in (("false_alarms", 1.0), ("power", 1.05)):
                cases = {f"{name}-{key}": case for name in names for key, case in make(series[POWER[name]], factor)}
                if quick or len(cases) > CASES:
                    cases = dict(
                        random.Random(3).sample(sorted(cases.items()), min(60 if quick else CASES, len(cases)))
                    )
                name = f"{other}_{kind}_{figure}{_suffix(family)}"
                try:
                    yield Figure(name, regressed(other, cases) / len(cases), "1", len(cases))
                except Absent as error:
                    missing(name, str(error))


def _scaled(one: list[tuple[float, float]], scale: float, factor: float) -> Case:
    return [ref * scale for ref, _ in one], [cand * scale * factor for _, cand in one]


def _stored(sessions: list[list[tuple[float, float]]], factor: float) -> Iterator[tuple[str, Case]]:
    """Ten reference rounds of each session, against ten candidate rounds of each other one, as durations."""
    scale = 1 / statistics.median(ref for one in sessions for ref, _ in one)
    for at, base in enumerate(sessions):
        for to, cand in enumerate(sessions):
            if at != to:
                mixed = [(ref, one) for (ref, _), (_, one) in zip(base, cand, strict=False)]
                yield f"{at}-{to}", _scaled(mixed[:ROUNDS], scale, factor)


def _session(sessions: list[list[tuple[float, float]]], factor: float) -> Iterator[tuple[str, Case]]:
    """All rounds of a session, its arms exchanged block by block as a coin says, ten times each."""
    chance, scale = random.Random(4), 1 / statistics.median(ref for one in sessions for ref, _ in one)
    for at, one in enumerate(sessions):
        for number in range(EXCHANGES):
            coins = [chance.random() < 1 / 2 for _ in range(len(one) // 2 + 1)]
            turned = [pair[::-1] if coins[place // 2] else pair for place, pair in enumerate(one)]
            yield f"{at}-{number}", _scaled(turned, scale, factor)


if __name__ == "__main__":
    main("gate", measure)
