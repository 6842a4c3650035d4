"""On what kind of machine do the numbers hold? Facts that explain a difference between sessions, and their hash."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PACKAGES = ("pytest-netbench", "pytest", "pytest-asyncio", "pytest-html", "cryptography", "aioquic")
"""Whose versions are recorded, where installed."""

_SETTINGS = {
    "tcp_congestion_control": "net/ipv4/tcp_congestion_control",
    "default_qdisc": "net/core/default_qdisc",
    "rmem_max": "net/core/rmem_max",
    "wmem_max": "net/core/wmem_max",
}
"""Settings of the kernel that change what a transport does, by their place under ``/proc/sys``."""


def environment(root: Path = Path("/")) -> dict[str, object]:
    """What this machine is, with the ``hash`` of all that; a fact that can't be read is left out."""
    facts: dict[str, object] = {
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu_model": _cpu_model(root),
        "cores": usable_cores(),
        "governor": _line(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "memory": _memory(root),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    facts |= {name: _line(root / "proc/sys" / place) for name, place in _SETTINGS.items()}
    known = {name: fact for name, fact in facts.items() if fact not in (None, "")}
    return known | {"hash": environment_hash(known)}


def environment_hash(facts: Mapping[str, object]) -> str:
    """Sixteen hex digits that are equal for equal facts, in any order; a ``hash`` among them doesn't count."""
    counted = {name: fact for name, fact in facts.items() if name != "hash"}
    text = json.dumps(counted, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of the installed ones among these distributions."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def usable_cores() -> int:
    """On how many cores this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_model(root: Path) -> str | None:
    """The processor's name: ``model name`` on x86, implementer and part on ARM, the system's word elsewhere."""
    fields: dict[str, str] = {}
    for line in _text(root / "proc/cpuinfo").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    if "model name" in fields:
        return fields["model name"]
    if "CPU part" in fields:
        return f"ARM implementer {fields.get('CPU implementer', '?')} part {fields['CPU part']}"
    return platform.processor() or None


def _memory(root: Path) -> int | None:
    """Bytes of memory."""
    for line in _text(root / "proc/meminfo").splitlines():
        match line.split():
            case ["MemTotal:", kilobytes, *_] if kilobytes.isdigit():
                return int(kilobytes) * 1024
    return None


def _line(path: Path) -> str | None:
    return _text(path).strip() or None


def _text(path: Path) -> str:
    """What a file says; nothing where it isn't or can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
