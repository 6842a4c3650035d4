"""What is a thread of operations? The list of steps that is carried out, in which connection, on whose streams.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.engine import Checkpoints, Engine, Gathering, Link, Task, Waits
from pytest_netbench.drivers.builtin.recorder import Recorder

MS = 1_000_000
"""Nanoseconds in a millisecond."""

TURN = 256
"""After so many steps in a row that didn't wait, others have their turn, and timers are looked at."""

END = -1
CUT_OFF = -2
"""What ``receive`` gives at an end: of the stream; of its connection alone, while the stream might have gone on."""


class ProtocolError(OSError):
    """The peer did what the protocol doesn't have: never the end of a time that was up first."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.EPROTO, text)


class Stream(Link, Protocol):
    """One stream of a connection. ``send`` and ``receive`` never wait, and raise OSError if the network fails.

    ``cut``: a time ended in the middle of what it carries. ``idle``: most likely nothing is there to be received yet,
    ``full``: no more can be sent yet: waiting first saves the attempt. ``patient``: it can wait itself.
    """

    number: int | None
    cut: bool
    full: bool
    idle: bool
    patient: bool

    def send(self, limit: int) -> int:
        """Send up to so many payload bytes: how many were, 0 and ``full`` if it must be waited for."""

    def receive(self, limit: int, wait: bool) -> int:  # noqa: FBT001 - a keyword would cost each call
        """Take up to so many payload bytes: how many came, 0 and ``idle`` to wait for them.

        ``END`` or ``CUT_OFF`` if none will come. With ``wait``, where the stream is patient, for a task that is alone:
        wait for a while itself.
        """

    def finish(self) -> None:
        """Nothing more will be sent."""

    def refuse(self) -> bool:
        """Nothing more will be received: whether that is settled, else the peer must be waited for."""


Rate: TypeAlias = tuple[int, int]
"""Bytes in a period, and the period in nanoseconds."""


class Side:
    """The streams of a connection that one of its ends opened, and their rates (None if none was set), by stream id.

    ``of``: another, of which it has what there is now, and nothing that is opened from now on.
    """

    __slots__ = ("receive_rates", "send_rates", "streams")

    def __init__(self, of: Side | None = None) -> None:
        self.streams: dict[int, Any] = {}
        self.send_rates: dict[int, Rate] | None = None
        self.receive_rates: dict[int, Rate] | None = None
        if of is not None:
            self.streams.update(of.streams)
            self.send_rates, self.receive_rates = of.send_rates, of.receive_rates


class Shared(Protocol):
    """What all connections of this process share."""

    engine: Engine
    gathering: Gathering
    recorder: Recorder


class Context(Shared, Protocol):
    """What the threads of one connection share; ``number``: which one it is."""

    number: int
    checkpoints: Checkpoints

    @property
    def title(self) -> str:
        """How messages call it."""

    def open(self, thread: Thread, number: int, both_ways: bool) -> Waits | None:  # noqa: FBT001 - as the operations say
        """Open a stream from here, for the thread's side; wait until the peer lets it."""

    def another(self, number: int) -> int:
        """The number of one more stream that is opened afresh under this one."""

    def failure(self, stream: Stream, operation: str, reason: str) -> Failed:
        """An error that names this connection, the stream and the operation."""


class Thread(Task):
    """A list of operations that is carried out: in which connection, on whose streams, under which timers."""

    __slots__ = ("context", "paced_until", "side", "timed")

    def __init__(self, context: Any, side: Side, *, link: Any = None, parent: Thread | None = None) -> None:  # noqa: ANN401
        super().__init__(link, parent)
        self.context = context
        self.side = side
        self.paced_until = 0
        self.timed: int = parent.timed if parent is not None else 0


Step: TypeAlias = Callable[[Thread], Waits | None]
Compiler: TypeAlias = Callable[[Any], Step]
