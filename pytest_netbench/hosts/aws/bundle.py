"""What travels to a host? One zipapp of the code that runs there, and other files, each named by its SHA-256.

The zipapp holds what the entry points import, read from their source, and nothing else; the same source makes the same
bytes.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import py_compile
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest_netbench

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


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes and their name.

    ``path``: where a host puts them; ``modules``: those of Python that are packed in it, to be unpacked there.
    """

    data: bytes
    path: str = ""
    modules: tuple[str, ...] = ()

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


def manifest(
    run: str, hosts: Mapping[str, str], authority: str, files_: Sequence[Mapping[str, object]], table: str, port: int
) -> Blob:
    """What all hosts of a run read: by address, who each is; whom it obeys; the programs to fetch. No secret."""
    said = {"run": run, "hosts": hosts, "authority": authority, "files": files_, "table": table, "port": port}
    return Blob(json.dumps(said, sort_keys=True).encode())
