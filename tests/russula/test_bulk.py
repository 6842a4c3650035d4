"""Do files arrive whole, and only under plain names?"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE

import pytest
from hypothesis import given
from hypothesis import strategies as st

from russula.bulk import Piece, Receiver, is_plain, pieces
from russula.codec import MAX_CHUNK
from russula.credentials import issue
from russula.errors import LocalProtocolError, RemoteProtocolError
from russula.messages import Chunk, File
from tests.russula.heavy import FILE, SIZE

MB = 1_000_000


@pytest.mark.parametrize("size", [0, 1, MAX_CHUNK, MAX_CHUNK + 1, 3 * MAX_CHUNK])
def test_a_file_arrives_as_it_was(tmp_path: Path, size: int) -> None:
    """Its bytes are equal, in chunks of at most the limit, and nothing partial is left."""
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    receiver = Receiver(tmp_path / "in")
    for piece in pieces("name.bin", source):
        receiver.take(piece.load() if isinstance(piece, Piece) else piece)
    assert (tmp_path / "in" / "name.bin").read_bytes() == source.read_bytes()
    assert [one.name for one in (tmp_path / "in").iterdir()] == ["name.bin"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/etc/passwd", "a/b", ".hidden", "a\n", "a" * 101, "-rf", "\0"]
)
def test_a_name_that_is_no_plain_name_is_refused_on_both_sides(tmp_path: Path, name: str) -> None:
    """Nothing can be written outside the folder, nor hidden in it."""
    (tmp_path / "x").write_bytes(b"")
    assert not is_plain(name)
    with pytest.raises(LocalProtocolError):
        list(pieces(name, tmp_path / "x"))
    with pytest.raises(RemoteProtocolError):
        Receiver(tmp_path / "in").take(File(name, 0, ""))


@given(st.text())
def test_a_plain_name_stays_in_its_folder(name: str) -> None:
    """Whatever passes is one component of a path."""
    if is_plain(name):
        assert Path("/folder", name).resolve().parent == Path("/folder")


def test_a_wrong_sum_is_refused(tmp_path: Path) -> None:
    """A file whose SHA-256 differs is removed."""
    receiver = Receiver(tmp_path)
    receiver.take(File("a", 1, "0" * 64))
    with pytest.raises(RemoteProtocolError, match="another SHA-256"):
        receiver.take(Chunk(0, 1, b"x"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("chunk", [Chunk(1, 1, b"x"), Chunk(0, 3, b"xxx")], ids=["hole", "too long"])
def test_a_chunk_out_of_place_is_refused(tmp_path: Path, chunk: Chunk) -> None:
    """Chunks come in order and end where the file was said to end."""
    receiver = Receiver(tmp_path)
    receiver.take(File("a", 2, ""))
    with pytest.raises(RemoteProtocolError, match="belongs to no file"):
        receiver.take(chunk)
    receiver.close()
    assert not list(tmp_path.iterdir())


def most_memory(folder: Path, workers: int) -> dict[str, int]:
    """By how much a coordinator grew that sent 10 MB to each of so many workers, and had them back."""
    for one in issue("r", ["w0"], timedelta(hours=1)).values():
        one.write(folder)
    data = random.Random(workers).randbytes(SIZE)
    (folder / FILE).write_bytes(data)
    heavy = (sys.executable, "-m", "tests.russula.heavy")
    with subprocess.Popen([*heavy, "worker", str(folder)], stdin=PIPE, stdout=PIPE, text=True) as worker:
        assert worker.stdout is not None
        address = worker.stdout.readline().strip()
        command = [*heavy, "coordinator", str(folder), address, str(workers)]
        try:
            done = subprocess.run(command, stdout=PIPE, text=True, timeout=600, check=True)
        finally:
            worker.communicate("")
    for number in range(workers):
        result = folder / "results" / f"w{number}" / FILE
        assert result.read_bytes() == data
        result.unlink()
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_a_coordinator_stays_small_however_large_the_files(tmp_path: Path) -> None:
    """10 MB to each of 10 workers and from each: hardly a chunk of each is held."""
    assert max(most_memory(tmp_path, 10).values()) <= 16 * MB


@pytest.mark.deep
def test_a_coordinator_of_a_hundred_workers_stays_small(tmp_path: Path) -> None:
    """10 MB to each of 100 workers and from each, within 64 MB."""
    assert max(most_memory(tmp_path, 100).values()) <= 64 * MB
