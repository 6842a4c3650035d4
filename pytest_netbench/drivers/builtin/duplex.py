"""How does a connection carry its one stream? Raw payload over a socket, after the number of the program to be run.

There is no framing and no half close: a stream ends with its connection. The payload is never looked at, but it is
read: to let the kernel discard it unread (``MSG_TRUNC``) would leave out a cost that every receiver has.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_netbench.drivers.builtin import tcp
from pytest_netbench.drivers.builtin.carrier import LANDING, counted, linger, much_left, until_closed
from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.slow import slowed
from pytest_netbench.telemetry.model import StreamBytes

if TYPE_CHECKING:
    from pytest_netbench.drivers.builtin.engine import Engine, Task, Waits
    from pytest_netbench.drivers.builtin.thread import Thread

PREAMBLE_BYTES = 8
END = -1

PAYLOAD = memoryview(b"\x2a" * (256 * 1024))
_WITH_PREAMBLE = 16 * 1024
_NOW = socket.MSG_DONTWAIT


class Duplex:
    """A connected socket: carrier, its only stream, and the link that is waited for, in one.

    ``patient``: the socket waits by itself where it is asked to. ``later``: what is left until the first bytes are on
    their way.
    """

    __slots__ = (
        "_clock",
        "_engine",
        "_later",
        "_preamble",
        "_receive",
        "_send",
        "busy_us",
        "cut",
        "fd",
        "first_ns",
        "full",
        "idle",
        "interest",
        "last_ns",
        "number",
        "opened_here",
        "patient",
        "received",
        "retransmits",
        "sent",
        "since",
        "socket",
        "tasks",
    )

    datagrams = None

    def __init__(
        self,
        connected: socket.SocketType,
        engine: Engine,
        preamble: bytes = b"",
        *,
        patient: bool = False,
        later: Callable[[], None] | None = None,
    ) -> None:
        self.socket = connected
        self.fd = connected.fileno()
        self.tasks: list[Task] = []
        self.interest = 0
        self.number: int | None = None
        self.opened_here = False
        self.sent = 0
        self.received = 0
        self.cut = False
        self.full = False
        self.idle = False
        self.patient = patient
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.retransmits: int | None = None
        self.busy_us: int | None = None
        self._engine = engine
        self._clock: Callable[[], int] = engine.clock
        self._later = later
        self._preamble = preamble
        self.since = 0
        self._send = connected.send
        self._receive: Callable[[memoryview, int, int], int] = slowed(connected.recv_into)

    def send(self, limit: int) -> int:
        """Send up to so many payload bytes: how many were, 0 if it must be waited for."""
        payload = PAYLOAD if limit >= _PAYLOAD_SIZE else _PAYLOADS.get(limit) or _payload(limit)
        if self._preamble:
            return self._send_first(payload)
        try:
            sent = self._send(payload, _NOW)
        except BlockingIOError:
            self.full = True
            return 0
        self.full = sent < len(payload)
        self.sent += sent
        self.idle = True  # the answer can't be there yet
        return sent

    def _send_first(self, payload: memoryview) -> int:
        """Send the preamble together with the first of the payload, in one segment if both fit."""
        preamble, payload = self._preamble, payload[:_WITH_PREAMBLE]
        try:
            taken = self._send(preamble + payload, _NOW)
        except BlockingIOError:
            self.full = True
            return 0
        sent = max(taken - len(preamble), 0)
        self._preamble = preamble[taken:]
        self.full = sent < len(payload)
        self.sent += sent
        self.idle = True
        self._on_their_way()
        return sent

    def _on_their_way(self) -> None:
        """The first bytes are: nobody waits for what is done now."""
        if self._later is not None:
            self._later()
            self._later = None

    def flush(self) -> None:
        """Send the preamble by itself: a new connection always takes these few bytes."""
        if self._preamble:
            self._send(self._preamble, _NOW)
            self._preamble = b""
            self._on_their_way()

    def receive(self, limit: int, wait: bool) -> int:  # noqa: FBT001 - a keyword would cost each call
        """Take up to so many payload bytes: how many came, 0 and ``idle`` to wait for them, ``END`` if none will come.

        With ``wait`` it waits itself for a while, if the socket is ``patient``.
        """
        if limit > _LANDING_SIZE:  # noqa: PLR1730 - min() costs more than the rest of this function
            limit = _LANDING_SIZE
        try:
            came = self._receive(LANDING, limit, 0 if wait else _NOW)
        except BlockingIOError:
            self.idle = True
            return 0
        if not came:
            return END
        self.idle = came < limit  # less than asked for: there is no more
        self.received += came
        self.last_ns = now = self._clock()
        if self.first_ns is None:
            self.first_ns = now
        return came

    def finish(self) -> None:
        """Nothing more will be sent; only closing tells the peer, as the real drivers do."""

    def refuse(self) -> bool:
        """A stream without an own end can't refuse what comes: there is nothing to wait for."""
        return True

    # --- as a carrier --------------------------------------------------------------------------

    @property
    def link(self) -> Duplex:
        """Itself."""
        return self

    def raw(self, landing: memoryview) -> int:
        """Take bytes from before the payload."""
        came: int = self._receive(landing, 0, _NOW)
        return came

    def ahead(self, size: int) -> None:
        """So much payload came with what was taken raw: the first receive finds it."""

        def found(_landing: memoryview, _limit: int, _flags: int) -> int:
            self._receive = self.socket.recv_into
            return size

        self._receive = found

    def begin(self, thread: Thread, programs: int, again: frozenset[int]) -> None:
        """There is nothing to prepare."""

    def open(self, thread: Thread, number: int, both_ways: bool) -> None:  # noqa: ARG002, FBT001 - a carrier's form
        """Open a stream from here: the one that there is."""
        if self.number is not None:
            raise Failed(f"{thread.context.title}, stream {number}, open: a duplex connection has one stream")
        self.number = number
        self.opened_here = True
        thread.side.streams[number] = self

    def accept(self, thread: Thread, number: int) -> None:
        """Take the stream that the peer opens: it is there at once, whatever its number."""
        self.number = number
        thread.side.streams[number] = self

    def end(self, thread: Thread, exact: bool) -> Waits | None:  # noqa: FBT001 - a carrier's form
        """Stay while much is in flight; where a time decides, whoever opened the stream closes first."""
        if not exact and not self.opened_here:
            return until_closed(self, thread)
        if self._is_brief():
            self.retransmits = 0
            return None
        if much_left(said := tcp.kernel_says(self.socket)):
            return linger(self.socket, thread)
        self.retransmits, self.busy_us = counted(said)
        return None

    def _is_brief(self) -> bool:
        """Whether a connection that was dialled alone carried so little that the kernel needn't be asked about it."""
        return self.patient and self.sent <= _ONE_SEGMENT and self._clock() - self.since < _BRIEF_NS

    def left(self) -> tuple[int, int] | None:
        """What has come and wasn't received; of the briefest dials, both ends' counts alone tell that."""
        if self._is_brief():
            return None
        size = tcp.unread(self.fd)
        return (self.number or 0, size) if size else None

    def close(self) -> None:
        """Close the socket."""
        if self.retransmits is None:
            self.retransmits, self.busy_us = counted(tcp.kernel_says(self.socket))
        self._engine.poller.closed(self)
        self.socket.close()

    def streams(self) -> tuple[StreamBytes, ...]:
        """What the stream carried, if it was opened."""
        if self.number is None:
            return ()
        return (StreamBytes(self.number, self.opened_here, self.sent, self.received, self.cut),)


_ONE_SEGMENT = 500
_BRIEF_NS = 1_000_000
"""Within a millisecond from the dial on the kernel sends nothing again, if it was one segment: no need to ask it."""

_PAYLOAD_SIZE = len(PAYLOAD)
_LANDING_SIZE = len(LANDING)

_PAYLOADS: dict[int, memoryview] = {}
_MOST_PAYLOADS = 256


def _payload(limit: int) -> memoryview:
    """So much payload; the same slice again for the same limit."""
    payload = PAYLOAD[:limit]
    if len(_PAYLOADS) < _MOST_PAYLOADS:
        _PAYLOADS[limit] = payload
    return payload
