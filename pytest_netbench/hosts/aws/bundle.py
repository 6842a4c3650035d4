"""What travels to a host? One zipapp of the code that runs there, and drivers' files, each named by its SHA-256.

The zipapp holds what the entry points import, read from their source, and nothing else; the same source makes the same
bytes.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import py_compile
import re
import struct
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest_netbench
from pytest_netbench.drivers import registry
from pytest_netbench.drivers.driver import Command, Driver
from pytest_netbench.errors import DriverMissing, HostError
from pytest_netbench.hosts.aws.onhost import BIN, ROOT_MARK
from pytest_netbench.roles import Role

ENTRIES = (
    "pytest_netbench.hosts.aws.onhost",
    "pytest_netbench.worker",
    "pytest_netbench.drivers.launcher",
)
"""What is run on a host."""
WHOLE = ("pytest_netbench/drivers/builtin", "pytest_netbench/drivers/adapter")
"""Folders of programs that load their parts by name."""
_MAIN = """\
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from pytest_netbench.hosts.aws.onhost import main

sys.exit(main(sys.argv[1:]))
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MACHINES = {0x3E: "x86_64", 0xB7: "arm64"}
_GLIBC = re.compile(rb"\0GLIBC_(\d+)\.(\d+)(?:\.\d+)?(?=\0)")
_HEADER = 20


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes and their name. ``path``: where a host puts them."""

    data: bytes
    path: str = ""

    @property
    def sha256(self) -> str:
        """Their name, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def key(self) -> str:
        """Where they are in the bucket."""
        return f"bin/{self.sha256}"


_BUILDING = threading.Lock()


def bundle() -> Blob:
    """The zipapp; made once, also by several threads."""
    with _BUILDING:
        return _bundle()


@cache
def _bundle() -> Blob:
    out = io.BytesIO()
    root = Path(pytest_netbench.__file__).parents[1]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [("__main__.py", _MAIN.encode()), *_sources(root)]:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return Blob(out.getvalue())


def _sources(root: Path) -> Iterator[tuple[str, bytes]]:
    """Each file, and what this Python compiles it to: a host with the same one needn't, whenever a driver starts."""
    for name in files():
        path = Path(name)
        yield name, (root / name).read_bytes()
        with tempfile.NamedTemporaryFile(suffix=".pyc") as compiled:
            py_compile.compile(
                str(root / name),
                compiled.name,
                dfile=name,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
            cached = path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc"
            yield cached.as_posix(), Path(compiled.name).read_bytes()


@cache
def files() -> tuple[str, ...]:
    """The files of the zipapp, relative to where the packages stand."""
    root = Path(pytest_netbench.__file__).parents[1]
    found: set[Path] = set()
    todo = list(ENTRIES)
    for folder in WHOLE:
        todo += [f"{folder}/{path.stem}".replace("/", ".") for path in sorted((root / folder).glob("*.py"))]
    while todo:
        name = todo.pop()
        path = _file(root, name)
        if path is None or path in found:
            continue
        found.add(path)
        todo += _imports(ast.parse(path.read_bytes()))
        while "." in name:
            name = name.rpartition(".")[0]
            todo.append(name)
    return tuple(sorted(path.relative_to(root).as_posix() for path in found))


def _file(root: Path, module: str) -> Path | None:
    """Where a module of ours is."""
    if module.split(".", maxsplit=1)[0] not in {"pytest_netbench", "russula"}:
        return None
    path = root.joinpath(*module.split("."))
    return next((one for one in (path / "__init__.py", path.with_suffix(".py")) if one.is_file()), None)


def _imports(tree: ast.AST) -> Iterator[str]:
    """What is imported when it runs, also inside functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield from _imports(node)


# --- drivers -----------------------------------------------------------------------------------------


def programs(rows: Mapping[str, Driver], wanted: frozenset[str]) -> tuple[Blob, ...]:
    """The executables of these drivers, as far as they are files; what is built in travels in the bundle.

    :raises HostError: if one isn't here; with the line that installs it.
    """
    found = {}
    for name in sorted(wanted & set(rows)):
        row = rows[name]
        for role, command in row.commands.items():
            if command.argv[0] == "{python}":
                continue
            try:
                path = row.executable(role)
            except DriverMissing as error:
                raise HostError(f"driver {name} can't be brought to the hosts: {error}") from error
            found[f"{name}/{Path(command.argv[0]).name}"] = path
    return tuple(Blob(path.read_bytes(), place) for place, path in found.items())


def table_for_hosts(text: str) -> str:
    """The table of drivers as hosts have it: programs stand in a folder of theirs, one for each row."""
    rows = registry.load(text)
    moved = {
        name: replace(row, commands=_moved(row), paths=(f"{ROOT_MARK}/{BIN}/{name}",)) for name, row in rows.items()
    }
    return registry.dump(moved)


def _moved(row: Driver) -> Mapping[Role, Command]:
    return {
        role: replace(command, argv=(_base(command.argv[0]), *command.argv[1:]))
        for role, command in row.commands.items()
    }


def _base(program: str) -> str:
    return program if program == "{python}" else Path(program).name


def check_program(blob: Blob, machine: str, glibc: tuple[int, int] | None) -> None:
    """Whether a program can run on such a host, found before the host is made.

    :raises HostError: if it is for another kind of machine, or needs a newer glibc than the image has.
    """
    if not blob.data.startswith(b"\x7fELF"):
        return
    (kind,) = struct.unpack_from("<H", blob.data[:_HEADER], 18)
    if _MACHINES.get(kind) != machine:
        raise HostError(
            f"{blob.path} is a program for {_MACHINES.get(kind, f'machine {kind:#x}')}, hosts are {machine}"
        )
    needed = glibc_need(blob.data)
    if needed and glibc and needed > glibc:
        have, want = (".".join(map(str, one)) for one in (glibc, needed))
        raise HostError(
            f"{blob.path} needs glibc {want}, the image has {have}: build it for an older one (or for musl), "
            "or take another [providers.aws] image"
        )


def glibc_need(data: bytes) -> tuple[int, int] | None:
    """The newest version of glibc that a program names among its symbols' versions; None for a static one."""
    versions = [(int(major), int(minor)) for major, minor in _GLIBC.findall(data)]
    return max(versions, default=None)


def manifest(
    run: str, hosts: Mapping[str, str], authority: str, files_: Sequence[Mapping[str, str]], table: str, port: int
) -> Blob:
    """What all hosts of a run read: by address, who each is; whom it obeys; the programs to fetch. No secret."""
    said = {"run": run, "hosts": hosts, "authority": authority, "files": files_, "table": table, "port": port}
    return Blob(json.dumps(said, sort_keys=True).encode())
