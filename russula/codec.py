"""How do messages become bytes, and bytes messages? A length, JSON, and after a chunk its raw bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType

from russula.errors import LocalProtocolError, RemoteProtocolError
from russula.messages import Bye, Chunk, Entered, Fetch, Frame, from_json, to_json

MAX_CONTROL = 1 << 20
"""Bytes of one message's JSON."""
MAX_CHUNK = 1 << 16
"""Raw bytes of one chunk: small enough that a hundred connections hold a chunk each in a few megabytes."""

SHORT = 128
"""Bytes of a message that may be remembered: what all workers say alike is read, and written, once."""

_LENGTH = struct.Struct(">I")
_to_text = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


_from_text = json.JSONDecoder(parse_constant=_no_number).decode


def encode(frame: Frame) -> bytes:
    """The bytes of a message.

    :raises LocalProtocolError: if it is larger than the other side will take.
    """
    seq, message = frame
    match message:
        case Entered(state, data) if not data:
            return _entered(seq, state)
        case Fetch() | Bye():
            return _bare(frame)
        case _:
            return _encoded(frame)


@lru_cache(maxsize=512)
def _entered(seq: int | None, state: str) -> bytes:
    return _encoded(Frame(seq, Entered(state, {})))


@lru_cache(maxsize=512)
def _bare(frame: Frame) -> bytes:
    return _encoded(frame)


def _encoded(frame: Frame) -> bytes:
    body = _to_text(to_json(frame)).encode()
    if len(body) > MAX_CONTROL:
        raise LocalProtocolError(f"a message of {len(body)} bytes; at most {MAX_CONTROL} may be sent")
    message = frame.message
    return _LENGTH.pack(len(body)) + body + (message.data if isinstance(message, Chunk) else b"")


class Decoder:
    """Takes bytes as they come, gives whole messages. Its memory is bounded by one message and one read."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._chunk: Frame | None = None

    @property
    def between_messages(self) -> bool:
        """Whether an end of the stream would cut nothing off."""
        return not self._buffer and self._chunk is None

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes; the messages that are whole now, each read when it is asked for.

        :raises RemoteProtocolError: for what isn't a message of ours, before more of it is read.
        """
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        if self._chunk is not None:
            return self._raw(self._chunk)
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > MAX_CONTROL:
            raise RemoteProtocolError(f"a message of {length} bytes announced; at most {MAX_CONTROL} are taken")
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_LENGTH.size : end])
        frame = _parse_short(body) if length <= SHORT else _parse(body)
        del self._buffer[:end]
        message = frame.message
        if isinstance(message, Chunk):
            if message.size > MAX_CHUNK:
                raise RemoteProtocolError(f"a chunk of {message.size} bytes announced; at most {MAX_CHUNK} are taken")
            self._chunk = frame
            return self._raw(frame)
        return frame

    def _raw(self, frame: Frame) -> Frame | None:
        chunk = frame.message
        assert isinstance(chunk, Chunk)
        if len(self._buffer) < chunk.size:
            return None
        data = bytes(self._buffer[: chunk.size])
        del self._buffer[: chunk.size]
        self._chunk = None
        return Frame(frame.seq, replace(chunk, data=data))


@lru_cache(maxsize=512)
def _parse_short(body: bytes) -> Frame:
    """As ``_parse``; a frame is frozen, and so is its data, so that all may have the same."""
    frame = _parse(body)
    if isinstance(frame.message, Entered):
        return Frame(frame.seq, Entered(frame.message.state, MappingProxyType(dict(frame.message.data))))
    return frame


def _parse(body: bytes) -> Frame:
    try:
        return from_json(_from_text(body.decode()))
    except RecursionError as error:
        raise RemoteProtocolError("a message nested too deep") from error
    except ValueError as error:
        raise RemoteProtocolError(f"a message that isn't JSON: {error}") from error
