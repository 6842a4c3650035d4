"""What can this machine do, what is missing, and which one command brings it? Probes, each a value."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.drivers.version import version_of
from pytest_netbench.errors import DriverMissing

if TYPE_CHECKING:
    from pytest_netbench.drivers.driver import Driver


class State(Enum):
    """How a probe ended; the value is what people see."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One probe's answer. ``needed``: without it the default, provider ``local`` with driver ``tcp``, can't run."""

    topic: str
    name: str
    state: State
    detail: str
    remedy: str = ""
    needed: bool = False


WANTED_BUFFER = 2_500_000
"""Bytes of UDP receive buffer below which a QUIC receiver drops at a few hundred MB/s."""

_SYSCTL = Path("/proc/sys")


def drivers(rows: Mapping[str, Driver]) -> Iterable[Finding]:
    """Each driver: where it is, and which version of the library is inside."""
    for name, row in rows.items():
        try:
            row.locate()
        except DriverMissing as error:
            if row.build:
                yield Finding("drivers", name, State.OK, "built by its `build` command when it is first run")
                continue
            yield Finding("drivers", name, State.MISSING, str(error).splitlines()[0], row.install, needed=name == "tcp")
        else:
            yield Finding("drivers", name, State.OK, version_of(row), needed=name == "tcp")


def machine() -> Iterable[Finding]:
    """The system and the interpreter."""
    linux = sys.platform == "linux"
    text = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    yield Finding(
        "machine",
        "system",
        State.OK if linux else State.BROKEN,
        text if linux else f"{text}: hosts are Linux",
        "" if linux else "use provider ssh or aws from here",
        needed=True,
    )


def kernel(read: Callable[[Path], str | None] | None = None) -> Iterable[Finding]:
    """What the kernel allows: buffers, congestion controls, emulated links."""
    read = read or _read
    for name in ("rmem_max", "wmem_max"):
        size = int(read(_SYSCTL / "net/core" / name) or 0)
        enough = size >= WANTED_BUFFER
        yield Finding(
            "kernel",
            f"net.core.{name}",
            State.OK if enough else State.MISSING,
            f"{size} bytes" + ("" if enough else f", QUIC wants {WANTED_BUFFER}"),
            "" if enough else f"sudo sysctl -w net.core.{name}={WANTED_BUFFER}",
        )
    controls = (read(_SYSCTL / "net/ipv4/tcp_available_congestion_control") or "").split()
    yield Finding(
        "kernel", "congestion controls", State.OK if controls else State.MISSING, ", ".join(controls) or "unknown"
    )
    emulation = netem(read)
    yield Finding(
        "kernel",
        "netem",
        State.OK if emulation else State.MISSING,
        "links can be emulated" if emulation else "no emulated links",
        "" if emulation else "sudo modprobe sch_netem",
    )


def netem(read: Callable[[Path], str | None]) -> bool:
    """Whether the kernel has the queueing discipline that delays and loses packets, built in, loaded or loadable."""
    release = platform.release()
    if (read(Path("/proc/modules")) or "").find("sch_netem") >= 0:
        return True
    folder = Path("/lib/modules") / release
    return any("sch_netem" in (read(folder / name) or "") for name in ("modules.builtin", "modules.dep"))


def namespaces(own: str | None) -> Finding:
    """Whether a network of our own can be made; ``own`` is why not, or None."""
    if own is None:
        return Finding("providers", "local", State.OK, "hosts share a network of their own, MTU 1500")
    remedy = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    known = (_SYSCTL / "kernel/apparmor_restrict_unprivileged_userns").exists()
    return Finding(
        "providers",
        "local",
        State.MISSING,
        f"hosts use the machine's own loopback, MTU 65536: {own}",
        remedy if known else "",
    )


def tools() -> Iterable[Finding]:
    """Programs that some drivers or comparisons want."""
    for name, what, remedy in (
        ("cargo", "builds the real netbench drivers", "sudo apt-get install cargo"),
        ("perf", "profiles of other people's drivers after a regression", "sudo apt-get install linux-perf"),
        ("iperf3", "reference of the framework's own benchmarks", "sudo apt-get install iperf3"),
    ):
        path = shutil.which(name)
        state = State.OK if path else State.MISSING
        yield Finding("tools", name, state, path or what, "" if path else remedy)


HOSTED_RUNNER = """\
# What a hosted CI runner (Ubuntu) needs before `pytest benches/`:
- run: |
    # a network of our own without root: else hosts share the runner's loopback, whose MTU of 65536 flatters QUIC
    sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
    # receive buffers that QUIC doesn't overrun
    sudo sysctl -w net.core.rmem_max=2500000 net.core.wmem_max=2500000
    python -m pip install pytest-netbench
"""


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
