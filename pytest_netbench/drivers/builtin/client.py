"""What does a client do? Its operations: dial connections one after another or beside each other, and run them.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pytest_netbench.drivers.builtin import tcp
from pytest_netbench.drivers.builtin.carrier import Carrier
from pytest_netbench.drivers.builtin.connection import Connection, Program, programs
from pytest_netbench.drivers.builtin.duplex import PREAMBLE_BYTES
from pytest_netbench.drivers.builtin.ending import Failed, Stopped
from pytest_netbench.drivers.builtin.engine import WRITE, Checkpoints, Engine, Gathering, Stuck, Waits
from pytest_netbench.drivers.builtin.interpreter import compile_operations, run
from pytest_netbench.drivers.builtin.poller import EpollPoller
from pytest_netbench.drivers.builtin.recorder import Recorder
from pytest_netbench.drivers.builtin.thread import Side, Step, Thread
from pytest_netbench.drivers.builtin.waiting import waiting
from pytest_netbench.drivers.builtin.wire import Wire
from pytest_netbench.scenario import model as m


@dataclass(frozen=True, slots=True)
class _Dial:
    """One dial of a client, prepared. ``where``: for messages; ``name``: by which the server is called."""

    operation: m.Connect
    program: Program
    target: tcp.Address
    where: str
    name: str
    preamble: bytes


class Client:
    """One client of a scenario. ``servers``: the addresses of those that it dials, by server id.

    ``again``: of each connection, the streams that servers open afresh. ``exact``: no time cuts what they send.
    ``precise``: whether its operations begin at
    instants that matter to less than a millisecond.
    """

    number = -1

    def __init__(
        self,
        client: m.Client,
        servers: Mapping[int, tcp.Address],
        local_ip: str,
        wire: Wire,
        scenario_id: str,
        recorder: Recorder,
        *,
        again: Sequence[frozenset[int]] = (),
        exact: bool = False,
        precise: bool = False,
    ) -> None:
        self.poller = EpollPoller(precise=precise)
        self.engine = Engine(self.poller, time.monotonic_ns)
        self.checkpoints = Checkpoints(self.engine)
        self.gathering = Gathering(self.engine)
        self.recorder = recorder
        self._servers = servers
        self._local_ip = local_ip
        self._wire = wire
        self._id = scenario_id
        self._programs = programs(client.connections, self, again, exact=exact)
        self._steps = compile_operations(client.scenario, self, {m.Connect: self._connect})
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
            why = "waits at a checkpoint that nothing unparks, or to be held with others that never come"
            raise Failed(f"every thread that is left {why}") from None
        except Stopped as stopped:
            stopped.waiting = waiting(thread)
            raise
        finally:
            self.engine.cancel(thread)

    def _connect(self, operation: m.Connect) -> Step:
        target, wire = self._servers[operation.server_id], self._wire
        dial = _Dial(
            operation,
            self._programs[operation.client_connection_id],
            target,
            where=f"to server {operation.server_id} ({tcp.text(target[1])})",
            name=f"{operation.server_connection_id}.{self._id}.net",
            preamble=operation.server_connection_id.to_bytes(PREAMBLE_BYTES, "big") if wire.preamble else b"",
        )
        return partial(self._connecting, dial)

    def _connecting(self, dial: _Dial, thread: Thread) -> Waits:
        """Dial, run the connection in the thread that dials, close it."""
        number = self._dialled
        self._dialled = number + 1
        engine, wire, target = self.engine, self._wire, dial.target
        patient = wire.patient and engine.may_block()
        try:
            dialled = wire.dialler(target, self._local_ip, patient=patient)
        except OSError as error:
            raise Failed(f"connection {number} {dial.where}, connect: {tcp.reason(error)}") from None
        connection = Connection(self, number, dial.where, dial.operation.server_id, self.checkpoints)
        outside = thread.context, thread.side, thread.link
        thread.context, thread.side = connection, connection.local
        opened: socket.SocketType | Carrier = dialled
        try:
            began = engine.clock()
            engine.interruptible = True  # a patient dial may take long, and there is nothing to count yet
            status = dialled.connect_ex(target[1])
            engine.interruptible = False
            settle = partial(self._settle, connection, dialled, target, patient=patient)
            later = settle if patient else None
            opened = carrier = wire.carrier(dialled, engine, dial.preamble, later=later, since=began)
            connection.adopt(carrier)
            thread.link = carrier.link
            if status:
                yield from _dial(connection, dialled, target, status)
            now = engine.clock()
            if later is None:
                settle()
            if wire.greets:
                yield from wire.greet(connection, dial.name, dial.operation)
                now = engine.clock()
            connection.usable_ns = now
            connection.connect_ns = now - began
            self.recorder.add(connection)
            connection.program = dial.operation.client_connection_id
            if not dial.program.sends_first:
                _flush(connection)
            yield from connection.carry_out(thread, dial.program)
            if wire.remembers:
                wire.remember(connection, dial.name)
            if (rest := connection.finish(thread, dial.program)) is not None:
                yield from rest
        finally:
            opened.close()
            thread.context, thread.side, thread.link = outside

    def _settle(
        self, connection: Connection, dialled: socket.SocketType, target: tcp.Address, *, patient: bool
    ) -> None:
        """Set what a connected socket still needs, and ask for its address."""
        try:
            self._wire.settle(dialled, patient=patient)
            connection.addresses = dialled.getsockname(), target[1]
        except OSError as error:
            raise Failed(f"{connection.title}, connect: {tcp.reason(error)}") from None


def _dial(connection: Connection, dialled: socket.SocketType, target: tcp.Address, status: int) -> Waits:
    """Go on with a dial that isn't done yet."""
    if status == errno.EINPROGRESS:
        status = dialled.connect_ex(target[1])  # on a short way the answer is there by now
        if status == errno.EALREADY:
            yield WRITE
            status = dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if status not in {0, errno.EISCONN}:
        raise Failed(f"{connection.title}, connect: {tcp.reason(OSError(status, os.strerror(status)))}")


def _flush(connection: Connection) -> None:
    try:
        connection.carrier.flush()
    except OSError as error:
        raise Failed(f"{connection.title}, its number: {tcp.reason(error)}") from None
