"""Which scenarios are ready-made? The real generator's three, and those that transport people ask for most.

``connect``, ``ping`` and ``request_response`` have the operations and the ids of the real generator's files.
``handshakes``, ``requests``, ``open_loop`` and ``idle`` say what netbench's own language can't: drivers must have it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from pytest_netbench.errors import UsageError
from pytest_netbench.scenario.builder import (
    Builder,
    ClientBuilder,
    ConnectionBuilder,
    Program,
    ServerBuilder,
    build,
    milliseconds,
)
from pytest_netbench.scenario.extensions import Fixed, Poisson
from pytest_netbench.scenario.identity import real_id
from pytest_netbench.scenario.model import Iterate, Receive, ReceiveRate, Scenario, Send, SendRate, Sleep, Time
from pytest_netbench.scenario.transfers import bidi, download, fan_in, fan_out, how_many, upload
from pytest_netbench.units import KB, MB, bytes_label

__all__ = [
    "CATALOG",
    "bidi",
    "connect",
    "download",
    "fan_in",
    "fan_out",
    "handshakes",
    "idle",
    "open_loop",
    "ping",
    "request_response",
    "requests",
    "upload",
]

Rate: TypeAlias = "float | tuple[int, float] | None"
"""Bytes per second; or bytes, and the seconds in which that many may pass; or no limit."""


def connect(connections: int = 1000) -> Scenario:
    """One connection after another, each with one byte there and back."""
    b = build("connect")
    server, client = b.server(), b.client()
    for _ in range(how_many("connections", connections, least=0)):
        with client.connect(server) as connection, connection.stream() as (near, far):
            near.send(1)
            near.receive(1)
            far.receive(1)
            far.send(1)
    return _real(b)


def ping(
    connections: int = 1,
    streams: int = 1,
    time: float = 15.0,
    size: Sequence[int] = (1 * KB, 10 * KB, 100 * KB, 1 * MB),
) -> Scenario:
    """Messages there and back for a time (seconds), with each size (bytes) in turn; traces ``ping 1KB`` and so on."""
    b = build("ping")
    server, client = b.server(), b.client()
    for one in size:
        with client.scope() as threads:
            for _ in range(how_many("connections", connections)):
                with threads.thread(), client.connect(server) as connection:
                    _pings(b, connection, streams, milliseconds(time, "time"), one)
    return _real(b)


def _pings(b: Builder, connection: ConnectionBuilder, streams: int, time_ms: int, size: int) -> None:
    label = bytes_label(size)
    with connection.client.scope() as threads:
        for number in range(how_many("streams", streams)):
            with threads.thread(), connection.stream() as (near, far):
                there, back = Send(number, size), Receive(number, size)
                near.add(Iterate(Time(time_ms), (there, back), b.trace_id(f"ping {label}")))
                far.add(Iterate(Time(time_ms), (back, there), b.trace_id(f"pong {label}")))


def request_response(
    request: int = 1 * KB,
    response: int = 10 * MB,
    *,
    delay: float = 0.0,
    unblock: int = 0,
    count: int = 1,
    connections: int = 1,
    servers: int = 1,
    parallel: bool = False,
    client_send_rate: Rate = None,
    client_receive_rate: Rate = None,
    server_send_rate: Rate = None,
    server_receive_rate: Rate = None,
) -> Scenario:
    """Requests and responses (bytes); traces ``request`` and ``response``, both within ``lbl``.

    ``count`` requests on each connection, one after another or, with ``parallel``, each on its own stream at once, the
    next beginning when ``unblock`` bytes of the response are here; ``connections`` to each of ``servers`` servers, one
    after another; the server waits ``delay`` seconds before it answers.
    """
    rates = {
        "near": (client_send_rate, client_receive_rate),
        "far": (server_send_rate, server_receive_rate),
    }
    b = build("request_response")
    served, client = [b.server() for _ in range(how_many("servers", servers, least=0))], b.client()
    with client.scope() as threads:
        for server in served:
            with threads.thread():
                for _ in range(how_many("connections", connections)):
                    with client.connect(server) as connection:
                        exchange = _Exchange(b, request, response, delay, min(unblock, response), rates)
                        exchange.run(connection, how_many("count", count), parallel=parallel)
    return _real(b)


class _Exchange:
    """The requests of one connection, as the real generator writes them."""

    def __init__(
        self,
        b: Builder,
        request: int,
        response: int,
        delay: float,
        unblock: int,
        rates: Mapping[str, tuple[Rate, Rate]],
    ) -> None:
        self._b, self._request, self._response = b, request, response
        self._delay, self._unblock, self._rates = delay, unblock, rates
        self._before: int | None = None

    def run(self, connection: ConnectionBuilder, count: int, *, parallel: bool) -> None:
        if not parallel:
            for _ in range(count):
                self._one(connection, parks=False)
            return
        with connection.client.scope() as threads:
            for _ in range(count):
                with threads.thread():
                    self._one(connection, parks=True)

    def _one(self, connection: ConnectionBuilder, *, parks: bool) -> None:
        checkpoint = self._b.checkpoint()
        if parks and self._unblock and self._before is not None:
            connection.client.park(self._before)
        self._before = checkpoint
        stream = len(connection.peer_streams)
        with connection.stream() as (near, far):
            with near.profile("lbl"):
                self._limit(near, stream, "near")
                with near.profile("request"):
                    near.add(Send(stream, self._request))
                with near.profile("response"):
                    self._receive(near, stream, checkpoint)
            with far.profile("lbl"):
                self._limit(far, stream, "far")
                with far.profile("request"):
                    far.add(Receive(stream, self._request))
                if self._delay:
                    far.add(Sleep(milliseconds(self._delay, "delay")))
                with far.profile("response"):
                    far.add(Send(stream, self._response))

    def _limit(self, program: Program, stream: int, side: str) -> None:
        kinds: tuple[type[SendRate | ReceiveRate], ...] = (SendRate, ReceiveRate)
        for kind, rate in zip(kinds, self._rates[side], strict=True):
            if rate is not None:
                size, period = rate if isinstance(rate, tuple) else (round(rate), 1.0)
                program.add(kind(stream, size, milliseconds(period, "rate")))

    def _receive(self, program: Program, stream: int, checkpoint: int) -> None:
        if not self._unblock:
            program.add(Receive(stream, self._response))
            return
        program.add(Receive(stream, self._unblock))
        program.unpark(checkpoint)
        program.add(Receive(stream, self._response - self._unblock))


def handshakes(
    seconds: float = 1.0, *, connections: int = 1, resume: bool = False, early_data: bool = False
) -> Scenario:
    """Dial again and again for a time, ``connections`` at once, one byte each way: ``connect.rate`` a second.

    ``resume``: each goes on with the session of the one before; ``early_data``: the byte goes with the handshake.
    """
    b = build("handshakes")
    server, client = b.server(), b.client()
    with client.scope() as threads:
        for _ in range(how_many("connections", connections)):
            with threads.thread():
                if resume or early_data:
                    _greet(client, server)
                with client.repeat(time=seconds):
                    _greet(client, server, resume=resume or early_data, early_data=early_data)
    return b.finish()


def _greet(client: ClientBuilder, server: ServerBuilder, *, resume: bool = False, early_data: bool = False) -> None:
    with client.connect(server, resume=resume, early_data=early_data) as connection, connection.stream() as (near, far):
        _ask(near, far, 1, 1)


def requests(
    request: int = 1 * KB, response: int = 4 * KB, seconds: float = 1.0, *, connections: int = 1, parallel: int = 1
) -> Scenario:
    """Requests for a time, each on a stream of its own: trace ``request``, and ``request.rate`` requests a second.

    ``parallel`` at once on each of ``connections`` connections, each followed by the next.
    """
    b = build("requests")
    server, client = b.server(), b.client()
    with client.scope() as dials:
        for _ in range(how_many("connections", connections)):
            with dials.thread(), client.connect(server) as connection, connection.client.scope() as threads:
                for _ in range(how_many("parallel", parallel)):
                    again = connection.client.iterate(time=seconds, trace="request")
                    with threads.thread(), again, connection.stream(fresh=True) as (near, far):
                        _ask(near, far, request, response)
    return b.finish()


def _ask(near: Program, far: Program, request: int, response: int) -> None:
    near.send(request)
    near.receive(response)
    far.receive(request)
    far.send(response)


def open_loop(
    rate: int = 1000,
    request: int = 1 * KB,
    response: int = 1 * KB,
    seconds: float = 1.0,
    *,
    connections: int = 1,
    poisson: bool = False,
    seed: int = 0,
    fresh: bool = False,
) -> Scenario:
    """So many requests a second for a time, whether answered or not: trace ``request`` from the intended instant on.

    They are spread evenly over the connections, at equal distances or, with ``poisson``, independent of each other. On
    one stream a request waits for the one before; with ``fresh`` each has a stream of its own, beside the others.
    """
    b = build("open_loop")
    server, client = b.server(), b.client()
    amount, period = how_many("rate", rate), 1000 * how_many("connections", connections)
    arrivals = Poisson(amount, period, how_many("seed", seed, least=0)) if poisson else Fixed(amount, period)
    if not seconds > 0:
        raise UsageError(f"seconds: expected more than 0, found {seconds!r}")
    count = max(round(rate * seconds / connections), 1)
    with client.scope() as dials:
        for _ in range(connections):
            with dials.thread(), client.connect(server) as connection:
                if fresh:
                    again = connection.client.schedule(arrivals, count, "request")
                    with again, connection.stream(fresh=True) as (near, far):
                        _ask(near, far, request, response)
                else:
                    with connection.stream() as (near, far):
                        with near.schedule(arrivals, count, "request"):
                            near.send(request)
                            near.receive(response)
                        with far.iterate(count=count):
                            far.receive(request)
                            far.send(response)
    return b.finish()


_WAVE, _PAUSE = 1000, 0.05
"""So many dials at once, then so many seconds until the next: no queue of connections at a server is longer."""


def idle(connections: int = 1000, seconds: float = 0.2) -> Scenario:
    """So many connections, all open and idle for a time: ``client.memory_per_connection`` and the server's."""
    b = build("idle")
    server, client = b.server(), b.client()
    with client.scope() as threads:
        for number in range(how_many("connections", connections)):
            with threads.thread():
                if number >= _WAVE:
                    client.sleep(number // _WAVE * _PAUSE)
                with client.connect(server) as connection, connection.stream() as (near, far):
                    _ask(near, far, 1, 1)
                    near.hold(seconds, connections)
                    far.receive_all()
    return b.finish()


def _real(b: Builder) -> Scenario:
    made = b.scenario()
    return replace(made, id=real_id(made))


CATALOG: Mapping[str, Callable[..., Scenario]] = {
    one.__name__: one
    for one in (
        connect,
        ping,
        request_response,
        download,
        upload,
        fan_out,
        fan_in,
        bidi,
        handshakes,
        requests,
        open_loop,
        idle,
    )
}
"""All of them by name."""
