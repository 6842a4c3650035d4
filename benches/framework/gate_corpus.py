"""From which rounds is the gate judged? Sessions of equal arms of the built-in driver, recorded on this machine.

    python benches/framework/gate_corpus.py SESSIONS    # records benches/framework/corpus/gate_tcp.json anew

Each session is a pytest run of its own, with fresh hosts, and 20 pairs of rounds: `ping` and `download`, each as long
as a gated test's pilot finds it, a little above a tenth of a second.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pytest_netbench.gate.pairs import in_order
from pytest_netbench.result import store

CORPUS = Path(__file__).parent / "corpus" / "gate_tcp.json"
PAIRS = 20
METRICS = {
    "test_ping": ("client.cpu_per_op", "server.cpu_per_op", "ping_1KB.p50", "goodput"),
    "test_download": ("client.cpu_per_byte", "server.cpu_per_byte", "goodput"),
}
TESTS = """
import pytest
from pytest_netbench import KB, MB, download, ms, ping

@pytest.mark.netbench(scenario=ping(time=100 * ms, size=[1 * KB]))
def test_ping(netbench):
    assert netbench.run().valid

@pytest.mark.netbench(scenario=download(600 * MB))
def test_download(netbench):
    assert netbench.run().valid
"""


def session(folder: Path) -> dict[str, object]:
    """One session: the values of both arms by test and metric, pair by pair, and which arm was first."""
    (folder / "test_corpus.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "test_corpus.py",
        "--netbench-ab=as-is,as-is",
    ]
    subprocess.run([*command, f"--netbench-rounds={PAIRS}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    record = store.read(folder / "netbench-results" / "results.json")
    tests = {}
    for test in record.tests:
        name = test.nodeid.rpartition("::")[2].partition("[")[0]
        pairs = in_order(test.rounds)
        tests[name] = {
            "seconds": round(sum(one.duration_s for pair in pairs for one in pair.rounds.values()) / len(pairs), 3),
            "first": "".join(pair.order[0][0] for pair in pairs),
            "valid": [pair.ref.valid and pair.cand.valid for pair in pairs],
            "metrics": {
                metric: [[float(f"{one.metrics[metric]:.6g}") for one in (pair.ref, pair.cand)] for pair in pairs]
                for metric in METRICS[name]
            },
        }
    load = round(os.getloadavg()[0], 2)
    return {"environment": dict(record.environment), "load": load, "tests": tests}


def main() -> None:
    """Record, and write after each session, so that a run that is broken off leaves what it had."""
    sessions: list[dict[str, object]] = []
    CORPUS.parent.mkdir(exist_ok=True)
    for _ in range(int(sys.argv[1])):
        with tempfile.TemporaryDirectory(prefix="netbench-corpus-") as folder:
            sessions.append(session(Path(folder)))
        environment = sessions[0]["environment"]
        whole = {
            "schema": 1,
            "environment": environment,
            "sessions": [{key: one[key] for key in ("load", "tests")} for one in sessions],
        }
        CORPUS.write_text(json.dumps(whole, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
