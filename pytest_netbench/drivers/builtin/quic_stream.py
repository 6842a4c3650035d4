"""What is a stream of QUIC? What came and was taken; what is sent goes to aioquic in pieces that it can send at once.

This file runs on hosts; like ``quic``, it needs aioquic.
"""

from __future__ import annotations

import errno
from typing import Protocol

from pytest_netbench.drivers.builtin.served_stream import Owner, ServedStream

PREFIX_BYTES = 8
"""The opener's first bytes: the stream's number in the scenario."""

_PIECE = 64 * 1024
_PATTERN = memoryview(bytes(range(256)) * (_PIECE // 256 + 1))


class QuicOwner(Owner, Protocol):
    """What a stream asks of the connection that has it."""

    @property
    def up(self) -> bool:
        """Whether something can still be sent."""

    def send(self, stream: QuicStream, payload: memoryview) -> bool:
        """Send this, if what was given before has gone."""

    def sendable(self, stream: QuicStream) -> bool:
        """Whether all of the stream has gone that was given."""

    def finish(self, stream: QuicStream) -> None:
        """Say that nothing more comes."""

    def refuse(self, stream: QuicStream) -> None:
        """Say that nothing more is taken."""

    def is_over(self, stream: QuicStream) -> bool:
        """Whether both ends have finished, or given it up."""


class QuicStream(ServedStream):
    """One stream; ``wire_id`` is QUIC's own number of it."""

    __slots__ = ("_carrier", "_unwanted", "problem", "wire_id")

    def __init__(self, carrier: QuicOwner, number: int, wire_id: int, *, opened_here: bool, both_ways: bool) -> None:
        super().__init__(carrier, number, opened_here=opened_here, both_ways=both_ways)
        self._carrier = carrier
        self._unwanted = False
        self.wire_id = wire_id
        self.problem: OSError | None = None

    def send(self, limit: int) -> int:
        """Send up to so many payload bytes: how many were, 0 and ``full`` if it must be waited for."""
        self.check()
        if not self._can_send:
            raise OSError(errno.EOPNOTSUPP, "only the other end sends on this stream")
        if self._unwanted:
            raise BrokenPipeError(errno.EPIPE, "the peer takes no more")
        if self._carrier.ended:
            raise BrokenPipeError(errno.EPIPE, "the peer closed")
        if self._carrier.is_over(self):
            raise BrokenPipeError(errno.EPIPE, "the peer takes no more")
        size = min(limit, _PIECE)
        self.full = True  # before the rest: what follows may make room, and say so
        if not self._carrier.send(self, _PATTERN[self.sent % 256 :][:size]):
            return 0
        self.sent += size
        self.full = self.full and size < limit and self._carrier.up and not self._carrier.sendable(self)
        return size

    @property
    def expects(self) -> bool:
        """Whether anything may still come."""
        return super().expects and self.problem is None

    def check(self) -> None:
        """Raise what is wrong with the connection or the stream, if anything is."""
        super().check()
        if self.problem is not None:
            raise self.problem

    def finish(self) -> None:
        """Tell the peer that nothing more comes."""
        if self._can_send and not self._finished and not self._unwanted and self._carrier.up:
            self._finished = True
            self._carrier.finish(self)

    def refuse(self) -> bool:
        """Tell the peer that nothing more is taken; that is all there is to be done."""
        self._refused += self._arrived
        self._arrived = 0
        if self._can_receive and not self._done and self.problem is None and self._carrier.up:
            self._done = True
            self._carrier.refuse(self)
        return True

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done on it at this end."""
        return self._done and not self._arrived and (self._finished or self._unwanted or not self._can_send)

    # --- the peer ------------------------------------------------------------------------------

    def came(self, size: int, *, end: bool) -> None:
        """Payload, or the end of it."""
        if end:
            self._done = True
        self.arrived(size)

    def refused(self) -> None:
        """The peer takes no more."""
        self._unwanted = True
        self.may_send()

    def reset(self, code: int) -> None:
        """The peer gave the stream up."""
        if not self._done:
            self.problem = ConnectionResetError(errno.ECONNRESET, f"the peer reset the stream, code {code}")
        self.may_receive()
