"""In what environment did a host run a round? What may be changed while a session lasts, and changes its figures.

Read once a round, before it begins: some fifty small files and questions to the kernel, in about a millisecond.
Never ``/proc/cpuinfo``, for which the kernel asks every processor how fast it is.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pytest_netbench.telemetry import interface

PROGRAM = "program"
"""The name of the fact that tells which files a driver was run from."""

_SETTINGS = (
    "net/core/default_qdisc",
    "net/core/busy_poll",
    "net/core/busy_read",
    "net/core/netdev_budget",
    "net/core/netdev_max_backlog",
    "net/core/rmem_default",
    "net/core/rmem_max",
    "net/core/rps_sock_flow_entries",
    "net/core/somaxconn",
    "net/core/wmem_default",
    "net/core/wmem_max",
    "net/ipv4/tcp_autocorking",
    "net/ipv4/tcp_congestion_control",
    "net/ipv4/tcp_early_retrans",
    "net/ipv4/tcp_ecn",
    "net/ipv4/tcp_fastopen",
    "net/ipv4/tcp_limit_output_bytes",
    "net/ipv4/tcp_moderate_rcvbuf",
    "net/ipv4/tcp_mtu_probing",
    "net/ipv4/tcp_no_metrics_save",
    "net/ipv4/tcp_notsent_lowat",
    "net/ipv4/tcp_pacing_ca_ratio",
    "net/ipv4/tcp_pacing_ss_ratio",
    "net/ipv4/tcp_recovery",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_sack",
    "net/ipv4/tcp_slow_start_after_idle",
    "net/ipv4/tcp_timestamps",
    "net/ipv4/tcp_tso_win_divisor",
    "net/ipv4/tcp_window_scaling",
    "net/ipv4/tcp_wmem",
    "net/ipv4/udp_rmem_min",
    "net/ipv4/udp_wmem_min",
)
"""Settings of the kernel that change what a transport does, by their place under ``/proc/sys``; of this namespace."""

_PROCESSORS = {
    "cpus_online": "online",
    "smt": "smt/active",
    "turbo_off": "intel_pstate/no_turbo",
    "turbo": "cpufreq/boost",
}
"""By their place under ``/sys/devices/system/cpu``."""

_POLICIES = {"governor": "scaling_governor", "energy_preference": "energy_performance_preference"}
"""Of each group of processors, whose speed is set together."""


def surroundings(
    address: str, command: Sequence[str] = (), own: Sequence[Path] = (), root: Path = Path("/")
) -> dict[str, str]:
    """What this host is and how it is set, by name; what can't be read is left out.

    ``address``: at which its driver meets others. ``command``: by which it was run, in which files below ``own``, the
    folders of the round, don't count. ``root``: where ``/proc`` and ``/sys`` are.
    """
    cpus = root / "sys/devices/system/cpu"
    found = {
        "machine": _line(root / "proc/sys/kernel/random/boot_id"),
        "kernel": os.uname().release,
        "cores": str(len(os.sched_getaffinity(0))),
        "clocksource": _line(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "huge_pages": _chosen(_line(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        PROGRAM: _program(command, own),
    }
    found |= {name: _line(cpus / place) for name, place in _PROCESSORS.items()}
    found |= {name: _all_of(cpus.glob(f"cpufreq/policy*/{place}")) for name, place in _POLICIES.items()}
    found |= {place.rpartition("/")[2]: _line(root / "proc/sys" / place) for place in _SETTINGS}
    found |= interface.facts(address)
    return {name: value for name, value in found.items() if value}


def _chosen(line: str) -> str:
    """``always [madvise] never`` means ``madvise``."""
    return line.partition("[")[2].partition("]")[0]


def _all_of(places: Iterable[Path]) -> str:
    return ", ".join(sorted({_line(place) for place in places}))


def _program(command: Iterable[str], own: Sequence[Path]) -> str:
    """The files that a command names: how large each is, and since when it is what it is."""
    return ", ".join(text for word in command if (text := _file(Path(word), own)))


def _file(path: Path, own: Sequence[Path]) -> str:
    if not path.is_absolute() or any(path.is_relative_to(one) for one in own):
        return ""
    try:
        seen = path.stat()
    except OSError:
        return ""
    since = datetime.fromtimestamp(seen.st_mtime, UTC)
    return f"{path} ({seen.st_size:,} bytes of {since:%Y-%m-%d %H:%M:%S})" if path.is_file() else ""


def _line(path: Path) -> str:
    """What a file of one line says, its blanks single; nothing where it isn't or can't be read."""
    try:
        return " ".join(path.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return ""
