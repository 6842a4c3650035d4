"""What of a driver travels to the hosts, and what is there already? Its programs or packages, known to fit beforehand.

What is built in travels in the bundle; a program travels as its file, a build with all its products, a driver in Python
with the packages that it needs. What ``[providers.aws.programs]`` names is on the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from pytest_netbench.drivers import registry
from pytest_netbench.drivers.build import at
from pytest_netbench.drivers.driver import Driver
from pytest_netbench.errors import DriverMissing, HostError, Unsupported
from pytest_netbench.hosts.aws import elf, modules
from pytest_netbench.hosts.aws.bundle import Blob
from pytest_netbench.hosts.aws.onhost import BIN, ROOT_MARK

PYTHON = "{python}"
EVERYWHERE = frozenset(
    {
        *("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libresolv.so.2"),
        *("ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libgcc_s.so.1", "libstdc++.so.6"),
        *("libz.so.1", "libssl.so.3", "libcrypto.so.3"),
    }
)
"""Libraries that both named images have: of glibc, of GCC, zlib, OpenSSL 3."""


@dataclass(frozen=True, slots=True)
class OnImage:
    """A program that is on the image; ``path``: where."""

    path: str


Cargo: TypeAlias = Blob | OnImage


@dataclass(frozen=True, slots=True)
class Platform:
    """What is known of an image: its glibc, its Python; ``bare``: it has no libraries but those of ``EVERYWHERE``."""

    glibc: tuple[int, int] | None = None
    python: tuple[int, int] | None = None
    bare: bool = False


def cargo(
    rows: Mapping[str, Driver], wanted: frozenset[str], on_image: Mapping[str, str], python: tuple[int, int] | None
) -> tuple[Cargo, ...]:
    """What these drivers need on hosts with this Python.

    :raises HostError: if something isn't here; with the line that installs it.
    :raises Unsupported: if such a driver can't be on such hosts.
    """
    found: dict[str, Cargo] = {}
    for name in sorted(wanted & set(rows)):
        try:
            found |= {one.path: one for one in _of(rows[name], on_image, python)}
        except DriverMissing as error:
            raise HostError(f"driver {name} can't be brought to the hosts: {error}") from error
    return tuple(found.values())


def _of(row: Driver, on_image: Mapping[str, str], python: tuple[int, int] | None) -> Iterator[Cargo]:
    if row.modules:
        names = [name for name, _ in modules.compiled(row.modules)]
        if why := modules.misfit(names, python):
            raise Unsupported(f"driver {row.name}: {why}")
        yield Blob(modules.packed(row.modules), f"{row.name}.zip", modules=row.modules)
    if row.out:
        folder = Path(row.out)
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            yield Blob(path.read_bytes(), f"{row.name}/{path.relative_to(folder).as_posix()}")
    for program in programs(row):
        if (there := declared(program, on_image)) is not None:
            yield OnImage(there)
        elif not _is_product(program, row):
            yield Blob(row.find(program).read_bytes(), f"{row.name}/{Path(program).name}")


def programs(row: Driver) -> tuple[str, ...]:
    """The programs that a row's lines name; this interpreter isn't one."""
    lines = [command.argv for command in row.commands.values()]
    if row.foreign is not None:
        lines = [line for of_role in row.foreign.lines.values() for line in of_role.values()]
    return tuple(dict.fromkeys(line[0] for line in lines if line[0] != PYTHON))


def declared(program: str, on_image: Mapping[str, str]) -> str | None:
    """Where a program is on the image, if that is said: by its name, or as the row writes it."""
    return on_image.get(program, on_image.get(Path(program).name))


def _is_product(program: str, row: Driver) -> bool:
    return bool(row.out) and Path(program).is_relative_to(row.out)


# --- on the hosts --------------------------------------------------------------------------------------


def table_for_hosts(text: str, on_image: Mapping[str, str]) -> str:
    """The table of drivers as hosts have it: what travels stands in a folder of its own, one for each row."""
    return registry.dump({name: _moved(row, on_image) for name, row in registry.load(text).items()})


def _moved(row: Driver, on_image: Mapping[str, str]) -> Driver:
    folder = f"{ROOT_MARK}/{BIN}/{row.name}"
    made = at(row, Path(folder)) if row.out else row

    def there(line: tuple[str, ...]) -> tuple[str, ...]:
        if line[0] == PYTHON or line[0].startswith(folder):
            return line
        return (declared(line[0], on_image) or Path(line[0]).name, *line[1:])

    foreign = made.foreign
    if foreign is not None:
        lines = {role: {kind: there(line) for kind, line in of.items()} for role, of in foreign.lines.items()}
        foreign = replace(foreign, lines=lines)
    commands = {role: replace(one, argv=there(one.argv)) for role, one in made.commands.items()}
    return replace(made, commands=commands, foreign=foreign, paths=(folder,))


# --- whether it fits -----------------------------------------------------------------------------------


def check(found: tuple[Cargo, ...], machine: str, platform: Platform) -> None:
    """Whether all of it can run on such hosts, found before they are made.

    :raises HostError: if something is for another kind of machine, needs a newer glibc, or a library that isn't there.
    """
    blobs = [one for one in found if isinstance(one, Blob)]
    brought = {Path(one.path).name for one in blobs}
    for one in blobs:
        parts = ((name, path.read_bytes()) for name, path in modules.compiled(one.modules))
        for name, data in parts if one.modules else ((one.path, one.data),):
            if data.startswith(elf.MAGIC):
                _check_program(name, data, machine, platform, brought)


def _check_program(name: str, data: bytes, machine: str, platform: Platform, brought: set[str]) -> None:
    if elf.machine(data) != machine:
        raise HostError(f"{name} is a program for {elf.machine(data)}, hosts are {machine}")
    needed, have = elf.glibc_need(data), platform.glibc
    if needed and have and needed > have:
        want, has = (".".join(map(str, one)) for one in (needed, have))
        raise HostError(
            f"{name} needs glibc {want}, the image has {has}: build it for an older one (or for musl), "
            "or take another [providers.aws] image"
        )
    missing = [one for one in elf.libraries(data) if one not in EVERYWHERE and one not in brought]
    if missing and platform.bare:
        program = Path(name).name
        raise HostError(
            f"{name} needs {', '.join(missing)}, which the image doesn't have: link it statically, or take an image "
            f'that has the program, and say where: [providers.aws.programs] {program} = "/usr/bin/{program}"'
        )
