"""Is the version of the library inside read from the executable?"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pytest_netbench.drivers import registry, s2n
from pytest_netbench.drivers.version import describe, version_of
from pytest_netbench.errors import DriverMissing

BINARY = b"\x7fELF\0/home/me/.cargo/registry/src/index-1949/s2n-quic-1.31.0/src/server.rs\0..tokio-1.35.1/x\0"


def test_a_crate_is_read_from_the_texts_of_panics(tmp_path: Path) -> None:
    """The folder of the crate that was linked stands in the executable."""
    path = tmp_path / "driver"
    path.write_bytes(BINARY)
    assert describe(path, "s2n-quic") == "s2n-quic 1.31.0"


def test_a_static_openssl_is_told_from_its_binding(tmp_path: Path) -> None:
    """The library's own version is shown, its binding's only where that doesn't stand there."""
    path = tmp_path / "driver"
    binding = b"/registry/src/index/openssl-0.10.62/src/x\0"
    path.write_bytes(binding)
    assert describe(path, "openssl") == "rust-openssl 0.10.62"
    path.write_bytes(binding + b"\0003.2.0\0")
    assert describe(path, "openssl") == "openssl 3.2.0"


def test_what_does_not_tell_is_shown_by_its_fingerprint(tmp_path: Path) -> None:
    """Two builds can still be told apart, and a new build is read anew."""
    path = tmp_path / "driver"
    for content in (b"one", b"another"):
        path.write_bytes(content)
        assert describe(path, "mine") == f"driver, version unknown, sha256 {hashlib.sha256(content).hexdigest()[:12]}"


def test_the_built_in_driver_shows_its_interpreter() -> None:
    """It is Python's loop that is measured."""
    assert version_of(registry.KNOWN["tcp"]).startswith("CPython 3.")


def test_a_built_in_driver_shows_the_library_inside() -> None:
    """Python's OpenSSL, or aioquic."""
    assert ", OpenSSL " in version_of(registry.KNOWN["tls"])
    pytest.importorskip("aioquic")
    assert version_of(registry.KNOWN["quic"]).startswith("aioquic 1.")


@pytest.mark.real
@pytest.mark.parametrize("name", s2n.ROWS)
def test_the_real_drivers_tell(name: str) -> None:
    """Each installed one shows its library with a version."""
    try:
        library, _, version = version_of(s2n.ROWS[name]).partition(" ")
    except DriverMissing as missing:
        pytest.skip(str(missing))
    assert library == s2n.ROWS[name].library
    assert version[0].isdigit()
