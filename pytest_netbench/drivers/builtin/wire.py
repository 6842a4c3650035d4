"""How do connected sockets carry streams? One raw stream each (duplex), or many in frames (multiplex).

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Generator, Iterator
from typing import ClassVar

from pytest_netbench.drivers.builtin import tcp
from pytest_netbench.drivers.builtin.carrier import Carrier, Channel
from pytest_netbench.drivers.builtin.connection import Connection, receive_preamble
from pytest_netbench.drivers.builtin.duplex import Duplex
from pytest_netbench.drivers.builtin.engine import Engine, Waits
from pytest_netbench.drivers.builtin.multiplex import Multiplex
from pytest_netbench.scenario import model as m


class Wire:
    """What all connections of this process have in common.

    ``alone``: no two connections are there at once, as far as the scenario tells. ``patient``: so one may wait in the
    kernel itself, and a server that has none, too. ``preamble``: its first bytes say which program it wants.
    ``greets``: there is something to be done before that. ``remembers``: sessions are kept, to be resumed.
    """

    duplex: ClassVar[type[Duplex]] = Duplex
    channel: ClassVar[type[Channel]] = Channel
    greets: ClassVar[bool] = False

    def __init__(self, options: tcp.Options, *, multiplex: bool, alone: bool = False) -> None:
        self._options = options
        self._multiplex = multiplex
        self.patient = alone and not multiplex
        self.preamble = True
        self.remembers = False

    def dialler(self, target: tcp.Address, local_ip: str, *, patient: bool) -> socket.SocketType:
        """A socket that can dial the target.

        :raises OSError: if there is no descriptor left, or the address isn't this host's.
        """
        return tcp.dialler(target, local_ip, self._options, patient=patient)

    def settle(self, dialled: socket.SocketType, *, patient: bool) -> None:
        """Set what a socket still needs once it is connected."""
        tcp.settle(dialled, self._options, patient=patient)

    def listeners(self, ip: str, port: int, count: int) -> list[socket.socket]:
        """Sockets for so many processes that share an address.

        :raises Failed: if the address is taken or isn't this host's.
        """
        return tcp.listeners(ip, port, self._options, count, patient=self.patient)

    def carrier(
        self,
        connected: socket.SocketType,
        engine: Engine,
        preamble: bytes = b"",
        *,
        patient: bool = False,
        later: Callable[[], None] | None = None,
    ) -> Carrier:
        """What carries the streams of a socket.

        ``preamble``: what goes before all else. ``patient``: whether it was made so. ``later``: of a dial, what is left
        until the first bytes are on their way, if that is patient.
        """
        if self._multiplex:
            return Multiplex(self.channel(connected), engine, preamble)
        return self.duplex(connected, engine, preamble, patient=patient, later=later)

    @contextlib.contextmanager
    def finishing(self) -> Iterator[None]:
        """While connections are carried; afterwards write what they logged, if they did."""
        yield

    def greet(self, connection: Connection, name: str, dial: m.Connect) -> Waits:
        """At a client: what is done before the preamble; ``name``: of the server.

        :raises Failed: if the server doesn't take part.
        """
        raise NotImplementedError

    def remember(self, connection: Connection, name: str) -> None:
        """At a client: keep the session of a connection that has done its work; note what became of an earlier one."""
        raise NotImplementedError

    def program(self, connection: Connection, ahead: int) -> Generator[int, None, int]:
        """At a server: be greeted, and learn which program the client wants.

        ``ahead``: so many bytes of payload every program receives first.

        :raises Failed: if it doesn't say.
        """
        return receive_preamble(connection, 0 if self._multiplex else ahead)
