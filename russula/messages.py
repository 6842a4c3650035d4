"""What is said on a control connection? A closed set of frozen messages, each with the types of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, TypeAlias

from russula.errors import RemoteProtocolError

VERSION = 2
"""Of the wire; both sides say theirs in their first message, and end the conversation if they differ."""

MOST = (1 << 64) - 1
"""The largest number that a field may have."""

JSON: TypeAlias = Any


# --- of a connection: said on it, gone with it ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """First message of either side on every connection.

    ``wire``, ``protocol``, ``version``: what is spoken. ``run``, ``worker``: the run, and the worker's name in it.
    ``conversation``: an id that the coordinator chose; the same on a connection that resumes. ``attempt`` counts the
    connections tried for it; ``heard``: messages of the other side that were taken so far. ``lease_ms``: how long the
    worker waits for the next connection when one ends.
    """

    wire: int
    protocol: str
    version: int
    run: str
    worker: str
    conversation: str
    attempt: int
    heard: int
    lease_ms: int


@dataclass(frozen=True, slots=True)
class Refused:
    """This connection, or this conversation, is ended by the sender: why, in a sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ping:
    """What does your clock show? ``id`` comes back."""

    id: int


@dataclass(frozen=True, slots=True)
class Pong:
    """The monotonic nanoseconds at which the ping was read."""

    id: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Bye:
    """The coordinator has heard all that it wants: forget the conversation."""


# --- of a conversation: numbered, and said again where the other side didn't hear it ------------


@dataclass(frozen=True, slots=True)
class Entered:
    """The sender entered a state; ``data`` goes with it."""

    state: str
    data: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Failed:
    """The sender entered FAILED: why, in one word, in a sentence, and the last lines of its driver."""

    reason: str
    detail: str
    tail: str


@dataclass(frozen=True, slots=True)
class File:
    """A file follows in chunks: its plain name, its size in bytes, its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the file announced last; ``size`` raw bytes follow this message on the wire."""

    offset: int
    size: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Send all files of your outbox."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """That were all: how many."""

    count: int


Message: TypeAlias = Hello | Refused | Ping | Pong | Bye | Entered | Failed | File | Chunk | Fetch | Fetched


class Frame(NamedTuple):
    """A message as it crosses the wire. ``seq`` counts the sender's messages of a conversation, from 0."""

    seq: int | None
    message: Message


_CONNECTION = (Hello, Refused, Ping, Pong, Bye)
_CONVERSATION = (Entered, Failed, File, Chunk, Fetch, Fetched)
_KINDS: Mapping[str, type[Any]] = {kind.__name__.lower(): kind for kind in (*_CONNECTION, *_CONVERSATION)}
_WORDS = {kind: word for word, kind in _KINDS.items()}
_TYPES: Mapping[str, type] = {"int": int, "str": str, "Mapping[str, JSON]": dict}
_FIELDS = {
    kind: {one.name: _TYPES[str(one.type)] for one in fields(kind) if kind is not Chunk or one.name != "data"}
    for kind in _WORDS
}
_WANTED = {kind: {**({"seq": int} if kind in _CONVERSATION else {}), **_FIELDS[kind]} for kind in _WORDS}


def to_json(frame: Frame) -> dict[str, JSON]:
    """The message as a JSON object; raw bytes aren't in it."""
    seq, message = frame
    kind = type(message)
    made: dict[str, JSON] = {"type": _WORDS[kind]}
    if seq is not None:
        made["seq"] = seq
    for name in _FIELDS[kind]:
        made[name] = getattr(message, name)
    return made


def from_json(value: JSON) -> Frame:
    """The message of a JSON object.

    :raises RemoteProtocolError: if it isn't one of the set, or a field is missing, unknown or of a wrong type.
    """
    kind = _KINDS.get(str(value.pop("type", None))) if isinstance(value, dict) else None
    if kind is None:
        raise RemoteProtocolError("a message of an unknown type")
    wanted = _WANTED[kind]
    if value.keys() != wanted.keys():
        raise RemoteProtocolError(
            f"{_WORDS[kind]}: expected the fields {sorted(wanted)}, got {sorted(map(str, value))}"[:300]
        )
    for name, form in wanted.items():
        one: JSON = value[name]
        if type(one) is not form or (isinstance(one, int) and not 0 <= one <= MOST):
            raise RemoteProtocolError(f"{_WORDS[kind]}: {name} has a wrong type or value")
    return Frame(value.pop("seq", None), kind(**value))
