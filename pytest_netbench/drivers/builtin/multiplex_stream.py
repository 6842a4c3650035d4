"""What is one of many streams on a channel? How much was sent, came and was taken, and how much each end may send.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pytest_netbench.drivers.builtin import frames
from pytest_netbench.drivers.builtin.engine import READ, WRITE
from pytest_netbench.drivers.builtin.thread import END, ProtocolError
from pytest_netbench.telemetry.model import StreamBytes

if TYPE_CHECKING:
    from pytest_netbench.drivers.builtin.engine import Task
    from pytest_netbench.drivers.builtin.multiplex import Multiplex

_HALF = frames.WINDOW // 2


class MultiplexStream:
    """One stream. It is a link of its own, which the connection serves (``interest``: always both)."""

    __slots__ = (
        "_arrived",
        "_can_receive",
        "_can_send",
        "_carrier",
        "_done",
        "_finished",
        "_may_send",
        "_promised",
        "_taken",
        "cut",
        "fd",
        "full",
        "idle",
        "interest",
        "number",
        "opened_here",
        "patient",
        "received",
        "sent",
        "tasks",
    )

    def __init__(self, carrier: Multiplex, number: int, *, opened_here: bool, both_ways: bool, window: int) -> None:
        self.fd = -1
        self.tasks: list[Task] = []
        self.interest = READ | WRITE
        self.number = number
        self.opened_here = opened_here
        self.sent = 0
        self.received = 0
        self.cut = False
        self.full = False
        self.idle = True
        self.patient = False
        self._carrier = carrier
        self._can_send = both_ways or opened_here
        self._can_receive = both_ways or not opened_here
        self._may_send = window
        self._promised = frames.WINDOW
        self._arrived = 0
        self._taken = 0
        self._finished = False
        self._done = not self._can_receive

    # --- operations ----------------------------------------------------------------------------

    def send(self, limit: int) -> int:
        """Send up to so many payload bytes: how many were, 0 and ``full`` if it must be waited for."""
        if self._carrier.problem is not None:
            raise self._carrier.problem
        if not self._can_send:
            raise OSError(errno.EOPNOTSUPP, "only the other end sends on this stream")
        sent = self._carrier.send(self, min(limit, self._may_send - self.sent)) if self._may_send > self.sent else 0
        self.sent += sent
        self.full = sent < limit
        return sent

    def receive(self, limit: int, wait: bool) -> int:  # noqa: ARG002, FBT001 - a stream's form; not patient
        """Take up to so many payload bytes: how many came, 0 and ``idle`` to wait, ``END`` if none will come."""
        if not self._arrived:
            if self._done and not isinstance(self._carrier.problem, ProtocolError):
                return END
            self._check()
            self.idle = not self._carrier.ended
            return 0 if self.idle else END
        taken = min(limit, self._arrived)
        self.received += taken
        self._take(taken)
        self.idle = not self._arrived and not self._done
        return taken

    def _take(self, size: int) -> None:
        """Make room for more; the peer learns of it when half of the window is used up."""
        self._arrived -= size
        self._taken += size
        if not self._done and self._promised - self._taken < _HALF:
            self._promised += frames.WINDOW
            owner = frames.MINE if self.opened_here else frames.THEIRS
            self._carrier.queue(frames.MAX_DATA(frames.Tag.MAX_STREAM_DATA, self.number, owner, self._promised))
            self._carrier.flush()

    def _check(self) -> None:
        if self._carrier.problem is not None:
            raise self._carrier.problem

    def finish(self) -> None:
        """Tell the peer that nothing more comes."""
        if self._can_send and not self._finished and self._carrier.problem is None:
            self._finished = True
            owner = frames.MINE if self.opened_here else frames.THEIRS
            self._carrier.queue(frames.FINISH(frames.Tag.STREAM_FINISH, self.number, owner))
            self._carrier.flush()

    def refuse(self) -> bool:
        """Drop what came; whether the peer has finished, so that nothing can come any more."""
        if self._arrived:
            self._take(self._arrived)
        if not self._done:
            self._check()
        self.idle = not self._done and not self._carrier.ended
        return not self.idle

    def carried(self) -> StreamBytes:
        """What the report says of it."""
        return StreamBytes(self.number, self.opened_here, self.sent, self.received, self.cut)

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

    def arrived(self, size: int) -> None:
        """So much payload came."""
        self._arrived += size
        self.may_receive()

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

    def may_send(self) -> None:
        """There may be room now."""
        self.full = False
        if self.tasks:
            self._carrier.engine.able(self, WRITE)

    def may_receive(self) -> None:
        """There is something to be taken now."""
        self.idle = False
        if self.tasks:
            self._carrier.engine.able(self, READ)
