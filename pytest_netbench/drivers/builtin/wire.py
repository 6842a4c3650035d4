"""How do connected sockets carry streams? One raw stream each (duplex), or many in frames (multiplex).

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import socket
from collections.abc import Generator
from typing import ClassVar

from pytest_netbench.drivers.builtin.carrier import Channel
from pytest_netbench.drivers.builtin.connection import Connection, receive_preamble
from pytest_netbench.drivers.builtin.duplex import Duplex
from pytest_netbench.drivers.builtin.engine import Engine, Waits
from pytest_netbench.drivers.builtin.multiplex import Multiplex


class Wire:
    """What all connections of this process have in common.

    ``patient``: a connection may wait in the kernel itself. ``preamble``: its first bytes say which program it wants.
    ``greets``: there is something to be done before that.
    """

    duplex: ClassVar[type[Duplex]] = Duplex
    channel: ClassVar[type[Channel]] = Channel
    greets: ClassVar[bool] = False

    def __init__(self, *, multiplex: bool) -> None:
        self._multiplex = multiplex
        self.patient = not multiplex
        self.preamble = True

    def carrier(
        self, connected: socket.SocketType, engine: Engine, preamble: bytes = b"", *, patient: bool = False
    ) -> Duplex | Multiplex:
        """What carries the streams of a socket; ``preamble``: what goes before all else."""
        if self._multiplex:
            return Multiplex(self.channel(connected), engine, preamble)
        return self.duplex(connected, engine, preamble, patient=patient)

    def greet(self, connection: Connection, name: str) -> Waits:
        """At a client: what is done before the preamble; ``name``: of the server.

        :raises Failed: if the server doesn't take part.
        """
        raise NotImplementedError

    def program(self, connection: Connection) -> Generator[int, None, int]:
        """At a server: be greeted, and learn which program the client wants.

        :raises Failed: if it doesn't say.
        """
        return receive_preamble(connection)
