"""How do the real drivers get onto this machine? ``python -m pytest_netbench.drivers.install [--all]``, by cargo.

With them comes the real generator of scenarios. TCP alone takes about three minutes on two cores. One target folder is
shared, so that common crates are built once.
``--interop`` brings programs with which level interop is tried: quic-go's, which keep the runner's contract, by Go, and
before them aioquic's examples, from the source of the version that is installed; ``--examples`` brings these alone.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_netbench.drivers import s2n
from pytest_netbench.drivers.driver import find_executable
from pytest_netbench.roles import Role

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


class Package(NamedTuple):
    """What cargo installs at once: what it is called here, its crate as ``NAME@VERSION``, its programs."""

    title: str
    crate: str
    programs: tuple[str, ...]

    @property
    def install(self) -> str:
        """The line that brings it."""
        return f"cargo install --locked {self.crate}"

    def there(self, record: frozenset[str]) -> bool:
        """Whether it is in cargo's record, and its programs are found."""
        return self.crate in record and all(find_executable(one) for one in self.programs)


GENERATOR = Package("generator", "s2n-netbench-scenarios@0.1.1", ("s2n-netbench-scenarios",))
"""Writes the real scenario files, which ours are compared with; its version is ahead of the drivers'."""


def generator() -> Path | None:
    """The real generator, where it is on this machine."""
    return find_executable(GENERATOR.programs[0])


def packages(*, everything: bool) -> list[Package]:
    """The generator, and the drivers: TCP, or all four."""
    names = list(s2n.ROWS) if everything else ["s2n-tcp"]
    programs = {name: tuple(s2n.ROWS[name].commands[role].argv[0] for role in Role) for name in names}
    return [GENERATOR, *(Package(name, f"{s2n.crate(name)}@{s2n.VERSION}", programs[name]) for name in names)]


INTEROP = "github.com/quic-go/quic-go/interop"
INTEROP_VERSION = "v0.65.0"


def interop_folder(env: Mapping[str, str]) -> Path:
    """Where quic-go's ``server`` and ``client`` of the interop runner are: not on PATH, for such names."""
    return Path(env.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "netbench" / "interop" / INTEROP_VERSION


def examples_folder(env: Mapping[str, str]) -> Path:
    """Where the examples of the installed aioquic are.

    :raises importlib.metadata.PackageNotFoundError: if it isn't installed.
    """
    return interop_folder(env).with_name(f"aioquic-{importlib.metadata.version('aioquic')}") / "examples"


def examples() -> int:
    """Have aioquic's examples, which are in its source only; the status of pip's command."""
    folder = examples_folder(os.environ)
    if folder.is_dir():
        sys.stdout.write(f"aioquic's examples are in {folder}\n")
        return 0
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent.parent) as place:
        name = folder.parent.name
        wanted = ["--no-deps", "--no-binary", "aioquic", "--dest", place, name.replace("-", "==")]
        sys.stdout.write(f"pip download {' '.join(wanted)}\n")
        sys.stdout.flush()
        if (status := subprocess.run([sys.executable, "-m", "pip", "download", *wanted], check=False).returncode) != 0:
            return status
        with tarfile.open(next(Path(place).glob("*.tar.gz"))) as archive:
            archive.extractall(place, filter="data")
        Path(place, name).replace(folder.parent)
    return 0


def interop() -> int:
    """Have aioquic's examples and quic-go's programs; the status of the first command that fails."""
    return examples() or quic_go()


def quic_go() -> int:
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
    parser.add_argument("--interop", action="store_true", help="aioquic's examples and quic-go's programs instead")
    parser.add_argument("--examples", action="store_true", help="aioquic's examples instead")
    given = parser.parse_args(arguments)
    if given.interop or given.examples:
        return interop() if given.interop else examples()
    record = installed(cargo_home(os.environ))
    for one in packages(everything=given.all):
        if one.there(record):
            sys.stdout.write(f"{one.title}: {one.crate} is there\n")
            continue
        sys.stdout.write(one.install + "\n")
        sys.stdout.flush()
        if not given.print and (status := _run(one.install.split())) != 0:
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
