"""How do results get into a file, and out of it? Written whole or not at all, with one clear error where that fails."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.errors import ResultsError
from pytest_netbench.result.results_json import from_json, session_to_json

if TYPE_CHECKING:
    from pytest_netbench.result.model import SessionRecord

__all__ = ["from_json", "read", "session_to_json", "write", "write_whole"]


def write(session: SessionRecord, path: Path) -> None:
    """Write a session's results; an earlier file is replaced at once, or stays as it is.

    :raises ResultsError: if the disk is full, the folder can't be written to, or a number isn't finite.
    """
    write_whole(path, session_to_json(session).encode("utf-8", "backslashreplace"))


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in place whole or not at all: it is written beside its place, synced, and renamed.

    The folder is made if absent.

    :raises ResultsError: names the file and what the system said; nothing half-written is left.
    """
    beside: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(prefix=f".{path.name[:200]}.", suffix=".part", dir=path.parent)
        beside = Path(made)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o666 & ~_umask())
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        beside.replace(path)
    except OSError as error:
        raise ResultsError(
            f"can't write {path}: {error.strerror or error}; make room or the folder writable, or choose another one "
            "with --netbench-out DIR"
        ) from error
    finally:
        if beside is not None:
            with suppress(OSError):  # it is gone when all went well; a folder that vanished has nothing left in it
                beside.unlink(missing_ok=True)


def _umask() -> int:
    """This process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def read(path: Path) -> SessionRecord:
    """Read a file of results.

    :raises ResultsError: if it can't be read, is truncated, isn't of schema 1, or is malformed; names the element.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"can't read {path}: {error.strerror or error}") from error
    return from_json(data, name=str(path))
