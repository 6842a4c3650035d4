"""What does a benchmark cost beyond its scenario's own time, and what does the plugin cost who doesn't use it?"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import Better, Figure, main

TESTS = """
import pytest
from pytest_netbench import KB, ms, ping

@pytest.mark.parametrize("number", range({count}))
@pytest.mark.netbench(scenario=ping(time={scenario_ms} * ms, size=[1 * KB]), rounds=1)
def test_ping(netbench, number):
    netbench.run()
"""

CLOCK = """
import json, os, pytest, time

TIMES = {}

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    began = time.perf_counter()
    try:
        return (yield)
    finally:
        TIMES[item.nodeid] = time.perf_counter() - began

def pytest_unconfigure():
    with open(os.environ["TIMES"], "w") as file:
        json.dump(list(TIMES.values()), file)
"""

SCENARIO_MS = 100


def fixed_costs(count: int) -> list[float]:
    """Seconds of tests 2..n beyond the scenario's own time; setup, call and teardown together."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "test_cost.py").write_text(TESTS.format(count=count, scenario_ms=SCENARIO_MS))
        (place / "conftest.py").write_text(CLOCK)
        (place / "pytest.ini").write_text("[pytest]\n")
        times = place / "times.json"
        environment = {**os.environ, "TIMES": str(times), "XDG_STATE_HOME": str(place / "state")}
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_cost.py"],
            cwd=place,
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return [one - SCENARIO_MS / 1000 for one in json.loads(times.read_text())[1:]]


def import_cost() -> float:
    """Seconds to import the entry-point module, its dependencies already loaded."""
    program = "import pytest, pytest_asyncio, pluggy; import pytest_netbench.plugin"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program], capture_output=True, text=True, check=True
    )
    (line,) = (line for line in done.stderr.splitlines() if re.search(r"\| +pytest_netbench\.plugin$", line))
    return int(line.split("|")[1]) / 1e6


def measure(quick: bool) -> list[Figure]:
    """Both figures."""
    costs = fixed_costs(12 if quick else 40)
    imports = [import_cost() for _ in range(5 if quick else 20)]
    return [
        Figure("fixed_cost_s", statistics.median(costs), "s", len(costs), reach=0.3, better=Better.LOWER),
        Figure("import_cost_s", statistics.median(imports), "s", len(imports), reach=0.03, better=Better.LOWER),
    ]


if __name__ == "__main__":
    main("fixed_cost", measure)
