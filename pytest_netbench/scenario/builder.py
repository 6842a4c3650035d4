"""How is a scenario written by hand? Servers, clients, connections and streams, each side's program where it is used.

    b = build("warm, then measured")
    server, client = b.server(), b.client()
    with client.connect(server) as connection, connection.stream() as (near, far):
        near.send(1 * KB)
        far.receive(1 * KB)
        with near.profile("response"), far.profile("response"):
            far.send(10 * MB)
            near.receive(10 * MB)
    scenario = b.finish()

``near`` is the client's program on the stream, ``far`` the server's. Whatever a real driver is known to hang on is
refused by ``finish()``, with the place and the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pytest_netbench.errors import UsageError
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.identity import own_id


def milliseconds(seconds: float, what: str) -> int:
    """Seconds as the format's whole milliseconds.

    :raises UsageError: below one millisecond, which the format would cut to nothing.
    """
    found = round(seconds * 1000)
    if found < 1:
        raise UsageError(f"{what}: {seconds} s is less than the millisecond that a scenario can say")
    return found


class Program:
    """The operations of one side, in their order. Sizes in bytes, times in seconds."""

    def __init__(self, builder: Builder, stream: int = 0) -> None:
        self._builder, self._stream = builder, stream
        self._lists: list[list[Any]] = [[]]

    @property
    def operations(self) -> tuple[m.ConnectionOp, ...]:
        """What was written so far."""
        return tuple(self._lists[0])

    def add(self, operation: m.ConnectionOp) -> None:
        """Add any operation of the language."""
        self._lists[-1].append(operation)

    def send(self, size: int) -> None:
        """Send exactly so many bytes."""
        self.add(m.Send(self._stream, _positive(size, "send")))

    def receive(self, size: int) -> None:
        """Receive exactly so many bytes."""
        self.add(m.Receive(self._stream, _positive(size, "receive")))

    def send_rate(self, size: int, period: float = 1.0) -> None:
        """Send at most so many bytes a period, from the next send on."""
        self.add(m.SendRate(self._stream, size, milliseconds(period, "send_rate")))

    def receive_rate(self, size: int, period: float = 1.0) -> None:
        """Receive at most so many bytes a period, from the next receive on."""
        self.add(m.ReceiveRate(self._stream, size, milliseconds(period, "receive_rate")))

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while."""
        self.add(m.Sleep(milliseconds(seconds, "sleep")))

    def park(self, checkpoint: int) -> None:
        """Wait for a checkpoint of ``build().checkpoint()``."""
        self.add(m.Park(checkpoint))

    def unpark(self, checkpoint: int) -> None:
        """Let whoever waits for it go on."""
        self.add(m.Unpark(checkpoint))

    def trace(self, name: str) -> None:
        """Note that this point was reached."""
        self.add(m.Trace(self._builder.trace_id(name)))

    @contextmanager
    def profile(self, name: str) -> Iterator[None]:
        """Time what is written inside, as one sample of that name."""
        trace = self._builder.trace_id(name)
        with self._nested() as inside:
            yield
        if inside:
            self.add(m.Profile(trace, tuple(inside)))

    @contextmanager
    def iterate(self, *, count: int = 0, time: float = 0.0, trace: str = "") -> Iterator[None]:
        """Repeat what is written inside: so many times, or for so long; each time is a sample if ``trace`` names one.

        :raises UsageError: unless exactly one of count and time is given.
        """
        if (count > 0) == (time > 0):
            raise UsageError("iterate() needs count= or time=, above zero")
        value = m.Count(count) if count else m.Time(milliseconds(time, "iterate"))
        number = self._builder.trace_id(trace) if trace else None
        with self._nested() as inside:
            yield
        if len(inside) == 1 and isinstance(inside[0], m.Profile) and number is None:
            number, inside = inside[0].trace_id, list(inside[0].operations)
        if inside:
            self.add(m.Iterate(value, tuple(inside), number))

    @contextmanager
    def scope(self) -> Iterator[Threads]:
        """Lists of operations beside each other: ``with program.scope() as threads: with threads.thread(): ...``."""
        threads = Threads(self)
        yield threads
        made = tuple(tuple(one) for one in threads.lists)
        if len(made) == 1:
            self._lists[-1].extend(made[0])
        elif made:
            self.add(m.Scope(made))

    @contextmanager
    def _nested(self) -> Iterator[list[Any]]:
        inside: list[Any] = []
        self._lists.append(inside)
        try:
            yield inside
        finally:
            self._lists.pop()


