"""Are frames read as they are written, whatever pieces they come in?"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.drivers.builtin import frames
from pytest_netbench.drivers.builtin.frames import BadFrame, Reader, Tag

U64 = st.integers(0, 2**64 - 1)
OWNER = st.integers(0, 1)


class Seen:
    """Writes down what it is given; data of one frame is added up."""

    def __init__(self) -> None:
        self.frames: list[tuple[Any, ...]] = []

    def opened(self, stream: int, both_ways: int) -> None:
        self.frames.append((Tag.STREAM_OPEN, stream, both_ways))

    def announced(self, stream: int, ours: bool, size: int) -> None:
        pass

    def data(self, stream: int, ours: bool, size: int) -> None:
        last = self.frames[-1] if self.frames else ()
        if last[:3] == (Tag.STREAM_DATA, stream, int(not ours)):
            size += self.frames.pop()[3]
        self.frames.append((Tag.STREAM_DATA, stream, int(not ours), size))

    def finished(self, stream: int, ours: bool) -> None:
        self.frames.append((Tag.STREAM_FINISH, stream, int(not ours)))

    def max_streams(self, up_to: int) -> None:
        self.frames.append((Tag.MAX_STREAMS, up_to))

    def max_data(self, stream: int, ours: bool, up_to: int) -> None:
        self.frames.append((Tag.MAX_STREAM_DATA, stream, int(not ours), up_to))

    def initial_max_data(self, up_to: int) -> None:
        self.frames.append((Tag.INITIAL_MAX_STREAM_DATA, up_to))


PACK = {
    Tag.STREAM_OPEN: frames.OPEN,
    Tag.STREAM_DATA: frames.DATA,
    Tag.STREAM_FINISH: frames.FINISH,
    Tag.MAX_STREAMS: frames.MAX_STREAMS,
    Tag.MAX_STREAM_DATA: frames.MAX_DATA,
    Tag.INITIAL_MAX_STREAM_DATA: frames.INITIAL_MAX_DATA,
}


def written(frame: Sequence[Any]) -> bytes:
    """The bytes of a frame, with payload after the fields of data."""
    packed: bytes = PACK[frame[0]](*frame)
    return packed + (bytes(frame[3]) if frame[0] == Tag.STREAM_DATA else b"")


FRAME = st.one_of(
    st.tuples(st.just(Tag.STREAM_OPEN), U64, OWNER),
    st.tuples(st.just(Tag.STREAM_DATA), U64, OWNER, st.integers(1, 50)),
    st.tuples(st.just(Tag.STREAM_FINISH), U64, OWNER),
    st.tuples(st.just(Tag.MAX_STREAMS), U64),
    st.tuples(st.just(Tag.MAX_STREAM_DATA), U64, OWNER, U64),
    st.tuples(st.just(Tag.INITIAL_MAX_STREAM_DATA), U64),
)


@given(st.lists(FRAME, max_size=8), st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_frames_come_back_in_any_pieces(sent: list[tuple[Any, ...]], pieces: list[int]) -> None:
    """However the channel cuts them, the same frames in the same order, 64-bit numbers included."""
    text, seen, whole = b"".join(map(written, sent)), Seen(), Seen()
    reader = Reader(seen)
    at = turn = 0
    while at < len(text):
        size = pieces[turn % len(pieces)]
        reader.feed(memoryview(text)[at : at + size])
        at, turn = at + size, turn + 1
    Reader(whole).feed(memoryview(text))
    assert seen.frames == whole.frames
    assert not reader.inside
    merged = Seen()
    for frame in sent:
        if frame[0] == Tag.STREAM_DATA:
            merged.data(frame[1], not frame[2], frame[3])
        else:
            merged.frames.append(frame)
    assert seen.frames == merged.frames


def test_frames_are_those_of_the_real_drivers() -> None:
    """As they were captured: open stream 0 both ways, 1,000 bytes of the sender's stream, its end."""
    assert frames.OPEN(Tag.STREAM_OPEN, 0, 1) == bytes.fromhex("00 0000000000000000 01")
    assert frames.DATA(Tag.STREAM_DATA, 0, frames.MINE, 1000) == bytes.fromhex("01 0000000000000000 01 000003e8")
    assert frames.FINISH(Tag.STREAM_FINISH, 0, frames.THEIRS) == bytes.fromhex("02 0000000000000000 00")
    assert frames.MAX_DATA(Tag.MAX_STREAM_DATA, 3, 0, 512_000) == bytes.fromhex(
        "04 0000000000000003 00 000000000007d000"
    )


def test_a_frame_that_is_cut_is_told() -> None:
    """In its fields or in its payload."""
    data = written((Tag.STREAM_DATA, 1, 1, 5))
    for size, inside in ((3, True), (14, True), (16, True), (19, False)):
        reader = Reader(Seen())
        reader.feed(memoryview(data)[:size])
        assert reader.inside is inside


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"\x06", "a frame has tag 6, there are 0 to 5"),
        (b"\xff" * 30, "tag 255"),
        (frames.FINISH(Tag.STREAM_FINISH, 0, 2), "a stream's owner is 2, expected 0 or 1"),
        (frames.DATA(Tag.STREAM_DATA, 0, 9, 4), "owner is 9"),
    ],
)
def test_what_is_no_frame_is_refused(text: bytes, why: str) -> None:
    """By what is wrong with it."""
    with pytest.raises(BadFrame, match=why):
        Reader(Seen()).feed(memoryview(text))


@given(st.binary(max_size=200), st.integers(1, 50))
def test_garbage_is_read_or_refused(text: bytes, piece: int) -> None:
    """Nothing else ever happens, whatever comes."""
    reader = Reader(Seen())
    with contextlib.suppress(BadFrame):
        for at in range(0, len(text), piece):
            reader.feed(memoryview(text)[at : at + piece])
