"""How do files cross a control connection? In bounded chunks, under plain names, checked by SHA-256."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from russula.codec import MAX_CHUNK
from russula.errors import LocalProtocolError, RemoteProtocolError
from russula.messages import Chunk, File

MAX_FILE = 1 << 30
"""Bytes of one file."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")


def is_plain(name: str) -> bool:
    """Whether a file may have this name: no path, nothing hidden, nothing that a shell or terminal would mind."""
    return _NAME.match(name) is not None


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk that is still on the disk: what waits to be said is small, however large the files."""

    path: Path
    offset: int
    size: int

    def load(self) -> Chunk:
        """Read it.

        :raises LocalProtocolError: if the file became shorter.
        """
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) < self.size:
            raise LocalProtocolError(f"{self.path} became shorter while it was sent")
        return Chunk(self.offset, self.size, data)


def pieces(name: str, path: Path) -> Iterator[File | Piece]:
    """What carries a file.

    :raises LocalProtocolError: if the name isn't plain, or the file is too large.
    :raises OSError: if it can't be read.
    """
    status = path.stat()
    size = status.st_size
    if not is_plain(name) or size > MAX_FILE:
        raise LocalProtocolError(f"{name!r} of {size} bytes can't be sent: a plain name and at most {MAX_FILE} bytes")
    yield File(name, size, _sum(path, size, status.st_mtime_ns))
    for offset in range(0, size, MAX_CHUNK):
        yield Piece(path, offset, min(MAX_CHUNK, size - offset))


@lru_cache(maxsize=64)
def _sum(path: Path, _size: int, _changed_ns: int) -> str:
    """The SHA-256 of a file as it is now; read once for all workers that it goes to."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Receiver:
    """Puts the files that come into a folder; each stands there only when it is whole and its sum is right."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._announced: File | None = None
        self._part: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._offset = 0
        self.count = 0

    def take(self, message: File | Chunk) -> None:
        """Take the next piece.

        :raises RemoteProtocolError: for a name that isn't plain, a piece out of order, a wrong size or sum.
        :raises OSError: if it can't be written.
        """
        if isinstance(message, File):
            self._begin(message)
        else:
            self._write(message)
        announced = self._announced
        if announced is not None and self._offset == announced.size:
            self._end(announced)

    def close(self) -> None:
        """Let go of a file that never became whole."""
        if self._part is not None:
            self._part.close()
            Path(self._part.name).unlink(missing_ok=True)
            self._part = None

    def _begin(self, file: File) -> None:
        if self._announced is not None:
            raise RemoteProtocolError(f"file {file.name!r} announced before {self._announced.name!r} was whole")
        if not is_plain(file.name) or file.size > MAX_FILE:
            raise RemoteProtocolError(f"file {file.name[:100]!r} of {file.size} bytes refused")
        self._announced, self._offset, self._digest = file, 0, hashlib.sha256()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._part = (self._folder / f".{file.name}.part").open("wb")

    def _write(self, chunk: Chunk) -> None:
        announced = self._announced
        if announced is None or chunk.offset != self._offset or self._offset + chunk.size > announced.size:
            raise RemoteProtocolError(f"a chunk at {chunk.offset} that belongs to no file")
        assert self._part is not None
        self._part.write(chunk.data)
        self._digest.update(chunk.data)
        self._offset += chunk.size

    def _end(self, file: File) -> None:
        assert self._part is not None
        self._part.close()
        part, self._part, self._announced = Path(self._part.name), None, None
        if self._digest.hexdigest() != file.sha256:
            part.unlink()
            raise RemoteProtocolError(f"file {file.name!r} arrived with another SHA-256 than announced")
        part.replace(self._folder / file.name)
        self.count += 1
