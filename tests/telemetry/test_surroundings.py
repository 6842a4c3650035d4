"""Does a host tell how it is set, and what was changed since?"""

from __future__ import annotations

import hashlib
import struct
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.hosts.namespace import mtu_of_lo
from pytest_netbench.telemetry.interface import queue
from pytest_netbench.telemetry.surroundings import PROGRAM, surroundings

SYS = "sys/devices/system/cpu"


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value.ljust((len(value) + 3) & ~3, b"\0")


def message(kind: str, options: bytes = b"", index: int = 3) -> bytes:
    """What the kernel says of a queue: ``struct tcmsg``, its kind, its settings, and something else."""
    return struct.pack("=BxxxiIII", 0, index, 1, 2, 3) + b"".join(
        attribute(*one) for one in ((1, kind.encode() + b"\0"), (2, options), (7, b"counters"))
    )


def write(root: Path, place: str, text: str) -> None:
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_text(text)


def test_settings_are_those_of_the_files_and_what_is_missing_is_left_out(tmp_path: Path) -> None:
    """Governors of all processors together, the chosen one of several, tabs as blanks."""
    write(tmp_path, f"{SYS}/cpufreq/policy0/scaling_governor", "powersave\n")
    write(tmp_path, f"{SYS}/cpufreq/policy1/scaling_governor", "performance\n")
    write(tmp_path, "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
    write(tmp_path, "proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n")
    found = surroundings("192.0.2.1", root=tmp_path)
    assert found["governor"] == "performance, powersave"
    assert (found["huge_pages"], found["tcp_rmem"]) == ("madvise", "4096 131072 6291456")
    assert not {"turbo", "tcp_wmem", "interface", "machine", PROGRAM} & found.keys()
    assert found["cores"]


def test_this_host_tells_what_matters_of_itself() -> None:
    """Kernel, machine, congestion control, and the MTU of its own namespace's interface."""
    found = surroundings("127.0.0.1")
    assert {"kernel", "machine", "tcp_congestion_control", "tcp_rmem"} <= found.keys()
    assert (found["interface"], found["mtu"]) == ("lo", str(mtu_of_lo()))
    assert found == surroundings("127.9.9.9")


def test_another_program_is_another_environment(tmp_path: Path) -> None:
    """Files that the command names count, but for those of the round itself."""
    program, scenario = tmp_path / "nb-client", tmp_path / "round" / "scenario.json"
    write(tmp_path, "nb-client", "one")
    write(tmp_path, "round/scenario.json", "{}")
    command = (str(program), "client", str(scenario))
    before = surroundings("127.0.0.1", command, [scenario.parent])[PROGRAM]
    assert before.startswith(f"{program} (3 bytes of ")
    scenario.write_text("{...}")
    assert surroundings("127.0.0.1", command, [scenario.parent])[PROGRAM] == before
    program.write_text("another")
    assert surroundings("127.0.0.1", command, [scenario.parent])[PROGRAM] != before


def test_a_command_may_name_what_isnt_there() -> None:
    """A file that is gone, a text with a slash in it, a folder: no error, and no part of the program."""
    assert PROGRAM not in surroundings("::1", ("/nowhere/nb", "-x", "/", "a/b"))
    assert sys.executable in surroundings("::1", (sys.executable, "/nowhere"))[PROGRAM]


def test_an_emulated_link_is_told_by_its_settings() -> None:
    """Of queues whose settings are free of counters; others are told by their kind."""
    slow, fast = message("netem", b"delay 20"), message("netem", b"delay 10")
    assert queue(slow) == (3, f"netem (settings {hashlib.sha256(b'delay 20').hexdigest()[:8]})")
    assert queue(slow) != queue(fast)
    assert queue(message("htb", b"17 packets")) == queue(message("htb", b"18 packets")) == (3, "htb")


@given(st.binary(max_size=80))
def test_whatever_comes_from_the_kernel_is_read_to_its_end(data: bytes) -> None:
    """Cut, empty or senseless messages are no errors, also behind a good head."""
    queue(data)
    index, _ = queue(message("netem")[:20] + data)
    assert index == 3
