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
from pytest_netbench.drivers.builtin.thread import MS, Side, Thread
from pytest_netbench.scenario import model as m
from pytest_netbench.telemetry.model import ConnectionReport

_LEFT_TO_KERNEL = 16
"""Up to so many unacknowledged segments are left to the kernel when a connection closes."""

_LINGER_MS = 5000
_LONGEST_LOOK_MS = 50


class Program:
    """A connection of the scenario, prepared: what is done from the start, and on the stream that the peer opens."""

    def __init__(self, connection: m.Connection) -> None:
        self.ops = compile_operations(connection.ops)
        self.peer = compile_operations(connection.peer_streams[0]) if connection.peer_streams else None
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
    """What the threads of one connection share, and its record.

    ``number``: in order of dialling or accepting; ``where``: to or from whom, for messages. ``addresses``: of
    the client and of the server. ``retransmits``: segments sent again, known once it has ended.
    """

    __slots__ = (
        "addresses",
        "checkpoints",
        "connect_ns",
        "engine",
        "local",
        "number",
        "peer",
        "program",
        "recorder",
        "retransmits",
        "server",
        "stream",
        "where",
    )

    def __init__(
        self,
        shared: Shared,
        number: int,
        where: str | tcp.SocketAddress,
        server: int,
        stream: Duplex,
        checkpoints: Checkpoints,
    ) -> None:
        self.engine = shared.engine
        self.recorder = shared.recorder
        self.checkpoints = checkpoints
        self.number = number
        self.where = where
        self.server = server
        self.stream = stream
        self.local = Side()
        self.peer: Side | None = None
        self.program: int | None = None
        self.addresses: tuple[tcp.SocketAddress, tcp.SocketAddress] | None = None
        self.connect_ns: int | None = None
        self.retransmits: int | None = None

    @property
    def title(self) -> str:
        """How messages call it."""
        where = self.where if isinstance(self.where, str) else f"from {tcp.text(self.where)}"
        return f"connection {self.number} {where}"

    def open(self, stream_id: int) -> Duplex:
        """Open a stream from here: in duplex the one that there is."""
        self.stream.number = stream_id
        self.stream.opened_here = True
        return self.stream

    def _accept(self) -> Side:
        """Take the stream that the peer opens: in duplex it is there at once, whatever its number."""
        self.stream.number = 0
        self.peer = Side()
        self.peer.streams[0] = self.stream
        return self.peer

    def failure(self, stream: Duplex, operation: str, reason: str) -> Failed:
        """An error that names this connection, the stream and the operation."""
        return Failed(f"{self.title}, stream {stream.number}, {operation}: {reason}")

    def carry_out(self, thread: Thread, program: Program) -> Waits:
        """Run both sides of a program."""
        self.recorder.open_window()
        if program.peer is None:
            return run(thread, program.ops)
        peer = self._accept()
        if program.ops:
            return beside(thread, ((self.local, program.ops), (peer, program.peer)))
        thread.side = peer
        return run(thread, program.peer)

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
        unacknowledged, self.retransmits, unsent = said
        return unsent > 0 or unacknowledged > _LEFT_TO_KERNEL

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


def receive_preamble(connection: Connection) -> Generator[int, None, int]:
    """Read the peer's first bytes; their number is this generator's value.

    :raises Failed: if it closes before.
    """
    text, stream = b"", connection.stream
    while len(text) < PREAMBLE_BYTES:
        try:
            more = stream.receive_preamble(PREAMBLE_BYTES - len(text))
        except OSError as error:
            raise Failed(f"{connection.title}, its number: {tcp.reason(error)}") from None
        if more is None:
            yield READ
        elif more:
            text += more
        else:
            raise Failed(
                f"{connection.title}: the peer closed after {len(text)} of {PREAMBLE_BYTES} bytes of its number"
            )
    return int.from_bytes(text, "big")
