"""From which rounds is the gate judged? Sessions of equal arms, recorded on this machine, a file a family of drivers.

    python benches/framework/gate_corpus.py tcp SESSIONS     # records benches/framework/corpus/gate_tcp.json anew
    python benches/framework/gate_corpus.py quic SESSIONS    # and gate_quic.json

Each session is a pytest run of its own, with fresh hosts, and 20 pairs of rounds or more: `ping` and `download`, over
TCP each as long as a gated test's pilot finds it, a little above a tenth of a second; over QUIC with the built-in
driver and with s2n-quic, which tells the CPU time of its whole process only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pytest_netbench.gate.pairs import in_order
from pytest_netbench.result import store

CORPUS = Path(__file__).parent / "corpus"
PAIRS = 20
TEST = """
@pytest.mark.netbench(scenario={scenario}, drivers=["{driver}"])
def {name}(netbench):
    assert netbench.run().valid
"""
HEAD = "import pytest\nfrom pytest_netbench import KB, MB, download, ms, ping\n"
PING = "ping(time=100 * ms, size=[1 * KB])"
OWN = ("client.cpu_per_op", "server.cpu_per_op", "ping_1KB.p50", "goodput")
BYTES = ("client.cpu_per_byte", "server.cpu_per_byte", "goodput")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One test: what is run by whom, and which of its figures are kept."""

    driver: str
    scenario: str
    metrics: tuple[str, ...]


FAMILIES = {
    "tcp": {
        "test_ping": Recorded("tcp", PING, OWN),
        "test_download": Recorded("tcp", "download(600 * MB)", BYTES),
    },
    "quic": {
        "test_ping": Recorded("quic", PING, OWN),
        "test_download": Recorded("quic", "download(4 * MB)", BYTES),
        "test_ping_s2n": Recorded("s2n-quic", PING, ("ping_1KB.p50", "goodput")),
    },
}


def corpus(family: str) -> Path:
    """Where a family's rounds are."""
    return CORPUS / f"gate_{family}.json"


def session(family: str, folder: Path) -> dict[str, object]:
    """One session: the values of both arms by test and metric, pair by pair, and which arm was first."""
    kept = FAMILIES[family]
    tests = (TEST.format(name=name, scenario=one.scenario, driver=one.driver) for name, one in kept.items())
    (folder / "test_corpus.py").write_text(HEAD + "".join(tests))
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
    found = {}
    for test in record.tests:
        name = test.nodeid.rpartition("::")[2].partition("[")[0]
        pairs = in_order(test.rounds)
        found[name] = {
            "seconds": round(sum(one.duration_s for pair in pairs for one in pair.rounds.values()) / len(pairs), 3),
            "first": "".join(pair.order[0][0] for pair in pairs),
            "valid": [pair.ref.valid and pair.cand.valid for pair in pairs],
            "metrics": {
                metric: [[float(f"{one.metrics[metric]:.6g}") for one in (pair.ref, pair.cand)] for pair in pairs]
                for metric in kept[name].metrics
            },
        }
    load = round(os.getloadavg()[0], 2)
    return {"environment": dict(record.environment), "load": load, "tests": found}


def main() -> None:
    """Record, and write after each session, so that a run that is broken off leaves what it had."""
    family, count = sys.argv[1], int(sys.argv[2])
    sessions: list[dict[str, object]] = []
    CORPUS.mkdir(exist_ok=True)
    for _ in range(count):
        with tempfile.TemporaryDirectory(prefix="netbench-corpus-") as folder:
            sessions.append(session(family, Path(folder)))
        environment = sessions[0]["environment"]
        whole = {
            "schema": 1,
            "environment": environment,
            "sessions": [{key: one[key] for key in ("load", "tests")} for one in sessions],
        }
        corpus(family).write_text(json.dumps(whole, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
