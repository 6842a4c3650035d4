"""What does a server do? Accepts connections, reads which program each wants, runs it; one that fails ends alone.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable

from pytest_netbench.drivers.builtin import tcp
from pytest_netbench.drivers.builtin.connection import Connection, Program, receive_preamble
from pytest_netbench.drivers.builtin.duplex import PREAMBLE_BYTES, Duplex
from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.engine import READ, Checkpoints, Engine, Task, Waits
from pytest_netbench.drivers.builtin.poller import EpollPoller
from pytest_netbench.drivers.builtin.recorder import Recorder
from pytest_netbench.drivers.builtin.thread import MS, Thread
from pytest_netbench.scenario import model as m

_FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_MS = 50
_AT_ONCE = 64
"""So many connections are accepted before those that are there have their turn."""


class _Door:
    """The listening socket as the poller knows it."""

    def __init__(self, listening: socket.socket) -> None:
        self.fd = listening.fileno()
        self.tasks: list[Task] = []
        self.interest = 0


class Server:
    """One server of a scenario, listening. ``say``: where a line goes that tells of a connection that failed."""

    def __init__(
        self, server: m.Server, index: int, listening: socket.socket, recorder: Recorder, say: Callable[[str], None]
    ) -> None:
        self.poller = EpollPoller()
        self.engine = Engine(self.poller, time.monotonic_ns)
        self.recorder = recorder
        self._index = index
        self._listening = listening
        self._say = say
        self._programs = tuple(Program(one) for one in server.connections)
        self._accepted = 0
        self._open: set[Connection] = set()

    def run(self) -> None:
        """Accept and run connections until a signal ends it; what is open then is recorded as it is."""
        task = Task(_Door(self._listening))
        self.engine.spawn(task, self._accept(task))
        try:
            self.engine.run()
        finally:
            for connection in tuple(self._open):
                connection.close()

    def _accept(self, task: Task) -> Waits:
        full = False
        while True:
            for _ in range(_AT_ONCE):
                try:
                    accepted, peer = self._listening.accept()
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno in _FULL:
                        if not full:
                            self._problem(f"can't accept connection {self._accepted}: {tcp.reason(error)}")
                        full = True
                        yield from self.engine.sleep_until(self.engine.clock() + _PAUSE_MS * MS, task)
                    continue  # a connection that was reset while it waited is none
                full = False
                self._take(accepted, peer)
            yield READ

    def _take(self, accepted: socket.socket, peer: tuple[str | int, ...]) -> None:
        connection = Connection(
            f"connection {self._accepted} from {tcp.text(peer)}",
            self._index,
            engine=self.engine,
            poller=self.poller,
            recorder=self.recorder,
            checkpoints=Checkpoints(self.engine),
        )
        self._accepted += 1
        connection.stream = Duplex(accepted, self.engine.clock)
        self._open.add(connection)
        try:
            connection.key = f"{tcp.text(peer)}>{tcp.text(accepted.getsockname())}"
        except OSError as error:
            self._failed(connection, f"{connection.name}: {tcp.reason(error)}")
            return
        thread = Thread(connection, connection.local, link=connection.stream)
        self.engine.spawn(thread, self._life(thread, connection))

    def _life(self, thread: Thread, connection: Connection) -> Waits:
        """Read the number of the program, run it, close the connection."""
        try:
            number = yield from receive_preamble(connection.stream, PREAMBLE_BYTES)
            if number >= len(self._programs):
                raise Failed(f"it asks for program {number}, this server has {len(self._programs)}")  # noqa: TRY301
            connection.program = number
            yield from connection.carry_out(thread, self._programs[number])
        except Failed as failure:
            text = str(failure)
            self._failed(connection, text if text.startswith(connection.name) else f"{connection.name}: {text}")
        else:
            self._close(connection)

    def _failed(self, connection: Connection, text: str) -> None:
        self._problem(text)
        self._close(connection)

    def _close(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.close()

    def _problem(self, text: str) -> None:
        self.recorder.problem(text)
        self._say(text)
