"""What is said on a control connection? A closed set of frozen messages, each with the types of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from russula.errors import RemoteProtocolError

VERSION = 1
"""Of the wire; both sides say theirs in their first message, and end the conversation if they differ."""

JSON: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Hello:
    """First message of either side: wire and protocol, by name and version, the run, and the worker's name in it."""

    wire: int
    protocol: str
    version: int
    run: str
    worker: str


@dataclass(frozen=True, slots=True)
class Entered:
    """The sender entered a state. ``seq`` counts its announcements from 0; ``data`` goes with the state."""

    seq: int
    state: str
    data: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Failed:
    """The sender entered FAILED: why, in one word, in a sentence, and the last lines of its driver."""

    seq: int
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


Message: TypeAlias = Hello | Entered | Failed | File | Chunk | Fetch | Fetched

_KINDS: Mapping[str, type[Any]] = {
    kind.__name__.lower(): kind for kind in (Hello, Entered, Failed, File, Chunk, Fetch, Fetched)
}
_WORDS = {kind: word for word, kind in _KINDS.items()}
_TYPES: Mapping[str, type | tuple[type, ...]] = {"int": int, "str": str, "Mapping[str, JSON]": dict}
_FIELDS = {
    kind: {one.name: _TYPES[str(one.type)] for one in fields(kind) if kind is not Chunk or one.name != "data"}
    for kind in _WORDS
}


def to_json(message: Message) -> dict[str, JSON]:
    """The message as a JSON object; raw bytes aren't in it."""
    names = _FIELDS[type(message)]
    return {"type": _WORDS[type(message)], **{name: getattr(message, name) for name in names}}


def from_json(value: JSON) -> Message:
    """The message of a JSON object.

    :raises RemoteProtocolError: if it isn't one of the set, or a field is missing, unknown or of a wrong type.
    """
    if not isinstance(value, dict) or (kind := _KINDS.get(str(value.pop("type", None)))) is None:
        raise RemoteProtocolError("a message of an unknown type")
    wanted = _FIELDS[kind]
    if value.keys() != wanted.keys():
        raise RemoteProtocolError(
            f"{_WORDS[kind]}: expected the fields {sorted(wanted)}, got {sorted(map(str, value))}"[:300]
        )
    for name, form in wanted.items():
        if not isinstance(value[name], form) or isinstance(value[name], bool) or (form is int and value[name] < 0):
            raise RemoteProtocolError(f"{_WORDS[kind]}: {name} has a wrong type or value")
    made: Message = kind(**value)
    return made
