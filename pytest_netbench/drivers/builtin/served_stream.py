"""What is common to streams of which a connection has many? Counters, and who waits; the connection serves them.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pytest_netbench.drivers.builtin.engine import READ, WRITE
from pytest_netbench.drivers.builtin.thread import CUT_OFF, END, ProtocolError
from pytest_netbench.telemetry.model import StreamBytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_netbench.drivers.builtin.engine import Engine, Task


class Owner(Protocol):
    """The connection of a stream. ``problem``: why nothing moves any more; ``ended``: the peer has closed well."""

    engine: Engine
    problem: OSError | None
    ended: bool


def left(streams: Iterable[ServedStream]) -> tuple[int, int] | None:
    """One on which more came than was received, and how many bytes; None if all was."""
    return next(((one.number, one.left) for one in streams if one.left), None)


class ServedStream:
    """One stream. It is a link of its own, which the connection serves (``interest``: always both)."""

    __slots__ = (
        "_arrived",
        "_can_receive",
        "_can_send",
        "_done",
        "_finished",
        "_owner",
        "_refused",
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

    def __init__(self, owner: Owner, number: int, *, opened_here: bool, both_ways: bool) -> None:
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
        self._owner = owner
        self._can_send = both_ways or opened_here
        self._can_receive = both_ways or not opened_here
        self._arrived = 0
        self._refused = 0
        self._finished = False
        self._done = not self._can_receive

    def receive(self, limit: int, wait: bool) -> int:  # noqa: ARG002, FBT001 - a stream's form; not patient
        """Take up to so many payload bytes: how many came, 0 and ``idle`` to wait, an end if none will come."""
        if not self._arrived:
            if self._done and not isinstance(self._owner.problem, ProtocolError):
                return END
            self.check()
            self.idle = not self._owner.ended
            return 0 if self.idle else CUT_OFF
        taken = min(limit, self._arrived)
        self.received += taken
        self._arrived -= taken
        self.taken(taken)
        self.idle = not self._arrived and self.expects
        return taken

    @property
    def expects(self) -> bool:
        """Whether anything may still come: else there is nothing to wait for."""
        return not self._done and self._owner.problem is None and not self._owner.ended

    def taken(self, size: int) -> None:
        """So much room is there for more."""

    def check(self) -> None:
        """Raise what is wrong with the connection, if anything is."""
        if self._owner.problem is not None:
            raise self._owner.problem

    def carried(self) -> StreamBytes:
        """What the report says of it."""
        return StreamBytes(self.number, self.opened_here, self.sent, self.received, self.cut)

    @property
    def left(self) -> int:
        """Bytes that came and weren't received."""
        return self._arrived + self._refused

    def arrived(self, size: int) -> None:
        """So much payload came."""
        self._arrived += size
        self.may_receive()

    def may_send(self) -> None:
        """There may be room now."""
        self.full = False
        if self.tasks:
            self._owner.engine.able(self, WRITE)

    def may_receive(self) -> None:
        """There is something to be taken now."""
        self.idle = False
        if self.tasks:
            self._owner.engine.able(self, READ)