class Threads:
    """The threads of a scope."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.lists: list[list[Any]] = []

    @contextmanager
    def thread(self) -> Iterator[None]:
        """What is written inside is one thread."""
        with self._program._nested() as inside:  # noqa: SLF001  the other half of scope()
            yield
        self.lists.append(inside)


class ConnectionBuilder:
    """Both ends of one connection."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self.client = Program(builder)
        self.peer_streams: list[tuple[m.ConnectionOp, ...]] = []

    @contextmanager
    def stream(self) -> Iterator[tuple[Program, Program]]:
        """A stream that both sides may send on, opened by the client; yields its program and the server's."""
        number = len(self.peer_streams)
        near, far = Program(self._builder, number), Program(self._builder, number)
        self.peer_streams.append(())
        yield near, far
        closing = (m.SendFinish(number), m.ReceiveFinish(number))
        for one in (m.OpenBidirectionalStream(number), *near.operations, *closing):
            self.client.add(one)
        self.peer_streams[number] = (*far.operations, *closing)


class ServerBuilder:
    """A server; equal connections are kept once."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.connections: list[m.Connection] = []


class ClientBuilder:
    """A client; what it does is done in the order in which it is written."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self.connections: list[m.Connection] = []
        self._lists: list[list[Any]] = [[]]

    @property
    def scenario(self) -> tuple[m.ClientOp, ...]:
        """What was written so far."""
        return tuple(self._lists[0])

    @contextmanager
    def connect(self, server: ServerBuilder) -> Iterator[ConnectionBuilder]:
        """Dial a server; the connection closes when both programs have ended."""
        made = ConnectionBuilder(self._builder)
        yield made
        near, far = m.Connection(ops=made.client.operations), m.Connection(peer_streams=tuple(made.peer_streams))
        self._lists[-1].append(m.Connect(server.index, _once(server.connections, far), _once(self.connections, near)))

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while."""
        self._lists[-1].append(m.ClientSleep(milliseconds(seconds, "sleep")))

    def park(self, checkpoint: int) -> None:
        """Wait for a checkpoint."""
        self._lists[-1].append(m.Park(checkpoint))

    def unpark(self, checkpoint: int) -> None:
        """Let whoever waits for it go on."""
        self._lists[-1].append(m.Unpark(checkpoint))

    @contextmanager
    def scope(self) -> Iterator[ClientThreads]:
        """Dial beside each other: ``with client.scope() as threads: with threads.thread(): ...``."""
        threads = ClientThreads(self)
        yield threads
        made = tuple(tuple(one) for one in threads.lists)
        if len(made) == 1:
            self._lists[-1].extend(made[0])
        elif made:
            self._lists[-1].append(m.ClientScope(made))


class ClientThreads:
    """The threads of a client's scope."""

    def __init__(self, client: ClientBuilder) -> None:
        self._client = client
        self.lists: list[list[Any]] = []

    @contextmanager
    def thread(self) -> Iterator[None]:
        """What is written inside is one thread."""
        lists = self._client._lists  # noqa: SLF001  the other half of scope()
        lists.append([])
        try:
            yield
        finally:
            self.lists.append(lists.pop())


class Builder:
    """A scenario that is being written; see the head of this file."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._servers: list[ServerBuilder] = []
        self._clients: list[ClientBuilder] = []
        self._traces: list[str] = []
        self._checkpoints = 0

    def server(self) -> ServerBuilder:
        """One more server."""
        self._servers.append(ServerBuilder(len(self._servers)))
        return self._servers[-1]

    def client(self) -> ClientBuilder:
        """One more client."""
        self._clients.append(ClientBuilder(self))
        return self._clients[-1]

    def checkpoint(self) -> int:
        """A new checkpoint, to park at and to unpark."""
        self._checkpoints += 1
        return self._checkpoints - 1

    def trace_id(self, name: str) -> int:
        """The number of a trace, in the order of first use."""
        return _once(self._traces, name)

    def scenario(self) -> m.Scenario:
        """What was written so far, without an id, unchecked."""
        return m.Scenario(
            id="",
            clients=tuple(
                m.Client(one.scenario, tuple(one.connections), certificate_authorities=(0,) if one.connections else ())
                for one in self._clients
            ),
            servers=tuple(m.Server(tuple(one.connections)) for one in self._servers),
            traces=tuple(self._traces),
            title=self._title,
        )

    def finish(self) -> m.Scenario:
        """The scenario, with an id of its own.

        :raises UsageError: if a real driver would hang on it or fail; names the place and the reason.
        """
        made = self.scenario()
        found = analyse(made).findings
        if found:
            raise UsageError(f"scenario {self._title!r}: {found[0].path}: {found[0].why}")
        return replace(made, id=own_id(made))


def build(title: str) -> Builder:
    """Begin a scenario; ``title`` is the name under which it is shown."""
    return Builder(title)


def _once(known: list[Any], one: object) -> int:
    if one not in known:
        known.append(one)
    return known.index(one)


def _positive(size: int, what: str) -> int:
    if type(size) is not int or size < 1:
        raise UsageError(f"{what}: expected a whole number of bytes above zero, found {size!r}")
    return size
