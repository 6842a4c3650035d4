"""What is one connection's life? Its programs beside each other on the streams of a carrier, then a careful end.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import count
from typing import Any

from pytest_netbench.drivers.builtin import tcp
from pytest_netbench.drivers.builtin.carrier import FRESH, LANDING, Carrier, summed
from pytest_netbench.drivers.builtin.duplex import PREAMBLE_BYTES
from pytest_netbench.drivers.builtin.ending import Failed, NoMore
from pytest_netbench.drivers.builtin.engine import PAUSE, READ, Checkpoints, Waits
from pytest_netbench.drivers.builtin.interpreter import beside, compile_operations, run
from pytest_netbench.drivers.builtin.thread import Shared, Side, Step, Stream, Thread
from pytest_netbench.scenario import model as m
from pytest_netbench.telemetry.model import ConnectionReport


class Program:
    """A connection of the scenario, prepared: what is done from the start, and on each stream that the peer opens.

    ``again``: those that it opens afresh. ``exact``: all that the peer sends is received, as no time cuts anything.
    """

    def __init__(self, connection: m.Connection, shared: Shared, again: frozenset[int], *, exact: bool) -> None:
        self.again = again
        self.exact = exact
        self.ops = compile_operations(connection.ops, shared)
        self.peers = tuple(
            (_accept_afresh(number, compile_operations(one, shared)),)
            if number in again
            else (_accept(number), *compile_operations(one, shared))
            for number, one in enumerate(connection.peer_streams)
        )
        self.sends_first = not connection.peer_streams and _sends_first(connection.ops) is True
        self.receives_first = 0
        """So many bytes are received before anything else happens."""
        if len(connection.peer_streams) == 1 and not connection.ops:
            self.receives_first = _receives_first(connection.peer_streams[0])


def _accept(number: int) -> Step:
    def step(thread: Thread) -> Waits | None:
        rest: Waits | None = thread.context.carrier.accept(thread, number)
        return rest

    return step


def _accept_afresh(number: int, steps: Sequence[Step]) -> Step:
    """Run a program on each stream that the peer opens under this number, until it closes."""

    def step(thread: Thread) -> Waits:
        context, running = thread.context, set[Thread]()
        thread.pending = 0

        def one(child: Thread) -> Waits:
            yield from run(child, steps)
            running.discard(child)

        try:
            for stream in count(number, FRESH):
                child = Thread(context, Side(), parent=thread)
                rest = context.carrier.accept(thread, stream)
                if rest is not None:
                    yield from rest
                child.side.streams[number] = thread.side.streams.pop(stream)
                running.add(child)
                context.engine.spawn(child, one(child))
        except NoMore:
            while thread.pending:
                yield PAUSE
        finally:
            for left in running:
                context.engine.cancel(left)

    return step


def programs(
    connections: Sequence[m.Connection], shared: Shared, again: Sequence[frozenset[int]], *, exact: bool
) -> tuple[Program, ...]:
    """The programs of an endpoint; ``again``: of each, the streams that its peers open afresh."""
    reopened = again or [frozenset()] * len(connections)
    return tuple(Program(one, shared, fresh, exact=exact) for one, fresh in zip(connections, reopened, strict=True))


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


def _receives_first(operations: Sequence[Any]) -> int:
    match operations:
        case (m.Receive() as one, *_):
            return one.bytes
        case (m.Profile(_, body) | m.Iterate(m.Count(), body), *_):
            return _receives_first(body)
        case _:
            return 0


def _flat(operations: Sequence[Any]) -> Iterator[Any]:
    for one in operations:
        if isinstance(one, m.Profile | m.Iterate):
            yield from _flat(one.operations)
        else:
            yield one


class Connection:
    """What the threads of one connection share, and its record.

    ``number``: in order of dialling or accepting; ``where``: to or from whom, for messages. ``addresses``: of
    the client and of the server.
    """

    __slots__ = (
        "_checkpoints",
        "_opened",
        "addresses",
        "carrier",
        "connect_ns",
        "early_data",
        "engine",
        "gathering",
        "local",
        "number",
        "open",
        "program",
        "recorder",
        "resumed",
        "server",
        "usable_ns",
        "where",
    )

    def __init__(
        self,
        shared: Shared,
        number: int,
        where: str | tcp.SocketAddress,
        server: int,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.engine = shared.engine
        self.gathering = shared.gathering
        self.recorder = shared.recorder
        self._checkpoints = checkpoints
        self.number = number
        self.where = where
        self.server = server
        self.local = Side()
        self._opened: dict[int, int] | None = None
        self.program: int | None = None
        self.addresses: tuple[tcp.SocketAddress, tcp.SocketAddress] | None = None
        self.connect_ns: int | None = None
        self.usable_ns: int | None = None
        self.resumed: bool | None = None
        self.early_data: bool | None = None

    def adopt(self, carrier: Carrier) -> None:
        """From now on this carries its streams."""
        self.carrier = carrier
        self.open = carrier.open

    @property
    def checkpoints(self) -> Checkpoints:
        """Its own, or all connections'."""
        if self._checkpoints is None:
            self._checkpoints = Checkpoints(self.engine)
        return self._checkpoints

    @property
    def title(self) -> str:
        """How messages call it."""
        where = self.where if isinstance(self.where, str) else f"from {tcp.text(self.where)}"
        return f"connection {self.number} {where}"

    def failure(self, stream: Stream, operation: str, reason: str) -> Failed:
        """An error that names this connection, the stream and the operation."""
        number = None if stream.number is None else stream.number % FRESH
        return Failed(f"{self.title}, stream {number}, {operation}: {reason}")

    def another(self, number: int) -> int:
        """The number of one more stream that is opened afresh under this one."""
        if self._opened is None:
            self._opened = {}
        self._opened[number] = times = self._opened.get(number, -1) + 1
        return times * FRESH + number

    def carry_out(self, thread: Thread, program: Program) -> Waits:
        """Run a program: its own operations beside those on the streams that the peer opens."""
        self.recorder.open_window()
        self.carrier.begin(thread, len(program.peers), program.again)
        if not program.peers:
            return run(thread, program.ops)
        if len(program.peers) == 1 and not program.ops:
            return run(thread, program.peers[0])
        peer = Side()
        own = ((self.local, program.ops),) if program.ops else ()
        return beside(thread, (*own, *((peer, one) for one in program.peers)))

    def finish(self, thread: Thread, program: Program) -> Waits | None:
        """The program is done: let the carrier come to its end.

        :raises Failed: if the peer has sent more than the program receives.
        """
        if self.recorder.close_window():
            self.engine.resting = self.recorder.rest
        rest = self.carrier.end(thread, program.exact)
        if not program.exact:
            return rest
        if rest is not None:
            return self._finish_exactly(rest)
        self._check_rest()
        return None

    def _finish_exactly(self, rest: Waits) -> Waits:
        yield from rest
        self._check_rest()

    def _check_rest(self) -> None:
        if (left := self.carrier.left()) is not None:
            stream, size = left
            why = f"the peer has sent {size:,} bytes more than are received"
            raise Failed(f"{self.title}, stream {stream % FRESH}, end: {why}")

    def report(self) -> ConnectionReport:
        """The record of it."""
        carrier, connect_ns = self.carrier, self.connect_ns
        return ConnectionReport(
            server=self.server,
            program=self.program,
            key=None if self.addresses is None else ">".join(map(tcp.text, self.addresses)),
            streams=summed(carrier.streams()),
            connect_s=None if connect_ns is None else connect_ns / 1e9,
            retransmits=carrier.retransmits,
            first_byte_ns=carrier.first_ns,
            last_byte_ns=carrier.last_ns,
            usable_ns=self.usable_ns,
            resumed=self.resumed,
            early_data=self.early_data,
            busy_us=carrier.busy_us,
            datagrams=None if carrier.datagrams is None else (carrier.datagrams.sent, carrier.datagrams.arrived),
        )


def receive_preamble(connection: Connection, ahead: int = 0) -> Generator[int, None, int]:
    """Read the peer's first bytes; their number is this generator's value.

    ``ahead``: so many bytes of payload may be taken with them, which saves a call of the kernel.

    :raises Failed: if it closes before.
    """
    carrier: Any = connection.carrier
    got = b""
    while len(got) < PREAMBLE_BYTES:
        try:
            came = carrier.raw(LANDING[: PREAMBLE_BYTES - len(got) + ahead])
        except BlockingIOError:
            yield READ
            continue
        except OSError as error:
            raise Failed(f"{connection.title}, its number: {tcp.reason(error)}") from None
        if not came:
            raise Failed(
                f"{connection.title}: the peer closed after {len(got)} of {PREAMBLE_BYTES} bytes of its number"
            )
        got += LANDING[:came]
    if len(got) > PREAMBLE_BYTES:
        carrier.ahead(len(got) - PREAMBLE_BYTES)
    return int.from_bytes(got[:PREAMBLE_BYTES], "big")
