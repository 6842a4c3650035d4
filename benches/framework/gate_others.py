"""Who else decides whether it got slower? Other projects' own programs, run on recorded rounds.

Each is given durations of both sides, and says which cases have regressed: pytest-benchmark by a threshold on the mean,
asv by Mann and Whitney's test and a factor, pyperf by Student's t, benchstat by Mann and Whitney's test. Their own code
decides; what they read is made in the form in which they store it. One that isn't installed is left out: the extra
``bench`` has the Python ones, ``go install golang.org/x/perf/cmd/benchstat@latest`` the last.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

Case: TypeAlias = tuple[Sequence[float], Sequence[float]]
"""Durations of the reference and of the candidate, in seconds."""

Cases: TypeAlias = Mapping[str, Case]

SIDES = ("base", "cand")


class Absent(Exception):
    """A program that isn't installed."""


def _run(command: Sequence[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(folder), **env}
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)


def _python(program: str, folder: Path) -> str:
    """Run a program that imports what may be missing; what it prints."""
    done = _run((sys.executable, "-c", program), folder)
    if "ModuleNotFoundError" in done.stderr:
        raise Absent(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


# --- pytest-benchmark ----------------------------------------------------------------------------

REPLAY = """
import time
values, last = [], [0.0]

def load(durations):
    values[:] = [at for one in durations for at in (0.0, one)]

def clock():
    return values.pop(0) if values else time.perf_counter()
"""
TEST = """
import json, os, pathlib, pytest, replay
CASES = json.loads(pathlib.Path("cases.json").read_text())

@pytest.mark.parametrize("name", CASES)
def test_case(benchmark, name):
    durations = CASES[name][int(os.environ["SIDE"])]
    replay.load(durations)
    benchmark.pedantic(lambda: None, rounds=len(durations), iterations=1)
"""


def pytest_benchmark(folder: Path, _cases: Cases) -> set[str]:
    """``--benchmark-compare-fail=mean:5%``, with a clock that replays the rounds."""
    (folder / "replay.py").write_text(REPLAY)
    (folder / "test_replay.py").write_text(TEST)
    common = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--benchmark-timer=replay.clock")
    first = _run((*common, "--benchmark-save=base", "test_replay.py"), folder, SIDE="0")
    if first.returncode:
        raise Absent("pytest-benchmark isn't installed")
    fail = ("--benchmark-compare=0001", "--benchmark-compare-fail=mean:5%")
    done = _run((*common, *fail, "test_replay.py"), folder, SIDE="1")
    said = done.stdout + done.stderr
    return set(re.findall(r"^\s*test_case\[(\S+)\] \(\S+\) - Field 'mean' has failed", said, re.MULTILINE))


# --- asv -----------------------------------------------------------------------------------------

ASV = """
import contextlib, io, json, pathlib, types
from asv.commands.compare import Compare
from asv_runner.statistics import compute_stats

pathlib.Path("results").mkdir()
pathlib.Path("results/benchmarks.json").write_text('{"version": 2}')
conf = types.SimpleNamespace(results_dir="results", html_dir="html", benchmark_dir=".")
for name, sides in json.loads(pathlib.Path("cases.json").read_text()).items():
    sets = []
    for samples in sides:
        median, stats = compute_stats(samples, 1)
        sets.append([("case", [], [median], [stats], [samples], "1", "here", "env")])
    with contextlib.redirect_stdout(io.StringIO()):
        worsened, _ = Compare.print_table(
            conf, "a" * 40, "b" * 40, factor=FACTOR, split=False, resultset_1=sets[0], resultset_2=sets[1],
            only_changed=True, commit_names={},
        )
    if worsened:
        print(name)
"""


def asv(factor: float) -> Callable[[Path, Cases], set[str]]:
    """The comparison of ``asv continuous --factor``, as it makes it of samples that it has just taken."""

    def decide(folder: Path, _cases: Cases) -> set[str]:
        return set(_python(ASV.replace("FACTOR", str(factor)), folder).split())

    return decide


# --- pyperf --------------------------------------------------------------------------------------

PYPERF = """
import json, pathlib, pyperf
cases = json.loads(pathlib.Path("cases.json").read_text())
for side, file in enumerate(("base.json", "cand.json")):
    suite = []
    for name, sides in cases.items():
        about = {"metadata": {"name": name}, "collect_metadata": False}
        suite.append(pyperf.Benchmark([pyperf.Run([value], **about) for value in sides[side]]))
    pyperf.BenchmarkSuite(suite).dump(file)
"""


def pyperf(folder: Path, _cases: Cases) -> set[str]:
    """``pyperf compare_to``: what it calls slower, and doesn't say to be insignificant."""
    _python(PYPERF, folder)
    done = _run((sys.executable, "-m", "pyperf", "compare_to", "base.json", "cand.json"), folder)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return set(re.findall(r"^(\S+): Mean .*x slower$", done.stdout, re.MULTILINE))


# --- benchstat -----------------------------------------------------------------------------------


def benchstat(folder: Path, cases: Cases) -> set[str]:
    """What benchstat gives a percentage above zero, in the place of the sign for "no difference"."""
    program = shutil.which("benchstat")
    if program is None:
        raise Absent("benchstat isn't installed")
    for side, file in enumerate(SIDES):
        lines = [f"Benchmark{name} 1 {value * 1e9:.3f} ns/op\n" for name, one in cases.items() for value in one[side]]
        (folder / file).write_text("".join(lines))
    done = _run((program, "-format", "csv", *SIDES), folder)
    if done.returncode:
        raise RuntimeError(done.stderr)
    rows = [row for row in csv.reader(done.stdout.splitlines()) if len(row) > 5]
    return {row[0] for row in rows if row[0] in cases and row[5].startswith("+")}


OTHERS: Mapping[str, Callable[[Path, Cases], set[str]]] = {
    "pytest_benchmark": pytest_benchmark,
    "asv_1.05": asv(1.05),
    "asv_1.01": asv(1.01),
    "pyperf": pyperf,
    "benchstat": benchstat,
}
"""By name: those cases that it says have regressed. Raises ``Absent``."""


def regressed(name: str, cases: Cases) -> int:
    """How many of the cases one of them says have regressed.

    :raises Absent: if it isn't installed.
    """
    with tempfile.TemporaryDirectory(prefix="netbench-gate-") as place:
        folder = Path(place)
        (folder / "cases.json").write_text(json.dumps(cases))
        return len(OTHERS[name](folder, cases) & set(cases))
