"""What of a driver travels to hosts, and is it known beforehand whether it can run there?"""

from __future__ import annotations

import io
import struct
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.drivers import registry
from pytest_netbench.drivers.build import at
from pytest_netbench.drivers.driver import Driver
from pytest_netbench.errors import HostError, Unsupported, UsageError
from pytest_netbench.hosts.aws import elf, modules
from pytest_netbench.hosts.aws.bundle import Blob
from pytest_netbench.hosts.aws.cargo import OnImage, Platform, cargo, check, table_for_hosts
from pytest_netbench.hosts.aws.settings import settings_from
from pytest_netbench.roles import Role

HERE = sys.version_info[:2]
SH = Path("/bin/sh").resolve().read_bytes()


def program(machine: int, *versions: str) -> bytes:
    head = b"\x7fELF".ljust(18, b"\0") + struct.pack("<H", machine)
    return head + b"".join(b"\0GLIBC_" + one.encode() + b"\0" for one in versions)


def fits(data: bytes, machine: str = "x86_64", glibc: tuple[int, int] = (2, 34), *, bare: bool = True) -> None:
    check((Blob(data, "d"),), machine, Platform(glibc, HERE, bare=bare))


def rows(**sections: Mapping[str, Any]) -> Mapping[str, Driver]:
    return registry.table(sections)


def brought(table: Mapping[str, Driver], name: str, **on_image: str) -> dict[str, Any]:
    return {one.path: one for one in cargo(table, frozenset({name}), on_image, HERE)}


def there(table: Mapping[str, Driver], name: str, **on_image: str) -> Driver:
    return registry.load(table_for_hosts(registry.dump(table), on_image))[name]


TOOL: Mapping[str, Any] = {
    "level": "command",
    "server": "tool -s -p {port}",
    "client": {"download": "tool -c {host} -p {port} -R", "upload": "tool-up -c {host} -p {port}"},
}


@pytest.fixture
def tool(tmp_path: Path) -> Mapping[str, Any]:
    """A tool of two programs."""
    for name in ("tool", "tool-up"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    return {**TOOL, "path": str(tmp_path)}


def test_a_program_for_a_newer_glibc_or_another_machine_is_refused_before_launch() -> None:
    """By name; a static one needs none."""
    fits(program(0x3E, "2.17", "2.34"))
    fits(program(0x3E))
    with pytest.raises(HostError, match=r"d needs glibc 2.35, the image has 2.34"):
        fits(program(0x3E, "2.2.5", "2.35"))
    with pytest.raises(HostError, match="x86_64, hosts are arm64"):
        fits(program(0x3E), "arm64")


def test_a_program_that_needs_a_library_of_its_own_is_refused_before_launch() -> None:
    """With the way out of it; whoever has an image of their own knows what is on it."""
    data = Path("/usr/bin/env").read_bytes()
    assert "libc.so.6" in elf.libraries(data)
    alien = data.replace(b"libc.so.6\0", b"libq.so.6\0", 1)
    assert "libq.so.6" in elf.libraries(alien)
    with pytest.raises(HostError, match=r"(?s)d needs libq.so.6.*\[providers.aws.programs\] d = "):
        fits(alien, glibc=(9, 9))
    fits(alien, glibc=(9, 9), bare=False)


def test_a_real_program_tells_its_need() -> None:
    """This machine's own shell names glibc's version."""
    assert elf.glibc_need(SH) is not None


@given(st.binary(max_size=300))
def test_a_file_that_is_torn_tells_nothing(data: bytes) -> None:
    """Never an error."""
    assert elf.libraries(elf.MAGIC + data) is not None
    assert elf.machine(data)


def test_programs_stand_in_a_folder_of_their_driver_on_hosts() -> None:
    """Two drivers may have programs of one name; what is built in needs none."""
    assert there(registry.KNOWN, "s2n-tcp").paths == ("@ROOT@/bin/s2n-tcp",)
    assert there(registry.KNOWN, "tcp").commands[Role.SERVER].argv[0] == "{python}"
    assert brought(registry.KNOWN, "tcp") == {}


def test_every_program_of_a_tool_is_brought(tool: Mapping[str, Any]) -> None:
    """Those of all its lines, and its lines name them as they are there."""
    table = rows(tool=tool)
    assert set(brought(table, "tool")) == {"tool/tool", "tool/tool-up"}
    foreign = there(table, "tool").foreign
    assert foreign is not None
    assert {line[0] for of_role in foreign.lines.values() for line in of_role.values()} == {"tool", "tool-up"}


def test_what_is_on_the_image_isnt_brought(tool: Mapping[str, Any]) -> None:
    """It must be where the settings say."""
    table = rows(tool=tool)
    found = brought(table, "tool", tool="/opt/tool")
    assert found["/opt/tool"] == OnImage("/opt/tool")
    assert set(found) == {"/opt/tool", "tool/tool-up"}
    assert there(table, "tool", tool="/opt/tool").commands[Role.SERVER].argv[0] == "/opt/tool"
    with pytest.raises(UsageError, match="expected paths on the image"):
        settings_from({"programs": {"tool": "tool"}})


def test_all_products_of_a_build_are_brought(tmp_path: Path) -> None:
    """Libraries and folders, too; words that name them are those of the host."""
    (tmp_path / "lib").mkdir()
    for name in ("perf", "lib/libown.so.1"):
        (tmp_path / name).write_bytes(b"x")
    row = rows(own={"server": "$OUT/perf -l $OUT/lib", "client": "$OUT/perf", "build": "make"})["own"]
    table = {"own": at(row, tmp_path)}
    assert set(brought(table, "own")) == {"own/perf", "own/lib/libown.so.1"}
    assert there(table, "own").commands[Role.SERVER].argv == ("@ROOT@/bin/own/perf", "-l", "@ROOT@/bin/own/lib")


def test_the_packages_of_a_driver_in_python_travel_as_one_file() -> None:
    """All that aioquic needs; the same bytes each time."""
    (blob,) = brought(registry.KNOWN, "quic").values()
    names = zipfile.ZipFile(io.BytesIO(blob.data)).namelist()
    assert {"aioquic/__init__.py", "cryptography/__init__.py", "certifi/cacert.pem"} <= set(names)
    assert not [one for one in names if one.startswith("/") or ".." in one]
    assert modules.packed.__wrapped__(("aioquic",)) == blob.data
    with pytest.raises(HostError, match="hosts are arm64"):
        check((blob,), "arm64", Platform())


@pytest.mark.parametrize("python", [(3, 99), None])
def test_packages_for_another_python_are_unsupported(python: tuple[int, int] | None) -> None:
    """With what would help."""
    with pytest.raises(Unsupported, match=r"driver quic: \S+ is for Python .*(run pytest with that|python = )"):
        cargo(registry.KNOWN, frozenset({"quic"}), {}, python)


def test_programs_of_the_interop_runners_contract_are_brought(tool: Mapping[str, Any]) -> None:
    """As those of a tool."""
    iop = {"level": "interop", "server": "tool", "client": "tool-up {requests}", "path": tool["path"]}
    assert set(brought(rows(iop=iop), "iop")) == {"iop/tool", "iop/tool-up"}


def test_a_program_that_isnt_here_is_named(tool: Mapping[str, Any]) -> None:
    """With the line that installs it."""
    with pytest.raises(HostError, match=r"(?s)tool can't be brought.*pip install tool"):
        brought(rows(tool={**TOOL, "install": "pip install tool"}), "tool")
