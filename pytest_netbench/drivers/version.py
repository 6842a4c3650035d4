"""Which version of which library is inside a driver? Read from the executable itself.

Rust's compiler leaves the folders of the crates in the texts of panics (``.../s2n-quic-1.31.0/src/...``): what is found
there is what was linked. Go's compiler leaves a list of modules. OpenSSL, linked statically, has its version as a text
by itself.
"""

from __future__ import annotations

import hashlib
import platform
import re
import subprocess
from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING

from pytest_netbench.roles import Role

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_netbench.drivers.driver import Driver

_CRATE = re.compile(rb"registry/src/[^/\0]{1,100}/([a-z0-9_-]{1,60}?)-(\d+\.\d+\.\d+[a-z0-9.+-]*)/")
_OPENSSL = re.compile(rb"\0([1-9]\.\d{1,2}\.\d{1,2}[a-z]?)\0")

_GO = re.compile(rb"\n(?:mod|dep)\t(\S{1,200})\t(v\d\S{0,60})")
_ANSWER = 10.0
"""Seconds that a program may take to tell its version."""

_ELSE = {"s2n-tls": ("s2n-tls-sys",), "openssl": ("rust-openssl",)}
"""What is shown instead where the library itself doesn't tell."""


def version_of(driver: Driver) -> str:
    """The version of the library inside a driver, and of the driver; its fingerprint where nothing tells.

    :raises DriverMissing: if it isn't on this machine.
    """
    if driver.tells_version:
        return _told(str(driver.find(driver.tells_version[0])), *driver.tells_version[1:])
    if driver.commands[next(iter(driver.commands))].argv[0] == "{python}":
        driver.locate()
        inside = [f"{module} {metadata.version(module)}" for module in driver.modules]
        return ", ".join([*inside, f"{platform.python_implementation()} {platform.python_version()}", *_linked(driver)])
    found = driver.locate()
    executable = found.get(Role.SERVER) or found[Role.CLIENT]
    return describe(executable, driver.library)


def _linked(driver: Driver) -> list[str]:
    """OpenSSL, where Python's own is what is measured."""
    if driver.library != "openssl":
        return []
    import ssl

    return [ssl.OPENSSL_VERSION]


@lru_cache(maxsize=64)
def _told(*argv: str) -> str:
    """The first line that a command prints."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=_ANSWER, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{argv[0]} doesn't tell its version: {error}"
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return lines[0][:200] if lines else f"{argv[0]} printed no version"


def describe(executable: Path, library: str = "") -> str:
    """What an executable says of itself: ``LIBRARY VERSION``, or the beginning of its SHA-256."""
    stat = executable.stat()
    inside, fingerprint = _read(executable, stat.st_mtime_ns, stat.st_size)
    for name in (library, *_ELSE.get(library, ())):
        if name in inside:
            return f"{name} {inside[name]}"
    return f"{executable.name}, version unknown, sha256 {fingerprint[:12]}"


@lru_cache(maxsize=64)
def _read(executable: Path, _mtime: int, _size: int) -> tuple[dict[str, str], str]:
    content = executable.read_bytes()
    inside = {name.decode(): version.decode() for name, version in _CRATE.findall(content)}
    for module, version in _GO.findall(content):
        path = module.decode(errors="replace")
        inside |= {path: version.decode(), path.rpartition("/")[2]: version.decode()}
    if (crate := inside.pop("openssl", None)) is not None:  # this is the version of Rust's binding
        inside["rust-openssl"] = crate
        texts = {text.decode() for text in _OPENSSL.findall(content)}
        if len(texts) == 1:
            inside["openssl"] = texts.pop()
    return inside, hashlib.sha256(content).hexdigest()
