"""What is one connection's life? Its two programs beside each other on a duplex stream, then a careful end.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from pytest_netbench.drivers.builtin import tcp
from pytest_netbench.drivers.builtin.duplex import Duplex
from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.engine import READ, Checkpoints, Engine, Waits
from pytest_netbench.drivers.builtin.interpreter import beside, compile_operations, run
from pytest_netbench.drivers.builtin.poller import EpollPoller
from pytest_netbench.drivers.builtin.recorder import Recorder
from pytest_netbench.drivers.builtin.thread import MS, Side, Step, Thread
from pytest_netbench.scenario import model as m
from pytest_netbench.telemetry.model import ConnectionReport

_IN_FLIGHT = 16
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


class Connection:
    """What the threads of one connection share, and its record. ``name``: how messages call it."""

    __slots__ = (
        "checkpoints",
        "connect_s",
        "engine",
        "key",
        "local",
        "name",
        "peer",
        "poller",
        "program",
        "recorder",
        "server",
        "stream",
    )

    def __init__(
        self,
        name: str,
        server: int,
        *,
        engine: Engine,
        poller: EpollPoller,
        recorder: Recorder,
        checkpoints: Checkpoints,
    ) -> None:
        self.name = name
        self.server = server
        self.engine = engine
        self.poller = poller
        self.recorder = recorder
        self.checkpoints = checkpoints
        self.local = Side()
        self.peer = Side()
        self.program: int | None = None
        self.key: str | None = None
        self.connect_s: float | None = None
        self.stream: Duplex

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
        return Failed(f"{self.name}, stream {stream.number}, {operation}: {reason}")

    def carry_out(self, thread: Thread, program: Program) -> Waits:
        """Run both sides of a program, then see to what is still under way."""
        self.recorder.open_window()
        if not program.peer:
            yield from run(thread, program.ops)
        else:
            for number, _ in program.peer:
                self._accept(number)
            if program.ops or len(program.peer) > 1:
                yield from beside(
                    thread, ((self.local, program.ops), *((self.peer, steps) for _, steps in program.peer))
                )
            else:
                thread.side = self.peer
                yield from run(thread, program.peer[0][1])
        self.recorder.close_window()
        yield from self._linger(thread)

    def _linger(self, thread: Thread) -> Waits:
        """Stay while much is in flight: what has to be sent again then is still counted, and a reset harms nothing."""
        engine, stream = self.engine, self.stream
        until = engine.clock() + _LINGER_MS * MS
        for attempt in itertools.count():
            said = stream.kernel_says()
            if said is None or (not said.unsent and said.unacknowledged <= _IN_FLIGHT) or engine.clock() >= until:
                return
            wait = min(1 << min(attempt, 10), _LONGEST_LOOK_MS) * MS
            yield from engine.sleep_until(engine.clock() + wait, thread)

    def close(self) -> None:
        """Close and record the connection."""
        stream = self.stream
        said = stream.kernel_says()
        self.poller.closed(stream)
        stream.socket.close()
        self.recorder.connections.append(
            ConnectionReport(
                server=self.server,
                program=self.program,
                key=self.key,
                streams=stream.streams(),
                connect_s=self.connect_s,
                retransmits=None if said is None else said.retransmits,
                first_byte_ns=stream.first_ns,
                last_byte_ns=stream.last_ns,
            )
        )


def receive_preamble(stream: Duplex, size: int) -> Generator[int, None, int]:
    """Read the peer's first bytes; their number is this generator's value.

    :raises Failed: if it closes before.
    """
    text = b""
    while len(text) < size:
        try:
            more = stream.receive_preamble(size - len(text))
        except OSError as error:
            raise Failed(f"its number of {size} bytes: {tcp.reason(error)}") from None
        if more is None:
            yield READ
        elif more:
            text += more
        else:
            raise Failed(f"the peer closed after {len(text)} of the {size} bytes of its number")
    return int.from_bytes(text, "big")
