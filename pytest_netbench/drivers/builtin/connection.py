"""What is one connection's life? Its two programs beside each other on a duplex stream, then a careful end.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any, Protocol

from pytest_netbench.drivers.builtin import tcp
from pytest_netbench.drivers.builtin.duplex import PREAMBLE_BYTES, Duplex
from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.engine import READ, Checkpoints, Engine, Waits
from pytest_netbench.drivers.builtin.interpreter import beside, compile_operations, run
from pytest_netbench.drivers.builtin.recorder import Recorder
from pytest_netbench.drivers.builtin.thread import MS, Side, Step, Thread
from pytest_netbench.scenario import model as m
from pytest_netbench.telemetry.model import ConnectionReport

_LEFT_TO_KERNEL = 16
"""Up to so many unacknowledged segments are left to the kernel when a connection closes."""

_LINGER_MS = 5000
_LONGEST_LOOK_MS = 50


class Program:
    """A connection of the scenario, prepared: what is done on streams opened here, and on the peer's."""

    def __init__(self, connection: m.Connection) -> None:
        self.ops: tuple[Step, ...] = compile_operations(connection.ops)
        self.peer: tuple[tuple[int, tuple[Step, ...]], ...] = tuple(
            (number, compile_operations(one)) for number, one in enumerate(connection.peer_streams)
        )
        self.sends_first = not connection.peer_streams and _sends_first(connection.ops) is True


def _sends_first(operations: Sequence[Any]) -> bool | None:
    """Whether the first operation that takes part in the conversation, or takes time, is a send; None if none does."""
    for one in _flat(operations):
        match one:
            case m.Send():
                return one.bytes > 0
            case m.OpenBidirectionalStream() | m.OpenSendStream() | m.SendRate() | m.ReceiveRate() | m.Trace():
                continue
            case m.Unpark() | m.SendFinish() | m.ReceiveFinish():
                continue
            case _:
                return False
    return None


def _flat(operations: Sequence[Any]) -> Iterator[Any]:
    for one in operations:
        if isinstance(one, m.Profile | m.Iterate):
            yield from _flat(one.operations)
        else:
            yield one


class Shared(Protocol):
    """What all connections of this process share."""

    engine: Engine
    recorder: Recorder


class Connection:
    """What the threads of one connection share, and its record. ``name``: how messages call it.

    ``addresses``: of the client and of the server. ``retransmits``: segments sent again, known once it has ended.
    """

    __slots__ = (
        "addresses",
        "checkpoints",
        "connect_ns",
        "engine",
        "local",
        "peer",
        "program",
        "recorder",
        "retransmits",
        "server",
        "stream",
        "title",
    )

    def __init__(self, shared: Shared, title: str, server: int, stream: Duplex, checkpoints: Checkpoints) -> None:
        self.engine = shared.engine
        self.recorder = shared.recorder
        self.checkpoints = checkpoints
        self.title = title
        self.server = server
        self.stream = stream
        self.local = Side()
        self.peer = Side()
        self.program: int | None = None
        self.addresses: tuple[tcp.SocketAddress, tcp.SocketAddress] | None = None
        self.connect_ns: int | None = None
        self.retransmits: int | None = None

    def open(self, stream_id: int) -> Duplex:
        """Open a stream from here: in duplex the one that there is."""
        self.stream.number = stream_id
        self.stream.opened_here = True
        return self.stream

    def _accept(self, stream_id: int) -> None:
        """Take the stream that the peer opens: in duplex it is there at once."""
        self.stream.number = stream_id
        self.peer.streams[stream_id] = self.stream

    def failure(self, stream: Duplex, operation: str, reason: str) -> Failed:
        """An error that names this connection, the stream and the operation."""
        return Failed(f"{self.title}, stream {stream.number}, {operation}: {reason}")

    def carry_out(self, thread: Thread, program: Program) -> Waits:
        """Run both sides of a program."""
        self.recorder.open_window()
        if not program.peer:
            return run(thread, program.ops)
        for number, _ in program.peer:
            self._accept(number)
        if program.ops or len(program.peer) > 1:
            return beside(thread, ((self.local, program.ops), *((self.peer, steps) for _, steps in program.peer)))
        thread.side = self.peer
        return run(thread, program.peer[0][1])

    def finish(self, thread: Thread) -> Waits | None:
        """The program is done: close, or stay while much is in flight.

        What has to be sent again meanwhile is still counted then, and no reset takes away what the peer hasn't read.
        """
        self.recorder.close_window()
        return self._linger(thread) if self._in_flight() else None

    def _in_flight(self) -> bool:
        said = tcp.kernel_says(self.stream.socket)
        if said is None:
            return False
        self.retransmits = said.retransmits
        return said.unsent > 0 or said.unacknowledged > _LEFT_TO_KERNEL

    def _linger(self, thread: Thread) -> Waits:
        engine = self.engine
        until = engine.clock() + _LINGER_MS * MS
        look = MS
        while self._in_flight() and engine.clock() < until:
            yield from engine.sleep_until(engine.clock() + look, thread)
            look = min(2 * look, _LONGEST_LOOK_MS * MS)

    def abandon(self) -> None:
        """It ends before its program: only what the kernel counts is still asked for."""
        self._in_flight()

    def report(self) -> ConnectionReport:
        """The record of it."""
        stream, connect_ns = self.stream, self.connect_ns
        return ConnectionReport(
            server=self.server,
            program=self.program,
            key=None if self.addresses is None else ">".join(map(tcp.text, self.addresses)),
            streams=stream.streams(),
            connect_s=None if connect_ns is None else connect_ns / 1e9,
            retransmits=self.retransmits,
            first_byte_ns=stream.first_ns,
            last_byte_ns=stream.last_ns,
        )


def receive_preamble(stream: Duplex, title: str) -> Generator[int, None, int]:
    """Read the peer's first bytes; their number is this generator's value.

    :raises Failed: if it closes before.
    """
    text = b""
    while len(text) < PREAMBLE_BYTES:
        try:
            more = stream.receive_preamble(PREAMBLE_BYTES - len(text))
        except OSError as error:
            raise Failed(f"{title}, its number: {tcp.reason(error)}") from None
        if more is None:
            yield READ
        elif more:
            text += more
        else:
            raise Failed(f"{title}: the peer closed after {len(text)} of the {PREAMBLE_BYTES} bytes of its number")
    return int.from_bytes(text, "big")
