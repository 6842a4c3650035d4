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
refused by ``finish()``, with the place and the reason. What the real drivers don't have at all (``repeat``,
``schedule``, ``hold``, ``fresh``, ``resume``, ``early_data``) makes a scenario for those that do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pytest_netbench.errors import UsageError
from pytest_netbench.scenario import extensions as x
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.extension_rules import check_extensions
from pytest_netbench.scenario.identity import own_id


def milliseconds(seconds: float, what: str) -> int:
    """Seconds as the format's whole milliseconds.

    :raises UsageError: below one millisecond, which the format would cut to nothing.
    """
    found = round(seconds * 1000)
    if found < 1:
        raise UsageError(f"{what}: {seconds} s is less than the millisecond that a scenario can say")
    return found


class _Written:
    """Operations in their order, and the lists inside that are being written; what programs and clients both have."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._lists: list[list[Any]] = [[]]

    def add(self, operation: m.ConnectionOp | m.ClientOp) -> None:
        """Add any operation of the language."""
        self._lists[-1].append(operation)

    def park(self, checkpoint: int) -> None:
        """Wait for a checkpoint of ``build().checkpoint()``."""
        self.add(m.Park(checkpoint))

    def unpark(self, checkpoint: int) -> None:
        """Let whoever waits for it go on."""
        self.add(m.Unpark(checkpoint))

    @contextmanager
    def schedule(self, arrivals: x.Arrivals, count: int, trace: str) -> Iterator[None]:
        """Begin what is written inside so many times, as they arrive; a sample runs from the intended instant on."""
        number = self._builder.trace_id(trace)
        with self._nested() as inside:
            yield
        self.add(x.Schedule(arrivals, _positive(count, "schedule"), tuple(inside), number))

    @contextmanager
    def _nested(self) -> Iterator[list[Any]]:
        inside: list[Any] = []
        self._lists.append(inside)
        try:
            yield inside
        finally:
            self._lists.pop()


class Program(_Written):
    """The operations of one side, in their order. Sizes in bytes, times in seconds."""

    def __init__(self, builder: Builder, stream: int = 0) -> None:
        super().__init__(builder)
        self._stream = stream

    @property
    def operations(self) -> tuple[m.ConnectionOp, ...]:
        """What was written so far."""
        return tuple(self._lists[0])

    def send(self, size: int) -> None:
        """Send exactly so many bytes."""
        self.add(m.Send(self._stream, _positive(size, "send", " of bytes")))

    def receive(self, size: int) -> None:
        """Receive exactly so many bytes."""
        self.add(m.Receive(self._stream, _positive(size, "receive", " of bytes")))

    def receive_all(self) -> None:
        """Receive until the other side finishes."""
        self.add(m.ReceiveAll(self._stream))

    def send_rate(self, size: int, period: float = 1.0) -> None:
        """Send at most so many bytes a period, from the next send on."""
        self.add(m.SendRate(self._stream, size, milliseconds(period, "send_rate")))

    def receive_rate(self, size: int, period: float = 1.0) -> None:
        """Receive at most so many bytes a period, from the next receive on."""
        self.add(m.ReceiveRate(self._stream, size, milliseconds(period, "receive_rate")))

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while."""
        self.add(m.Sleep(milliseconds(seconds, "sleep")))

    def hold(self, seconds: float, connections: int) -> None:
        """Wait until so many connections of this process are here, then for a while: idle, all open."""
        self.add(m.Sleep(milliseconds(seconds, "hold"), _positive(connections, "hold")))

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
        value = _repetition("iterate", count, time)
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
    def stream(self, *, fresh: bool = False) -> Iterator[tuple[Program, Program]]:
        """A stream that both sides may send on, opened by the client; yields its program and the server's.

        ``fresh``: another stream each time that a loop around it comes here.
        """
        number = len(self.peer_streams)
        near, far = Program(self._builder, number), Program(self._builder, number)
        self.peer_streams.append(())
        yield near, far
        closing = (m.SendFinish(number), m.ReceiveFinish(number))
        for one in (m.OpenBidirectionalStream(number, fresh), *near.operations, *closing):
            self.client.add(one)
        self.peer_streams[number] = (*far.operations, *closing)


class ServerBuilder:
    """A server; equal connections are kept once."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.connections: list[m.Connection] = []


class ClientBuilder(_Written):
    """A client; what it does is done in the order in which it is written."""

    def __init__(self, builder: Builder) -> None:
        super().__init__(builder)
        self.connections: list[m.Connection] = []

    @property
    def scenario(self) -> tuple[m.ClientOp, ...]:
        """What was written so far."""
        return tuple(self._lists[0])

    @contextmanager
    def connect(
        self, server: ServerBuilder, *, resume: bool = False, early_data: bool = False
    ) -> Iterator[ConnectionBuilder]:
        """Dial a server; the connection closes when both programs have ended.

        ``resume``: with the session of an earlier connection to it; ``early_data``: what is sent first goes with the
        handshake.
        """
        made = ConnectionBuilder(self._builder)
        yield made
        near, far = m.Connection(ops=made.client.operations), m.Connection(peer_streams=tuple(made.peer_streams))
        theirs, ours = _once(server.connections, far), _once(self.connections, near)
        self.add(m.Connect(server.index, theirs, ours, None, resume, early_data))

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while."""
        self.add(m.ClientSleep(milliseconds(seconds, "sleep")))

    @contextmanager
    def repeat(self, *, count: int = 0, time: float = 0.0) -> Iterator[None]:
        """Repeat what is written inside: so many times, or until a time is over.

        :raises UsageError: unless exactly one of count and time is given.
        """
        value = _repetition("repeat", count, time)
        with self._nested() as inside:
            yield
        self.add(x.Repeat(value, tuple(inside)))

    @contextmanager
    def scope(self) -> Iterator[ClientThreads]:
        """Dial beside each other: ``with client.scope() as threads: with threads.thread(): ...``."""
        threads = ClientThreads(self)
        yield threads
        made = tuple(tuple(one) for one in threads.lists)
        if len(made) == 1:
            self._lists[-1].extend(made[0])
        elif made:
            self.add(m.ClientScope(made))


class ClientThreads:
    """The threads of a client's scope."""

    def __init__(self, client: ClientBuilder) -> None:
        self._client = client
        self.lists: list[list[Any]] = []

    @contextmanager
    def thread(self) -> Iterator[None]:
        """What is written inside is one thread."""
        with self._client._nested() as inside:  # noqa: SLF001  the other half of scope()
            yield
        self.lists.append(inside)


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
        :raises ScenarioError: if what extends the language makes no sense; names the element.
        """
        made = self.scenario()
        check_extensions(made)
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


def _repetition(what: str, count: int, time: float) -> m.Count | m.Time:
    if (count > 0) == (time > 0):
        raise UsageError(f"{what}() needs count= or time=, above zero")
    return m.Count(_positive(count, what)) if count else m.Time(milliseconds(time, what))


def _positive(number: int, what: str, unit: str = "") -> int:
    if type(number) is not int or number < 1:
        raise UsageError(f"{what}: expected a whole number{unit} above zero, found {number!r}")
    return number
