"""What may somebody say who means ill? Made from a chance, which a test or a seed supplies; and who hears it."""

from __future__ import annotations

import asyncio
import json
import random
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from russula.link import Link
from russula.messages import _WANTED, _WORDS, Hello

LETTERS = "aZ0_./\\-\0\n\ud800é"


class Sink(asyncio.Transport):
    """The wire of an enemy. ``said``: what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.said = bytearray()
        self.closed = self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class Enemy:
    """One of them. ``hello``: how a rightful peer would begin; ``states``: those that it may say that it entered."""

    def __init__(self, chance: random.Random, hello: Hello, states: Sequence[str]) -> None:
        self._chance, self._hello, self._states = chance, hello, states
        self._seq = self._pongs = 0
        self._at = -1

    def speech(self) -> Iterator[bytes]:
        """Its bytes, cut as they may be read: it begins as it should, goes on so for a while, and then doesn't."""
        chance = self._chance
        if chance.random() < 0.9:
            yield self._greeting()
        for _ in range(chance.choice([0, 0, 1, 3, 4, 6, 8])):
            yield self._dutiful()
        said = b"".join(self._word() for _ in range(chance.randint(0, 6)))
        if chance.random() < 0.1:
            said = said[: chance.randint(0, len(said))]
        cut = chance.choice([0, chance.randint(0, len(said))])
        yield from (piece for piece in (said[:cut], said[cut:]) if piece)

    def _greeting(self) -> bytes:
        fields: dict[str, Any] = asdict(self._hello)
        if self._chance.random() < 0.3:
            name = self._chance.choice(list(fields))
            fields[name] = self._value(type(fields[name]))
        return self._framed({"type": "hello", **fields})

    def _dutiful(self) -> bytes:
        """What may well be due: the next state, or an answer to what it is asked."""
        if self._chance.random() < 0.3:
            self._pongs += 1
            return self._framed({"type": "pong", "id": self._pongs, "at_ns": self._number()})
        self._at = min(self._at + 1, len(self._states) - 1)
        return self._entered(self._states[self._at])

    def _word(self) -> bytes:
        words: list[Callable[[], bytes]] = [
            lambda: self._chance.randbytes(self._chance.randint(0, 40)),
            lambda: struct.pack(">I", self._chance.getrandbits(32)),
            lambda: self._frame_of(self._chance.randbytes(self._chance.randint(0, 40))),
            lambda: self._framed(self._json(3)),
            lambda: self._frame_of(self._chance.choice([b"[", b'{"a":']) * self._chance.choice([5, 5000])),
            self._greeting,
        ]
        likely = self._chance.random()
        if likely < 0.5:
            return self._dutiful()
        if likely < 0.6:
            return self._entered(self._chance.choice(self._states))
        return self._message() if likely < 0.9 else self._chance.choice(words)()

    def _entered(self, state: str) -> bytes:
        return self._numbered({"type": "entered", "state": state, "data": self._data()})

    def _message(self) -> bytes:
        """One of the closed set, with some of its fields wrong."""
        kind = self._chance.choice(list(_WANTED))
        fields = {name: self._value(form) for name, form in _WANTED[kind].items()}
        if self._chance.random() < 0.05:
            fields[self._text()] = self._json(1)
        message = {"type": _WORDS[kind], **fields}
        if kind.__name__ == "Chunk" and self._chance.random() < 0.8:
            message["size"] = self._chance.randint(0, 20)
            return self._numbered(message) + self._chance.randbytes(message["size"])
        return self._numbered(message) if "seq" in fields else self._framed(message)

    def _numbered(self, message: dict[str, Any]) -> bytes:
        wrong = self._chance.random() < 0.05
        message["seq"] = self._chance.choice([0, self._seq + 1, self._number()]) if wrong else self._seq
        self._seq += not wrong
        return self._framed(message)

    def _value(self, form: type) -> Any:
        if self._chance.random() < 0.05:
            return self._json(1)
        return {int: self._number, str: self._text, dict: self._data}[form]()

    def _data(self) -> Mapping[str, Any]:
        keys = ["instant_ns", "began_ns", "driver", self._text()]
        return {self._chance.choice(keys): self._json(1) for _ in range(self._chance.choice([0, 0, 1, 3]))}

    def _json(self, depth: int) -> Any:
        kind = self._chance.randint(0, 5 if depth else 3)
        if kind < 2:
            return self._chance.choice([None, True, -1, 0.5, float("inf"), float("nan")])
        if kind < 4:
            return self._number() if kind == 2 else self._text()
        inside = [self._json(depth - 1) for _ in range(self._chance.randint(0, 3))]
        return inside if kind == 4 else {self._text(): one for one in inside}

    def _number(self) -> int:
        chance = self._chance
        return chance.choice([0, 1, 5, chance.getrandbits(16), chance.getrandbits(40), 2**63, 2**64, 10**400])

    def _text(self) -> str:
        return "".join(self._chance.choice(LETTERS) for _ in range(self._chance.choice([0, 1, 3, 8])))

    def _framed(self, value: Any) -> bytes:
        return self._frame_of(json.dumps(value).encode())

    @staticmethod
    def _frame_of(body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + body


async def speak(link: Link, wire: Sink, pieces: Iterator[bytes]) -> None:
    """Say it, and go; whatever the other side's own code raises is raised here."""
    link.connection_made(wire)
    for piece in pieces:
        if wire.closed:
            break
        link.data_received(piece)
        await asyncio.sleep(0)
    if not wire.closed:
        link.eof_received()
    link.connection_lost(None)
    await asyncio.sleep(0)
