"""What is this machine, and how good is its clock? Facts that a result shows of a host.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

from pytest_netbench.result.environment import environment

Facts = dict[str, "str | int | float"]

_SIOCGIFADDR = 0x8915
_KEPT = ("kernel", "machine", "cpu_model", "cores", "memory", "python", "tcp_congestion_control", "default_qdisc")
_CHRONY_FIELDS = 14


def facts(address: str, root: Path = Path("/")) -> Facts:
    """What is known of the machine with this address; what can't be found is left out."""
    known = environment(root)
    found: Facts = {name: value for name in _KEPT if isinstance(value := known.get(name), str | int)}
    with suppress(ValueError, OSError):
        if libc := os.confstr("CS_GNU_LIBC_VERSION"):
            found["libc"] = libc
    if interface := interface_of(address):
        found |= {"interface": interface, **interface_facts(interface, root)}
    found |= chrony()
    if source := _line(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"):
        found["clocksource"] = source
    return found


def interface_of(address: str) -> str:
    """The interface that has an IPv4 address; empty if none has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            with suppress(OSError):
                answer = fcntl.ioctl(sock, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                if socket.inet_ntoa(answer[20:24]) == address:
                    return name
    return ""


def interface_facts(name: str, root: Path = Path("/")) -> Facts:
    """MTU, driver, and how far the card's own clock may be off (``phc_error_bound`` of ENA, in nanoseconds)."""
    folder = root / "sys/class/net" / name
    found: Facts = {}
    if (mtu := _line(folder / "mtu")).isdigit():
        found["mtu"] = int(mtu)
    with suppress(OSError):
        found["nic_driver"] = (folder / "device/driver").readlink().name
    if (bound := _line(folder / "device/phc_error_bound")).isdigit():
        found["phc_error_bound_ns"] = int(bound)
    return found


def chrony() -> Facts:
    """How well chrony keeps this clock; nothing where it isn't there."""
    try:
        done = subprocess.run(["chronyc", "-c", "tracking"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return tracking(done.stdout) if done.returncode == 0 else {}


def tracking(line: str) -> Facts:
    """``chronyc -c tracking``: one line of 14 fields; times in seconds.

    Reference, its name, stratum, time of reference, offset of the system's clock, last and RMS offset, frequency,
    residual frequency, skew, root delay, root dispersion, update interval, leap status. The clock is at most half of
    the root delay, the root dispersion and its own offset away from the truth.
    """
    fields = line.strip().split(",")
    if len(fields) != _CHRONY_FIELDS:
        return {}
    try:
        stratum = int(fields[2])
        offset, rms, delay, dispersion = (float(fields[index]) for index in (4, 6, 10, 11))
    except ValueError:
        return {}
    return {
        "clock_source": fields[1],
        "clock_stratum": stratum,
        "clock_offset_s": offset,
        "clock_rms_s": rms,
        "clock_error_bound_s": delay / 2 + dispersion + abs(offset),
        "clock_state": fields[13],
    }


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
