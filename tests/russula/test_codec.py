"""Does every message survive the wire, and does anything else end the conversation?"""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from russula.codec import MAX_CHUNK, MAX_CONTROL, Decoder, encode
from russula.errors import LocalProtocolError, RemoteProtocolError
from russula.messages import (
    Bye,
    Chunk,
    Entered,
    Failed,
    Fetch,
    Fetched,
    File,
    Frame,
    Hello,
    Message,
    Ping,
    Pong,
    Refused,
)

NUMBERS = st.integers(0, 2**63)
DATA = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()))
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(Entered, st.text(), DATA),
    st.builds(Failed, st.text(), st.text(), st.text()),
    st.builds(File, st.text(), NUMBERS, st.text()),
    st.binary(max_size=5000).flatmap(lambda data: st.builds(Chunk, NUMBERS, st.just(len(data)), st.just(data))),
    st.just(Fetch()),
    st.builds(Fetched, NUMBERS),
)
OF_CONNECTIONS: st.SearchStrategy[Message] = st.one_of(
    st.builds(Hello, NUMBERS, st.text(), NUMBERS, st.text(), st.text(), st.text(), NUMBERS, NUMBERS, NUMBERS),
    st.builds(Refused, st.text()),
    st.builds(Ping, NUMBERS),
    st.builds(Pong, NUMBERS, NUMBERS),
    st.just(Bye()),
)
FRAMES = st.builds(Frame, NUMBERS, MESSAGES) | st.builds(Frame, st.none(), OF_CONNECTIONS)


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


@given(st.lists(FRAMES, max_size=5), st.integers(1, 50))
def test_messages_survive_any_cut(messages: list[Frame], size: int) -> None:
    """Whatever is encoded comes out equal, in order, however the bytes are cut."""
    data = b"".join(map(encode, messages))
    decoder = Decoder()
    found = [one for start in range(0, len(data), size) for one in decoder.feed(data[start : start + size])]
    assert found == messages
    assert decoder.between_messages


@given(st.binary(max_size=400))
def test_garbage_is_refused_and_nothing_else(data: bytes) -> None:
    """Random bytes give messages or a RemoteProtocolError, never another error."""
    with suppress(RemoteProtocolError):
        assert list(Decoder().feed(data)) is not None


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_that_is_no_message_is_refused(value: Any) -> None:
    """Any JSON that isn't of the closed set is refused by name."""
    with pytest.raises(RemoteProtocolError):
        list(Decoder().feed(frame(json.dumps(value).encode())))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"[" * 100_000, "nested too deep"),
        (b'{"type":"entered","seq":-1,"state":"X","data":{}}', "seq has a wrong"),
        (b'{"type":"entered","seq":true,"state":"X","data":{}}', "seq has a wrong"),
        (b'{"type":"entered","seq":1,"state":"X","data":{},"more":1}', "expected the fields"),
        (b'{"type":"chunk","seq":0,"offset":0,"size":99999999}', "chunk of 99999999 bytes"),
        (b'{"type":"pong","id":1,"at_ns":%d}' % 2**64, "at_ns has a wrong"),
        (b'{"type":"entered","seq":1,"state":"X","data":{"a":NaN}}', "NaN is no number"),
        ('{"type":"fetch","seq":1}'.encode("utf-16"), "isn't JSON"),
        (b'{"type":"eval"}', "unknown type"),
        (b"\xff\xfe", "isn't JSON"),
    ],
)
def test_a_malformed_message_says_what_is_wrong(body: bytes, text: str) -> None:
    """Each fault has its own words."""
    with pytest.raises(RemoteProtocolError, match=text):
        list(Decoder().feed(frame(body)))


def test_a_huge_length_is_refused_before_its_bytes_come() -> None:
    """Four bytes are enough to refuse a message over the limit."""
    with pytest.raises(RemoteProtocolError, match="at most"):
        list(Decoder().feed(struct.pack(">I", MAX_CONTROL + 1)))


def test_a_message_over_the_limit_is_not_sent() -> None:
    """This side keeps to the limit too."""
    with pytest.raises(LocalProtocolError, match="at most"):
        encode(Frame(0, Failed("x", "y", "z" * MAX_CONTROL)))


def test_a_whole_chunk_fits() -> None:
    """The largest chunk passes."""
    frame = Frame(3, Chunk(0, MAX_CHUNK, b"x" * MAX_CHUNK))
    assert list(Decoder().feed(encode(frame))) == [frame]


@pytest.mark.deep
@settings(max_examples=200_000, deadline=None)
@given(st.binary(max_size=64) | st.binary(max_size=64).map(frame))
def test_garbage_for_hours(data: bytes) -> None:
    """As above, with as many inputs as patience allows."""
    with suppress(RemoteProtocolError):
        assert list(Decoder().feed(data)) is not None
