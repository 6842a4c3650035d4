"""What do all the framework's own benchmarks say? Runs each script beside this one and prints one table."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
VARIANTS = {
    "coordination.py": [
        *(["--workers", str(count)] for count in (10, 100, 1000, 10_000)),
        *(["--workers", str(count), "--tls"] for count in (10, 100, 1000)),
    ]
}
"""Scripts that are run more than once, and with which arguments."""


def scripts() -> list[Path]:
    """The files beside this one that can be run by themselves."""
    others = (path for path in HERE.glob("*.py") if path.name not in {Path(__file__).name, "figures.py"})
    return sorted(path for path in others if "def measure(" in path.read_text())


def main() -> int:
    """Run them one after another: two at once would measure each other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the same figures from fewer repeats")
    quick = ["--quick"] if parser.parse_args().quick else []
    failed = []
    print(f"{'figure':44}{'value':>14} {'unit':6}{'n':>6}  {'reach':>10}  holds")
    for script, more in ((one, more) for one in scripts() for more in VARIANTS.get(one.name, [[]])):
        command = [sys.executable, script, *more, *quick, "--json", "-"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(f"-- {' '.join([script.stem, *more])}", flush=True)
        if done.returncode:
            failed.append(" ".join([script.name, *more]))
            continue
        for name, one in json.loads(done.stdout)["figures"].items():
            reach = "" if one.get("reach") is None else f"{one['reach']:g}"
            holds = {True: "yes", False: f"NO: {one.get('why', '')}"}.get(one.get("holds"), "")
            print(f"{name:44}{one['value']:14.6g} {one['unit']:6}{one['n']:6}  {reach:>10}  {holds}", flush=True)
    for name in failed:
        print(f"{name} ended badly")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
