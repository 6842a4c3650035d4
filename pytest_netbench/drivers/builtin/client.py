"""What does a client do? Its operations: dial connections one after another or beside each other, and run them.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pytest_netbench.drivers.builtin import tcp
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
        self._ahead: tuple[_Dial, Connection, socket.SocketType] | None = None

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
            if self._ahead is not None:
                self._ahead[1].carrier.close()

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
            connection, dialled = self._ready(dial, patient=patient)
        except OSError as error:
            raise Failed(f"connection {number} {dial.where}, connect: {tcp.reason(error)}") from None
        connection.number = number
        carrier = connection.carrier
        outside = thread.context, thread.side, thread.link
        thread.context, thread.side, thread.link = connection, connection.local, carrier.link
        try:
            began = carrier.since = engine.clock()
            engine.interruptible = True  # a patient dial may take long, and there is nothing to count yet
            status = dialled.connect_ex(target[1])
            engine.interruptible = False
            if status:
                yield from _dial(connection, dialled, target, status)
            now = engine.clock()
            if not patient or wire.greets:
                self._settle(dial, connection, dialled, patient=patient)
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
            carrier.close()
            thread.context, thread.side, thread.link = outside

    def _ready(self, dial: _Dial, *, patient: bool) -> tuple[Connection, socket.SocketType]:
        """A connection that can be dialled now: the one that was made ahead, if it is of that kind.

        :raises OSError: if there is no descriptor left, or the address isn't this host's.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            for_dial, connection, dialled = ahead
            if for_dial is dial and patient:
                return connection, dialled
            connection.carrier.close()
        return self._made(dial, patient=patient)

    def _made(self, dial: _Dial, *, patient: bool) -> tuple[Connection, socket.SocketType]:
        wire = self._wire
        dialled = wire.dialler(dial.target, self._local_ip, patient=patient)
        connection = Connection(self, self._dialled, dial.where, dial.operation.server_id, self.checkpoints)
        later = partial(self._later, dial, connection, dialled) if patient and not wire.greets else None
        connection.adopt(wire.carrier(dialled, self.engine, dial.preamble, patient=patient, later=later))
        return connection, dialled

    def _settle(self, dial: _Dial, connection: Connection, dialled: socket.SocketType, *, patient: bool) -> None:
        """Set what a connected socket still needs, and ask for its address."""
        try:
            self._wire.settle(dialled, patient=patient)
            connection.addresses = dialled.getsockname(), dial.target[1]
        except OSError as error:
            raise Failed(f"{connection.title}, connect: {tcp.reason(error)}") from None

    def _later(self, dial: _Dial, connection: Connection, dialled: socket.SocketType) -> None:
        """While the server has the first bytes: settle, and make the next connection ready where one has followed."""
        self._settle(dial, connection, dialled, patient=True)
        if self._dialled > 1:
            with contextlib.suppress(OSError):  # whoever dials next is told
                self._ahead = (dial, *self._made(dial, patient=True))


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
