"""How do the real drivers get onto this machine? ``python -m pytest_netbench.drivers.install [--all]``, by cargo.

TCP alone takes about three minutes on two cores. One target folder is shared, so that common crates are built once.
``--interop`` brings, by Go, two programs that keep the interop runner's contract: level interop is tried with them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.drivers import s2n
from pytest_netbench.drivers.version import version_of
from pytest_netbench.errors import DriverMissing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NO_CARGO = """\
cargo isn't on PATH: install Rust 1.74 or newer, by your distribution or by
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
"""


def cargo_home(env: Mapping[str, str]) -> Path:
    """Where cargo keeps what it installed."""
    return Path(env.get("CARGO_HOME") or "~/.cargo").expanduser()


def target_folder(env: Mapping[str, str]) -> Path:
    """Where all drivers are built: as set, else in the user's cache."""
    if env.get("CARGO_TARGET_DIR"):
        return Path(env["CARGO_TARGET_DIR"])
    return Path(env.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "netbench" / "cargo-target"


def installed(home: Path) -> frozenset[str]:
    """What cargo has installed, as ``NAME@VERSION``; empty where it keeps no record."""
    try:
        record = json.loads((home / ".crates2.json").read_bytes())
        names = [entry.split(" ")[:2] for entry in record["installs"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset()
    return frozenset("@".join(name) for name in names)


def missing(names: Sequence[str], home: Path) -> list[str]:
    """Those of the rows whose executables aren't there, or not of the right version."""
    have = installed(home)
    return [name for name in names if f"{s2n.crate(name)}@{s2n.VERSION}" not in have or not _found(name)]


def _found(name: str) -> bool:
    try:
        s2n.ROWS[name].locate()
    except DriverMissing:
        return False
    return True


INTEROP = "github.com/quic-go/quic-go/interop"
INTEROP_VERSION = "v0.65.0"


def interop_folder(env: Mapping[str, str]) -> Path:
    """Where quic-go's ``server`` and ``client`` of the interop runner are: not on PATH, for such names."""
    return Path(env.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "netbench" / "interop" / INTEROP_VERSION


def interop() -> int:
    """Have quic-go's programs built; the status of Go's command."""
    folder = interop_folder(os.environ)
    if all((folder / name).is_file() for name in ("server", "client")):
        sys.stdout.write(f"quic-go's interop programs are in {folder}\n")
        return 0
    go = shutil.which("go")
    if go is None:
        sys.stderr.write("go isn't on PATH: install Go 1.25 or newer\n")
        return 1
    wanted = [f"{INTEROP}/{name}@{INTEROP_VERSION}" for name in ("server", "client")]
    sys.stdout.write(f"GOBIN={folder} go install {' '.join(wanted)}\n")
    sys.stdout.flush()
    return subprocess.run([go, "install", *wanted], env={**os.environ, "GOBIN": str(folder)}, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Install what is missing; 0 if all is there at the end."""
    parser = argparse.ArgumentParser(prog="python -m pytest_netbench.drivers.install", description=__doc__)
    parser.add_argument("--all", action="store_true", help="all four drivers, not only TCP")
    parser.add_argument("--print", action="store_true", help="only print the commands")
    parser.add_argument("--interop", action="store_true", help="quic-go's programs of the interop runner instead")
    given = parser.parse_args(arguments)
    if given.interop:
        return interop()
    names = list(s2n.ROWS) if given.all else ["s2n-tcp"]
    wanted = missing(names, cargo_home(os.environ))
    for name in names:
        if name not in wanted:
            sys.stdout.write(f"{name}: {version_of(s2n.ROWS[name])} is there\n")
    for name in wanted:
        command = s2n.ROWS[name].install.split()
        sys.stdout.write(" ".join(command) + "\n")
        sys.stdout.flush()
        if not given.print and (status := _run(command)) != 0:
            return status
    return 0


def _run(command: list[str]) -> int:
    cargo = shutil.which(command[0]) or shutil.which(command[0], path=str(cargo_home(os.environ) / "bin"))
    if cargo is None:
        sys.stderr.write(_NO_CARGO)
        return 1
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target_folder(os.environ))}
    return subprocess.run([cargo, *command[1:]], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
