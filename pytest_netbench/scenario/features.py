"""What must a driver have for a scenario? What the format asks for, what extends it, and which operation uses what.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from pytest_netbench.errors import ScenarioError, nearest
from pytest_netbench.scenario.extensions import ReceiveDatagram, Repeat, Schedule, SendDatagram
from pytest_netbench.scenario.model import Connect, OpenBidirectionalStream, OpenSendStream, Scenario, Sleep
from pytest_netbench.scenario.walk import programs, walk


class Feature(StrEnum):
    """What a driver must have beyond one bidirectional stream that the client opens; the value is for people."""

    STREAMS = "several streams a connection"
    SEND_STREAMS = "streams that one side sends on"
    SERVER_STREAMS = "streams that the server opens"
    REPEAT = "connections that are repeated for a time"
    SCHEDULE = "arrivals that don't wait for answers"
    FRESH_STREAMS = "a stream of its own for each repetition"
    RESUMPTION = "sessions that are resumed"
    EARLY_DATA = "data that goes with the handshake"
    HOLD = "connections that are held until all are there"
    DATAGRAMS = "datagrams"

    @property
    def word(self) -> str:
        """Its name in ``requires`` of a scenario and in ``features`` of a driver's row."""
        return self.name.lower()


PLAIN = frozenset({Feature.STREAMS, Feature.SEND_STREAMS, Feature.SERVER_STREAMS})
"""What netbench's own language asks for; all others extend it."""

EXTENSIONS: Mapping[str, Feature] = {one.word: one for one in Feature if one not in PLAIN}
"""What ``requires`` may list."""


def extends(one: Any) -> Iterator[Feature]:  # noqa: ANN401  any operation
    """What an operation uses beyond netbench's language."""
    match one:
        case Repeat():
            yield Feature.REPEAT
        case Schedule():
            yield Feature.SCHEDULE
        case OpenBidirectionalStream(fresh=True) | OpenSendStream(fresh=True):
            yield Feature.FRESH_STREAMS
        case Connect():
            if one.resume:
                yield Feature.RESUMPTION
            if one.early_data:
                yield Feature.EARLY_DATA
        case Sleep(hold=int()):
            yield Feature.HOLD
        case SendDatagram() | ReceiveDatagram():
            yield Feature.DATAGRAMS


def used(scenario: Scenario) -> dict[Feature, str]:
    """What a scenario uses beyond netbench's language, with the path of the first operation that does."""
    found: dict[Feature, str] = {}
    clients = ((one.scenario, f"clients[{number}].scenario") for number, one in enumerate(scenario.clients))
    for operations, start in (*clients, *programs(scenario)):
        for one, path in walk(operations, start):
            for feature in extends(one):
                found.setdefault(feature, path)
    return found


def required(scenario: Scenario) -> tuple[Feature, ...]:
    """What a scenario uses beyond netbench's language, in the order of the table."""
    found = used(scenario)
    return tuple(one for one in Feature if one in found)


def check_requires(extensions: Mapping[Feature, str], listed: Sequence[str]) -> None:
    """Refuse a list that isn't exactly what a scenario uses, as ``used`` tells it: a driver decides by it.

    :raises ScenarioError: names the entry that nobody knows or uses, or what is missing and the operation that uses it.
    """
    found = {feature.word: path for feature, path in extensions.items()}
    for index, word in enumerate(listed):
        if word not in EXTENSIONS:
            raise ScenarioError(f"requires[{index}]: unknown requirement {word!r}: {nearest(word, EXTENSIONS)}")
        if word in listed[:index]:
            raise ScenarioError(f"requires[{index}]: {word!r} stands twice")
        if word not in found:
            raise ScenarioError(f"requires[{index}]: nothing in this scenario uses {word!r}: expected it left out")
    for word, path in found.items():
        if word not in listed:
            raise ScenarioError(f"requires: expected {word!r} in it, which {path} uses")
