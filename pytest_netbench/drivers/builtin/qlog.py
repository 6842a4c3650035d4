"""What did connections of QUIC do? aioquic's own events as qlog, a file a connection, which qvis and others show.

Only where ``QLOGDIR`` names a folder, never in a round that is measured. This file runs on hosts; like ``quic``, it
needs aioquic.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from aioquic.quic.logger import QLOG_VERSION, QuicLogger, QuicLoggerTrace

MOST_CONNECTIONS = 20
MOST_EVENTS = 50_000
"""Of one process: what comes after them is counted, and left out."""


class Trace(QuicLoggerTrace):
    """The events of one connection, as long as there is room."""

    def __init__(self, room: Room, *, is_client: bool, odcid: bytes) -> None:
        super().__init__(is_client=is_client, odcid=odcid)
        self._room = room
        self.left_out = 0

    def log_event(self, *, category: str, event: str, data: dict[str, Any]) -> None:
        """One more event."""
        if self._room.take():
            super().log_event(category=category, event=event, data=data)
        else:
            self.left_out += 1


class Room:
    """How many events may still be kept."""

    def __init__(self, events: int) -> None:
        self._events = events

    def take(self) -> bool:
        """Whether there was room for one more."""
        self._events -= 1
        return self._events >= 0


class Qlogs(QuicLogger):
    """The traces of all connections of a process, in memory until ``write``."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._room = Room(MOST_EVENTS)
        self._kept: list[tuple[str, Trace]] = []

    def start_trace(self, is_client: bool, odcid: bytes) -> Trace:  # noqa: FBT001 - aioquic's form
        """A connection begins."""
        room = self._room if len(self._kept) < MOST_CONNECTIONS else Room(0)
        trace = Trace(room, is_client=is_client, odcid=odcid)
        if room is self._room:
            self._kept.append((f"{odcid.hex()}_{'client' if is_client else 'server'}.qlog", trace))
        return trace

    def end_trace(self, trace: QuicLoggerTrace) -> None:
        """It is over, and its trace stays."""

    def write(self) -> None:
        """Write each to its file; a disk that is full has none, and is no trouble of the round's."""
        for name, trace in self._kept:
            made = trace.to_dict()
            if trace.left_out:
                made["description"] = f"{trace.left_out} more events are left out"
            whole = {"qlog_format": "JSON", "qlog_version": QLOG_VERSION, "traces": [made]}
            with contextlib.suppress(OSError):
                (self._folder / name).write_text(json.dumps(whole, separators=(",", ":")), encoding="utf-8")
        self._kept.clear()
