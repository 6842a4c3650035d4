"""Which datagrams has a connection of QUIC? How many were sent and came, and who waits for one, or for room.

This file runs on hosts; like ``quic``, it needs aioquic.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aioquic.quic.connection import QuicConnection

    from pytest_netbench.drivers.builtin.engine import Engine, Task

_MOST_PENDING = 64
_HEADERS = 64
"""Bytes of a packet that its own header, the frame's and the tag may take, at most."""


class Connected(Protocol):
    """The connection of datagrams. ``problem``: why nothing moves any more."""

    engine: Engine
    problem: OSError | None

    @property
    def up(self) -> bool:
        """Whether something can still be sent."""

    def turn(self) -> None:
        """Send what is to be sent."""


class QuicDatagrams:
    """The datagrams of one connection. ``sent``, ``arrived``: so many so far."""

    def __init__(self, carrier: Connected, quic: QuicConnection) -> None:
        self._carrier = carrier
        self._quic = quic
        self.sent = self.arrived = 0
        self._here = 0
        self._hoping: list[Task] = []
        self._crowded: list[Task] = []

    def pending(self) -> int:
        """How many aioquic hasn't sent yet."""
        return len(self._quic._datagrams_pending)  # noqa: SLF001 - nothing public tells

    def crowded(self, task: Task) -> bool:
        """Whether so many wait to be sent that the task should, too; it is woken."""
        if not self._carrier.up or self.pending() < _MOST_PENDING:
            return False
        self._crowded.append(task)
        return True

    def send(self, size: int) -> None:
        """Send one of so many bytes.

        :raises OSError: if the connection is over, or no packet takes so many.
        """
        if not self._carrier.up:
            raise self._carrier.problem or BrokenPipeError(errno.EPIPE, "the peer closed")
        most = self._quic.configuration.max_datagram_size - _HEADERS
        if size > most:
            raise OSError(errno.EMSGSIZE, f"a packet takes {most:,}")
        self._quic.send_datagram_frame(bytes(size))
        self.sent += 1
        self._carrier.turn()

    def take(self, task: Task) -> bool:
        """Take one that is there, or whether none will come; if not, the task is woken when one does."""
        if self._here:
            self._here -= 1
            return True
        self._hoping.append(task)
        return not self._carrier.up

    # --- the connection ------------------------------------------------------------------------

    def came(self) -> None:
        """One more is there."""
        self.arrived += 1
        self._here += 1
        self._wake(self._hoping)

    def moved(self) -> None:
        """Some may have been sent."""
        if self._crowded and not self.pending():
            self._wake(self._crowded)

    def over(self) -> None:
        """Nothing comes or goes any more."""
        self._wake(self._hoping)
        self._wake(self._crowded)

    def _wake(self, tasks: list[Task]) -> None:
        for task in tasks:
            self._carrier.engine.wake(task)
        tasks.clear()
