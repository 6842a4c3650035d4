"""Which packages does a driver in Python need beside it? Those that are installed here, as one file for the hosts.

They are unpacked beside the bundle, where the driver's own code finds them. Those with compiled parts fit one kind of
machine, and some of them one version of Python: that must be the hosts'.
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

from pytest_netbench.errors import DriverMissing

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_OWN_PYTHON = re.compile(r"\.cpython-\d+-[^/]*\.so$")
"""The name of a compiled part that fits this version of Python alone; that of others says ``abi3``."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@cache
def packed(modules: tuple[str, ...]) -> bytes:
    """The packages of these modules and all that they need, as a zip file: the same installation makes the same bytes.

    :raises DriverMissing: if one isn't installed here, or doesn't say which files it has.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(_files(modules)):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


@cache
def compiled(modules: tuple[str, ...]) -> tuple[tuple[str, Path], ...]:
    """Their parts that aren't Python: name, and where.

    :raises DriverMissing: as ``packed``.
    """
    return tuple(sorted(one for one in _files(modules) if one[0].endswith(".so")))


def misfit(names: Sequence[str], python: tuple[int, int] | None) -> str:
    """Why compiled parts of these names can't be loaded by a host's Python; empty if they can."""
    own = [name for name in names if _OWN_PYTHON.search(name)]
    here = sys.version_info[:2]
    if not own or python == here:
        return ""
    have = ".".join(map(str, here))
    if python is None:
        return f'{own[0]} is for Python {have}; which has the image? [providers.aws] python = "{have}"'
    there = ".".join(map(str, python))
    return f"{own[0]} is for Python {have}, hosts have {there}: run pytest with that, or take another image"


def _files(modules: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """Every file of theirs, by its place among packages; without scripts, and what a Python compiled."""
    for found in _distributions(modules):
        if found.files is None:
            raise DriverMissing(f"package {found.name} doesn't say which files it has: install it with pip")
        for one in found.files:
            if ".." not in one.parts and "__pycache__" not in one.parts:
                yield one.as_posix(), Path(str(one.locate()))


def _distributions(modules: tuple[str, ...]) -> Iterator[metadata.Distribution]:
    """The packages, and those that they name, as far as they are installed: the others are for other machines."""
    todo, seen = list(modules), set()
    while todo:
        name = todo.pop()
        plain = re.sub(r"[-_.]+", "-", name).lower()
        if plain in seen:
            continue
        seen.add(plain)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name in modules:
                raise DriverMissing(f"no package {name} is installed here") from None
            continue
        yield found
        wanted = (_NAME.match(one) for one in found.requires or () if "extra ==" not in one)
        todo.extend(named[0] for named in wanted if named)
