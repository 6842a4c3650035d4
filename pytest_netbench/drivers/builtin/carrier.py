"""What carries the streams of a connection? One interface, however they are: one raw, many in frames, or QUIC's own.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, Protocol

from pytest_netbench.drivers.builtin import tcp
from pytest_netbench.drivers.builtin.engine import READ, WRITE, Link, Task, TimeUp, Waits
from pytest_netbench.drivers.builtin.thread import MS, Thread
from pytest_netbench.telemetry.model import StreamBytes

LANDING = memoryview(bytearray(256 * 1024))
"""Where what is read lands: nobody looks at it."""

FRESH = 1 << 32
"""A stream that is opened afresh for the k-th time has the number k * FRESH + its own, k from 0."""

_LEFT_TO_KERNEL = 16
"""Up to so many unacknowledged segments are left to the kernel when a connection closes."""

_LINGER_MS = 5000
_LONGEST_LOOK_MS = 50

_LATER_MS = 2000
"""A peer whose time began later is up later, by what a dial and a busy machine may cost."""


class Carrier(Protocol):
    """The streams of one connection, from when it is up. What can't be done raises OSError or ``Failed``.

    ``link``: what a thread waits for before there is a stream. ``since``: when it was dialled. ``first_ns``,
    ``last_ns``: payload received. ``retransmits``: segments sent again, ``busy_us``: microseconds in which not all that
    was sent was acknowledged; both known once it has ended.
    """

    since: int
    first_ns: int | None
    last_ns: int | None
    retransmits: int | None
    busy_us: int | None

    @property
    def link(self) -> Link:
        """The connection itself, as the poller knows it."""

    @property
    def datagrams(self) -> Any:  # noqa: ANN401 - None, or those of a transport that has them
        """The datagrams beside the streams, None where there are none."""

    def raw(self, landing: memoryview) -> int:
        """Take bytes from before the first stream's: how many, 0 at the end.

        :raises BlockingIOError: if there is nothing yet.
        """

    def begin(self, thread: Thread, programs: int, again: frozenset[int]) -> None:
        """The connection's program is known: the peer may open streams 0 to ``programs - 1``, some of them afresh."""

    def flush(self) -> None:
        """Send now what waits for the first payload."""

    def open(self, thread: Thread, number: int, both_ways: bool) -> Waits | None:  # noqa: FBT001 - as the operations say
        """Open a stream from here, for the thread's side; wait until the peer lets it."""

    def accept(self, thread: Thread, number: int) -> Waits | None:
        """Wait for a stream that the peer opens, for the thread's side.

        :raises NoMore: if it closes in order without.
        """

    def end(self, thread: Thread, exact: bool) -> Waits | None:  # noqa: FBT001 - a fact of the program
        """The program is done: wait until closing takes nothing away from the peer.

        ``exact``: no time ends the peer's program in the middle, so that it may be at something still.
        """

    def left(self) -> tuple[int, int] | None:
        """After the end: a stream on which more came than was received, and how many bytes; None if all was."""

    def close(self) -> None:
        """Close, whatever is in flight; what the kernel counted is asked for before."""

    def streams(self) -> tuple[StreamBytes, ...]:
        """What each stream carried."""


class Channel:
    """A connected socket as a channel of bytes in their order, and as the poller knows it."""

    __slots__ = ("fd", "interest", "socket", "tasks")

    whole = True
    """A read that takes less than it could has taken all that is there."""

    def __init__(self, connected: socket.SocketType) -> None:
        self.socket: Any = connected
        self.fd = connected.fileno()
        self.tasks: list[Task] = []
        self.interest = 0

    def receive(self, landing: memoryview) -> int:
        """Take what is there: how many bytes, 0 at the end.

        :raises BlockingIOError: if there is nothing yet.
        :raises OSError: if the network fails.
        """
        came: int = self.socket.recv_into(landing, 0, socket.MSG_DONTWAIT)
        return came

    def send(self, parts: Sequence[bytes | memoryview]) -> int:
        """Send of these, in their order: how many bytes were.

        :raises BlockingIOError: if it must be waited for.
        :raises OSError: if the network fails.
        """
        sent: int = self.socket.sendmsg(parts, (), socket.MSG_DONTWAIT)
        return sent

    def half_close(self) -> None:
        """Tell the peer that nothing more comes.

        :raises OSError: if the network fails.
        """
        self.socket.shutdown(socket.SHUT_WR)


class Occasion:
    """Something that the peer will do, as a link: whoever waits for it reads it, a carrier says when it is there."""

    __slots__ = ("fd", "interest", "tasks")

    def __init__(self) -> None:
        self.fd = -1
        self.tasks: list[Task] = []
        self.interest = READ | WRITE  # always: the poller has nothing to look for


def summed(streams: tuple[StreamBytes, ...]) -> tuple[StreamBytes, ...]:
    """One for each number and end: those that were opened afresh under one number together."""
    if len(streams) < 2:  # noqa: PLR2004 - nothing to be told together
        return streams
    found: dict[tuple[int, bool], StreamBytes] = {}
    for one in streams:
        key = one.stream % FRESH, one.opened_here
        before = found.get(key)
        sent, received, cut = (0, 0, False) if before is None else (before.sent, before.received, before.cut)
        found[key] = StreamBytes(*key, sent + one.sent, received + one.received, cut or one.cut)
    return tuple(found.values())


def in_flight(one: socket.SocketType) -> bool:
    """Whether so much isn't acknowledged yet that closing should wait.

    What has to be sent again meanwhile is still counted then, and no reset takes away what the peer hasn't read.
    """
    return much_left(tcp.kernel_says(one))


def much_left(said: tcp.Said | None) -> bool:
    """Whether the kernel says that it is so."""
    return said is not None and (said.unsent > 0 or said.unacknowledged > _LEFT_TO_KERNEL)


def counted(said: tcp.Said | None) -> tuple[int | None, int | None]:
    """What a carrier keeps of it: segments sent again, and microseconds of being busy."""
    return (None, None) if said is None else (said.retransmits, said.busy_us)


def until_closed(stream: Any, thread: Thread) -> Waits:  # noqa: ANN401 - what has ``raw``
    """Take what comes until the peer closes, but not for ever: its own time is up a little later.

    The real clients fail where they send to a server that has closed.
    """
    engine = thread.context.engine
    timer = engine.timer(engine.clock() + _LATER_MS * MS, thread, interrupts=True)
    thread.link = stream
    try:
        while True:
            try:
                if not stream.raw(LANDING):
                    return
            except BlockingIOError:
                yield READ
    except OSError:
        return
    except TimeUp as up:
        if up.timer is not timer:
            raise
    finally:
        timer.live = False


def linger(one: socket.SocketType, thread: Thread) -> Waits:
    """Stay while much is in flight, but not for ever."""
    engine = thread.context.engine
    until = engine.clock() + _LINGER_MS * MS
    look = MS
    while in_flight(one) and engine.clock() < until:
        yield from engine.sleep_until(engine.clock() + look, thread)
        look = min(2 * look, _LONGEST_LOOK_MS * MS)
