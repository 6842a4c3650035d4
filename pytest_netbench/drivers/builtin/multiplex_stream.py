"""What is one of many streams on a channel? How much was sent, came and was taken, and how much each end may send.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import errno
from typing import Protocol

from pytest_netbench.drivers.builtin import frames
from pytest_netbench.drivers.builtin.carrier import FRESH
from pytest_netbench.drivers.builtin.served_stream import Owner, ServedStream

_HALF = frames.WINDOW // 2


class Framing(Owner, Protocol):
    """What a stream asks of the connection that has it, which sends in frames what each of its streams has to say."""

    @property
    def room(self) -> int:
        """So many bytes of payload may be queued now."""

    def queue(self, part: bytes | memoryview) -> None:
        """Send this when it is its turn."""

    def frame(self, stream: MultiplexStream, size: int) -> None:
        """Queue so many bytes of payload of the stream."""

    def crowd(self, stream: MultiplexStream) -> None:
        """Tell the stream when there is room again."""

    def flush(self) -> None:
        """Send what is queued, as far as the socket takes it."""

    def forget(self, stream: MultiplexStream) -> None:
        """The stream was opened afresh, and is over."""


class MultiplexStream(ServedStream):
    """One stream in frames."""

    __slots__ = ("_carrier", "_may_send", "_promised", "_taken")

    def __init__(self, carrier: Framing, number: int, *, opened_here: bool, both_ways: bool, window: int) -> None:
        super().__init__(carrier, number, opened_here=opened_here, both_ways=both_ways)
        self._carrier = carrier
        self._may_send = window
        self._promised = frames.WINDOW
        self._taken = 0

    @property
    def _opener(self) -> int:
        return frames.MINE if self.opened_here else frames.THEIRS

    # --- operations ----------------------------------------------------------------------------

    def send(self, limit: int) -> int:
        """Send up to so many payload bytes: how many were, 0 and ``full`` if it must be waited for."""
        self.check()
        if not self._can_send:
            raise OSError(errno.EOPNOTSUPP, "only the other end sends on this stream")
        credit, room = self._may_send - self.sent, self._carrier.room
        if credit <= 0 and self._carrier.ended:
            raise BrokenPipeError(errno.EPIPE, "the peer closed")  # and lets no more be sent
        size = max(min(limit, credit, room), 0)
        self.full = size < limit  # before the rest: what follows may make room, and say so
        if size:
            self._carrier.frame(self, size)
            self.sent += size
        if self.full and room <= credit:
            self._carrier.crowd(self)
        self._carrier.flush()
        return size

    def taken(self, size: int) -> None:
        """Make room for more; the peer learns of it when half of the window is used up."""
        self._taken += size
        if not self._done and self._promised - self._taken < _HALF:
            self._promised += frames.WINDOW
            self._carrier.queue(frames.MAX_DATA(frames.Tag.MAX_STREAM_DATA, self.number, self._opener, self._promised))
            self._carrier.flush()
        self._forget_if_over()

    def _forget_if_over(self) -> None:
        """Of one that was opened afresh, only what it carried is kept."""
        if self.number >= FRESH and self._done and not self._arrived and (self._finished or not self._can_send):
            self._carrier.forget(self)

    def finish(self) -> None:
        """Tell the peer that nothing more comes."""
        if self._can_send and not self._finished and self._carrier.problem is None:
            self._finished = True
            self._carrier.queue(frames.FINISH(frames.Tag.STREAM_FINISH, self.number, self._opener))
            self._carrier.flush()
            self._forget_if_over()

    def refuse(self) -> bool:
        """Drop what came; whether the peer has finished, so that nothing can come any more."""
        dropped, self._arrived = self._arrived, 0
        self._refused += dropped
        if dropped:
            self.taken(dropped)
        if not self._done:
            self.check()
        self.idle = not self._done and not self._carrier.ended
        self._forget_if_over()
        return not self.idle

    # --- the peer ------------------------------------------------------------------------------

    def announced(self, size: int) -> None:
        """So much payload begins to come.

        :raises BadFrame: if it may not.
        """
        if self._done:
            why = "after its end" if self._can_receive else "on which only this end sends"
            raise frames.BadFrame(f"there is data of stream {self.number} {why}")
        if (over := self._taken + self._arrived + size - self._promised) > 0:
            raise frames.BadFrame(f"stream {self.number} has {over:,} bytes beyond its window of {self._promised:,}")

    def ended(self) -> None:
        """The peer sends no more.

        :raises BadFrame: if it may not.
        """
        if self._done:
            raise frames.BadFrame(f"stream {self.number} ends a second time")
        self._done = True
        self.may_receive()

    def allowed(self, up_to: int) -> None:
        """So many bytes may be sent in all."""
        self._may_send = max(self._may_send, up_to)
        self.may_send()
