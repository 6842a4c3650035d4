"""How do many streams share one connection? In frames, each a tag and fixed fields, as the real drivers write them.

All numbers are big-endian. What owns a stream is said from the receiver's view. Payload isn't looked at. Pure.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Protocol

MOST_DATA = 32_768
"""Bytes of payload in a frame of ours; the peer's may have more."""

WINDOW = 256_000
"""Bytes that may be sent on a new stream, in each direction."""

STREAMS = 100
"""Streams that may be opened on a new connection, from each end."""


class Tag(IntEnum):
    """The first byte of a frame."""

    STREAM_OPEN = 0
    STREAM_DATA = 1
    STREAM_FINISH = 2
    MAX_STREAMS = 3
    MAX_STREAM_DATA = 4
    INITIAL_MAX_STREAM_DATA = 5


class BadFrame(Exception):
    """Bytes that are no frame."""


class Sink(Protocol):
    """What takes frames. ``ours``: the receiver of the frame opened the stream.

    Each method may raise ``BadFrame``.
    """

    def opened(self, stream: int, both_ways: int) -> None:
        """The peer opened a stream."""

    def announced(self, stream: int, ours: bool, size: int) -> None:  # noqa: FBT001 - the fields of a frame
        """A frame with so many bytes of payload begins."""

    def data(self, stream: int, ours: bool, size: int) -> None:  # noqa: FBT001
        """So many of the bytes came; a frame's may come in parts."""

    def finished(self, stream: int, ours: bool) -> None:  # noqa: FBT001
        """The peer sends no more on a stream."""

    def max_streams(self, up_to: int) -> None:
        """So many streams may be opened in all."""

    def max_data(self, stream: int, ours: bool, up_to: int) -> None:  # noqa: FBT001
        """So many bytes may be sent on a stream in all."""

    def initial_max_data(self, up_to: int) -> None:
        """So many bytes may be sent on streams that are opened from now on."""


_FIELDS: Mapping[int, struct.Struct] = {
    Tag.STREAM_OPEN: struct.Struct(">BQB"),
    Tag.STREAM_DATA: struct.Struct(">BQBI"),
    Tag.STREAM_FINISH: struct.Struct(">BQB"),
    Tag.MAX_STREAMS: struct.Struct(">BQ"),
    Tag.MAX_STREAM_DATA: struct.Struct(">BQBQ"),
    Tag.INITIAL_MAX_STREAM_DATA: struct.Struct(">BQ"),
}

OPEN, DATA, FINISH, MAX_STREAMS, MAX_DATA, INITIAL_MAX_DATA = (_FIELDS[tag].pack for tag in Tag)
"""Each writes its frame: the tag, then the fields."""

THEIRS, MINE = 0, 1
"""How the sender of a frame says that the receiver, or itself, opened the stream."""


class Reader:
    """Takes bytes as they come, gives frames to a sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._begun = bytearray()
        self._left = 0
        self._stream = 0
        self._ours = False
        self._take: Mapping[int, Callable[..., None]] = {
            Tag.STREAM_OPEN: sink.opened,
            Tag.STREAM_FINISH: self._finish,
            Tag.MAX_STREAMS: sink.max_streams,
            Tag.MAX_STREAM_DATA: self._max_data,
            Tag.INITIAL_MAX_STREAM_DATA: sink.initial_max_data,
        }

    @property
    def inside(self) -> bool:
        """Whether the bytes so far end in the middle of a frame."""
        return bool(self._begun) or self._left > 0

    def feed(self, data: memoryview) -> None:
        """Take bytes.

        :raises BadFrame: if they are no frames, or the sink refuses one.
        """
        at, end = 0, len(data)
        while at < end:
            if self._left:
                part = min(self._left, end - at)
                self._left -= part
                at += part
                self._sink.data(self._stream, self._ours, part)
            elif self._begun:
                at += self._complete(data[at:])
            else:
                fields = _fields(data[at])
                if at + fields.size > end:
                    self._begun += data[at:]
                    return
                self._frame(*fields.unpack_from(data, at))
                at += fields.size

    def _complete(self, data: memoryview) -> int:
        """Go on with a frame whose fields came in parts; how many bytes of these belong to it."""
        fields = _fields(self._begun[0])
        part = data[: fields.size - len(self._begun)]
        self._begun += part
        if len(self._begun) == fields.size:
            values = fields.unpack(self._begun)
            self._begun.clear()
            self._frame(*values)
        return len(part)

    def _frame(self, tag: int, *values: Any) -> None:  # noqa: ANN401 - numbers
        if tag == Tag.STREAM_DATA:
            self._stream, self._ours, self._left = values[0], _ours(values[1]), values[2]
            self._sink.announced(self._stream, self._ours, self._left)
        else:
            self._take[tag](*values)

    def _finish(self, stream: int, owner: int) -> None:
        self._sink.finished(stream, _ours(owner))

    def _max_data(self, stream: int, owner: int, up_to: int) -> None:
        self._sink.max_data(stream, _ours(owner), up_to)


def _fields(tag: int) -> struct.Struct:
    fields = _FIELDS.get(tag)
    if fields is None:
        raise BadFrame(f"a frame has tag {tag}, there are 0 to {max(Tag)}")
    return fields


def _ours(owner: int) -> bool:
    if owner not in {THEIRS, MINE}:
        raise BadFrame(f"a stream's owner is {owner}, expected 0 or 1")
    return owner == THEIRS
