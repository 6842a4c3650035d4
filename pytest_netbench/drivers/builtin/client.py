"""What does a client do? Its operations: dial connections one after another or beside each other, and run them.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Mapping

from pytest_netbench.drivers.builtin import tcp
from pytest_netbench.drivers.builtin.connection import Connection, Program
from pytest_netbench.drivers.builtin.duplex import PREAMBLE_BYTES, Duplex
from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.engine import PAUSE, WRITE, Checkpoints, Engine, Stuck, Waits
from pytest_netbench.drivers.builtin.interpreter import compile_operations, run
from pytest_netbench.drivers.builtin.poller import EpollPoller
from pytest_netbench.drivers.builtin.recorder import Recorder
from pytest_netbench.drivers.builtin.thread import Side, Step, Thread
from pytest_netbench.scenario import model as m


class Client:
    """One client of a scenario. ``servers``: the addresses of those that it dials, by server id."""

    def __init__(
        self,
        client: m.Client,
        servers: Mapping[int, tcp.Address],
        local_ip: str,
        options: tcp.Options,
        recorder: Recorder,
    ) -> None:
        self.poller = EpollPoller()
        self.engine = Engine(self.poller, time.monotonic_ns)
        self.checkpoints = Checkpoints(self.engine)
        self.recorder = recorder
        self._servers = servers
        self._local_ip = local_ip
        self._options = options
        self._programs = tuple(Program(one) for one in client.connections)
        self._steps = compile_operations(client.scenario, {m.Connect: self._connect})
        self._dialled = 0

    def run(self) -> None:
        """Carry out the scenario.

        :raises Failed: if the network or a server does what the scenario doesn't say.
        """
        thread = Thread(self, Side())
        self.engine.spawn(thread, run(thread, self._steps))
        try:
            self.engine.run()
        except Stuck:
            raise Failed("every thread that is left waits at a checkpoint that nothing unparks") from None
        finally:
            self.engine.cancel(thread)

    def _connect(self, operation: m.Connect) -> Step:
        """A connection is a thread of its own, with which the thread that dials waits."""

        def step(thread: Thread) -> Waits:
            connection = Connection(
                f"connection {self._dialled} to server {operation.server_id}",
                operation.server_id,
                engine=self.engine,
                poller=self.poller,
                recorder=self.recorder,
                checkpoints=self.checkpoints,
            )
            self._dialled += 1
            child = Thread(connection, connection.local, parent=thread)
            thread.pending = 0
            self.engine.spawn(child, self._life(child, connection, operation))
            try:
                while thread.pending:
                    yield PAUSE
            finally:
                self.engine.cancel(child)

        return step

    def _life(self, thread: Thread, connection: Connection, operation: m.Connect) -> Waits:
        """Dial, run the connection, close it."""
        target = self._servers[operation.server_id]
        name = connection.name = f"{connection.name} ({tcp.text(target[1])})"
        try:
            dialled = tcp.dialler(target, self._local_ip, self._options)
        except OSError as error:
            raise Failed(f"{name}, connect: {tcp.reason(error)}") from None
        number = operation.server_connection_id.to_bytes(PREAMBLE_BYTES, "big")
        stream = connection.stream = thread.link = Duplex(dialled, self.engine.clock, number)
        try:
            yield from self._dial(connection, target)
            connection.program = operation.client_connection_id
            program = self._programs[operation.client_connection_id]
            if not program.sends_first:
                self._flush(connection)
            yield from connection.carry_out(thread, program)
        finally:
            if connection.connect_s is not None:
                connection.close()
            else:
                self.poller.closed(stream)
                dialled.close()

    def _dial(self, connection: Connection, target: tcp.Address) -> Waits:
        dialled = connection.stream.socket
        began = self.engine.clock()
        status = dialled.connect_ex(target[1])
        if status == errno.EINPROGRESS:
            status = dialled.connect_ex(target[1])  # on a short way the answer is there by now
            if status == errno.EALREADY:
                yield WRITE
                status = dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status not in {0, errno.EISCONN}:
            raise Failed(f"{connection.name}, connect: {tcp.reason(OSError(status, os.strerror(status)))}")
        connection.connect_s = (self.engine.clock() - began) / 1e9
        try:
            connection.key = f"{tcp.text(dialled.getsockname())}>{tcp.text(target[1])}"
        except OSError as error:
            raise Failed(f"{connection.name}, connect: {tcp.reason(error)}") from None

    @staticmethod
    def _flush(connection: Connection) -> None:
        try:
            connection.stream.flush()
        except OSError as error:
            raise Failed(f"{connection.name}, its number: {tcp.reason(error)}") from None
