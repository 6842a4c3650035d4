"""Which programs does a driver run, exactly? Its files by their SHA-256, so that the same can be told from others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path

from pytest_netbench.drivers.build import OUT
from pytest_netbench.drivers.driver import Driver, find_executable
from pytest_netbench.roles import Role

PYTHON, PACKAGE = "{python}", "{package}"
OURS = "pytest-netbench"
CODE = ("drivers", "scenario", "telemetry", "errors.py", "roles.py", "units.py")
"""Where the code of the built-in drivers' program is, in this package."""

_CHUNK = 1 << 20


def artifacts(row: Driver, role: Role) -> dict[str, str]:
    """The SHA-256 of each file that a role's command lines name, by the file's name; what isn't here is left out.

    A driver of this package is its version with the code that runs on hosts. Of a build, what else it left in ``$OUT``
    counts as one, under that name: a library there is a part of the program.
    """
    named = _named(row, role)
    made = {_name(row, path): sha256(path) for path in named.values()}
    if any(PACKAGE in word for word in _words(row, role)):
        program, fingerprint = _own_program()
        made["+".join([program, *(f"{module}-{metadata.version(module)}" for module in row.modules)])] = fingerprint
    if beside := _beside(row):
        made[OUT] = beside
    return made


def programs(row: Driver, role: Role) -> tuple[str, ...]:
    """What tells whether two rows run the same: command lines with contents for files, environment, all else built."""
    if role not in row.commands:
        return ()
    named = _named(row, role)
    known = {word: sha256(path) for word, path in named.items()}
    texts = [*_words(row, role), *(f"{key}={value}" for key, value in sorted(row.commands[role].env.items()))]
    return (*(known.get(text) or _at_out(row, text) for text in texts), _beside(row))


def _words(row: Driver, role: Role) -> Iterator[str]:
    """Every word of every command line of a role."""
    if role in row.commands:
        yield from row.commands[role].argv
    if row.foreign is not None:
        for line in row.foreign.lines.get(role, {}).values():
            yield from line


def _named(row: Driver, role: Role) -> dict[str, Path]:
    """The files that a role's command lines name: programs, and arguments that are files, as a script is."""
    firsts = {row.commands[role].argv[0]} if role in row.commands else set()
    if row.foreign is not None:
        firsts |= {line[0] for line in row.foreign.lines.get(role, {}).values()}
    found: dict[str, Path] = {}
    for word in dict.fromkeys(_words(row, role)):
        path = find_executable(word, row.paths) if word in firsts and word != PYTHON else _file(word)
        if path is not None and os.access(path, os.R_OK):
            found[word] = path.absolute()
    return found


def _file(word: str) -> Path | None:
    return Path(word) if os.sep in word and PACKAGE not in word and Path(word).is_file() else None


def _name(row: Driver, path: Path) -> str:
    return path.relative_to(row.out).as_posix() if row.out and path.is_relative_to(row.out) else path.name


def _at_out(row: Driver, text: str) -> str:
    return text.replace(row.out, OUT) if row.out else text


def _beside(row: Driver) -> str:
    """One SHA-256 of all that a build left and no command line names; nothing where there is none."""
    folder = Path(row.out)
    if not row.out or not any(row.out in word for role in Role for word in _words(row, role)):
        return ""
    named = {path for role in Role for path in _named(row, role).values()}
    others = sorted({one for one in folder.rglob("*") if one.is_file() and os.access(one, os.R_OK)} - named)
    return _together({one.relative_to(folder).as_posix(): sha256(one) for one in others}) if others else ""


@cache
def _own_program() -> tuple[str, str]:
    """The built-in drivers' program: its version, and one SHA-256 of all its code."""
    root = Path(__file__).parents[1]
    places = [root / name for name in CODE]
    code = [found for one in places for found in (one.rglob("*.py") if one.is_dir() else [one])]
    made = _together({one.relative_to(root).as_posix(): sha256(one) for one in code})
    return f"{OURS}-{metadata.version(OURS)}", made


def _together(several: Mapping[str, str]) -> str:
    """One SHA-256 of files by their names."""
    whole = "".join(f"{fingerprint}  {name}\n" for name, fingerprint in sorted(several.items()))
    return hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; read once while it stays the same.

    :raises OSError: if it can't be read.
    """
    stat = path.stat()
    return _sha256(path, stat.st_ino, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4096)
def _sha256(path: Path, _inode: int, _mtime: int, _size: int) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
