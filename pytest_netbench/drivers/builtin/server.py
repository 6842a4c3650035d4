"""What does a server do? Accepts connections, reads which program each wants, runs it; one that fails ends alone.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Sequence

from pytest_netbench.drivers.builtin import tcp
from pytest_netbench.drivers.builtin.carrier import Carrier
from pytest_netbench.drivers.builtin.connection import Connection, programs
from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.engine import READ, Engine, Gathering, Task, Waits
from pytest_netbench.drivers.builtin.poller import EpollPoller
from pytest_netbench.drivers.builtin.recorder import Recorder
from pytest_netbench.drivers.builtin.thread import MS, Thread
from pytest_netbench.drivers.builtin.wire import Wire
from pytest_netbench.scenario import model as m

_FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_MS = 50


class _Door:
    """The listening socket as the poller knows it."""

    def __init__(self, listening: socket.socket) -> None:
        self.fd = listening.fileno()
        self.tasks: list[Task] = []
        self.interest = 0


class Server:
    """One server of a scenario, listening.

    ``say``: where a line goes that tells of a connection that failed. ``again``: of each connection, the streams that
    clients open afresh. ``exact``: no time cuts what they send.
    """

    def __init__(
        self,
        server: m.Server,
        index: int,
        listening: socket.socket,
        wire: Wire,
        recorder: Recorder,
        say: Callable[[str], None],
        *,
        again: Sequence[frozenset[int]] = (),
        exact: bool = False,
    ) -> None:
        self.poller = EpollPoller()
        self.engine = Engine(self.poller, time.monotonic_ns)
        self.gathering = Gathering(self.engine)
        self.recorder = recorder
        self._index = index
        self.listening = listening
        self._wire = wire
        self._say = say
        self._programs = programs(server.connections, self, again, exact=exact)
        self._accepted = 0
        self._ahead = min((one.receives_first for one in self._programs), default=0)
        self._family = int(listening.family)
        bound = listening.getsockname()
        self._address = None if bound[0] in tcp.ANY else bound  # to ask each connection costs a call of the kernel
        self._open: set[Connection] = set()
        self.engine.company = int(wire.patient)  # the task that accepts

    def run(self) -> None:
        """Accept and run connections until a signal ends it; what is open then is recorded as it is."""
        task = Task(_Door(self.listening))
        self.engine.spawn(task, self.accept(task))
        try:
            self.engine.run()
        finally:
            for connection in self._open:
                connection.carrier.close()

    def accept(self, task: Task) -> Waits:
        """Accept one connection a turn: those that are there aren't kept waiting by many that come at once."""
        listening, family, engine = self.listening, self._family, self.engine
        full = False
        while True:
            alone = self._wire.patient and not self._open and engine.may_block()
            if not alone:
                yield READ
            try:
                accepted, peer = tcp.accept(listening, family)
            except BlockingIOError:
                if alone:
                    yield READ  # nobody came for a while
                continue
            except OSError as error:
                if error.errno in _FULL:
                    if not full:
                        self.problem(f"can't accept connection {self._accepted}: {tcp.reason(error)}")
                    full = True
                    yield from engine.sleep_until(engine.clock() + _PAUSE_MS * MS, task)
                continue  # a connection that was reset while it waited is none
            full = False
            self._take(accepted, peer)

    def _take(self, accepted: socket.SocketType, peer: tcp.SocketAddress) -> None:
        carrier = self._wire.carrier(accepted, self.engine, patient=self._wire.patient)
        self.begin(carrier, peer, self._address or accepted.getsockname)

    def begin(
        self,
        carrier: Carrier,
        peer: tcp.SocketAddress,
        address: tcp.SocketAddress | Callable[[], tcp.SocketAddress],
    ) -> None:
        """Let the life of a connection begin; ``address``: this server's, as the connection sees it."""
        connection = Connection(self, self._accepted, peer, self._index)
        connection.adopt(carrier)
        self._accepted += 1
        self.recorder.add(connection)
        self._open.add(connection)
        thread = Thread(connection, connection.local, link=carrier.link)
        self.engine.start(thread, self._life(thread, connection, peer, address))

    def _life(
        self,
        thread: Thread,
        connection: Connection,
        peer: tcp.SocketAddress,
        address: tcp.SocketAddress | Callable[[], tcp.SocketAddress],
    ) -> Waits:
        """Read the number of the program, run it, close the connection."""
        try:
            connection.addresses = peer, address() if callable(address) else address
            number = yield from self._wire.program(connection, self._ahead)
            if number >= len(self._programs):
                why = f"it asks for program {number}, this server has {len(self._programs)}"
                raise Failed(f"{connection.title}: {why}")  # noqa: TRY301 - ends this connection as others do
            connection.program = number
            program = self._programs[number]
            yield from connection.carry_out(thread, program)
            if (rest := connection.finish(thread, program)) is not None:
                yield from rest
        except Failed as failure:
            self.problem(str(failure))
        except OSError as error:  # the kernel refuses to say to which address it was
            self.problem(f"{connection.title}: {tcp.reason(error)}")
        finally:
            self._open.discard(connection)
            connection.carrier.close()

    def problem(self, text: str) -> None:
        """Say it, and report it."""
        self.recorder.problem(text)
        self._say(text)
