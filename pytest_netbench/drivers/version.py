"""Which version of which library is inside a driver? Read from the executable itself.

Rust's compiler leaves the folders of the crates in the texts of panics (``.../s2n-quic-1.31.0/src/...``): what is found
there is what was linked. A C library inside says its version in its own text.
"""

from __future__ import annotations

import hashlib
import platform
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_netbench.roles import Role

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_netbench.drivers.driver import Driver

_CRATE = re.compile(rb"registry/src/[^/\0]{1,100}/([a-z0-9_-]{1,60}?)-(\d+\.\d+\.\d+[a-z0-9.+-]*)/")
_TEXTS = {"openssl": re.compile(rb"OpenSSL (\d+\.\d+\.\d+[a-z]*) ")}

_CRATES = {"s2n-tls": ("s2n-tls", "s2n-tls-sys")}
"""Other crates that carry the same version, should a library's own name not occur."""


def version_of(driver: Driver) -> str:
    """The version of the library inside a driver, and of the driver; its fingerprint where nothing tells.

    :raises DriverMissing: if it isn't on this machine.
    """
    if driver.commands[next(iter(driver.commands))].argv[0] == "{python}":
        driver.locate()
        return f"{platform.python_implementation()} {platform.python_version()}"
    found = driver.locate()
    executable = found.get(Role.SERVER) or found[Role.CLIENT]
    return describe(executable, driver.library)


def describe(executable: Path, library: str = "") -> str:
    """What an executable says of itself: ``LIBRARY VERSION``, or the beginning of its SHA-256."""
    stat = executable.stat()
    inside, fingerprint = _read(executable, stat.st_mtime_ns, stat.st_size)
    names = [name for name in (library, *_CRATES.get(library, ())) if name in inside]
    if names:
        return f"{library} {inside[names[0]]}"
    return f"{executable.name}, version unknown, sha256 {fingerprint[:12]}"


@lru_cache(maxsize=64)
def _read(executable: Path, _mtime: int, _size: int) -> tuple[dict[str, str], str]:
    content = executable.read_bytes()
    inside = {name.decode(): version.decode() for name, version in _CRATE.findall(content)}
    for name, pattern in _TEXTS.items():
        if (match := pattern.search(content)) is not None:
            inside[name] = match[1].decode()
    return inside, hashlib.sha256(content).hexdigest()
