"""How are connections of QUIC made? Options, certificates, sockets, and the handshake.

This file runs on hosts that have aioquic: nothing imports it where that may be missing.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from aioquic import tls
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE, QuicConfiguration
from aioquic.quic.connection import QuicConnection

from pytest_netbench.drivers.builtin import configuration, security, tcp
from pytest_netbench.drivers.builtin.connection import Connection
from pytest_netbench.drivers.builtin.ending import Failed, Misused, Unsupported
from pytest_netbench.drivers.builtin.engine import READ, Engine, Task, Waits
from pytest_netbench.drivers.builtin.qlog import Qlogs
from pytest_netbench.drivers.builtin.quic_carrier import Datagrams, QuicCarrier
from pytest_netbench.drivers.builtin.thread import TURN
from pytest_netbench.drivers.builtin.wire import Wire
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.features import Feature

HANDSHAKE_MS = 10_000
"""A peer that hasn't shaken hands after so long never will, as the real driver has it."""

logging.getLogger("quic").addHandler(logging.NullHandler())  # an error is said once, with connection and stream

_IDLE_S = 30.0
_WINDOW = 3_750_000
_IP_HEADERS = {socket.AF_INET: 28, socket.AF_INET6: 48}
"""Bytes of a packet before the datagram: IP's and UDP's headers."""

_UDP_SEGMENT = 103
_MOST_SEGMENTS = 64
_MOST_AT_ONCE = 65_000
_RECEIVE_BUFFER = 4 << 20
ANY_SIZE = 65_535
_CIPHERS = {f"TLS_{one.name}": one for one in tls.CipherSuite if one.value < 0x1304 and one.value > 0xFF}  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Options:
    """What users compare; None leaves it to aioquic or the kernel. ``max_mtu``: bytes of a packet, headers included."""

    alpn: str = "netbench"
    max_mtu: int | None = None
    gso: bool = False
    congestion_control: str | None = None
    send_buffer: int | None = None
    receive_buffer: int | None = None


_READERS: Mapping[str, configuration.Reader] = {
    "alpn": configuration.name(255),
    "max_mtu": configuration.size,
    "gso": configuration.flag,
    "congestion_control": configuration.one_of("reno", "cubic"),
    "send_buffer": configuration.size,
    "receive_buffer": configuration.size,
}


def wire(scenario: m.Scenario, own: m.Client | m.Server, qlogs: Path | None = None) -> QuicWire:
    """How this endpoint's connections carry streams; ``qlogs``: the folder that shall tell what they did.

    :raises Misused: if its configuration or its certificates can't be read.
    :raises Unsupported: if this host can't do what is chosen.
    """
    chosen = Options(**configuration.chosen(own.configuration, "quic.", _READERS))
    ciphers = configuration.chosen(own.configuration, "tls.", {"cipher": configuration.one_of(*_CIPHERS)})
    made = QuicConfiguration(
        is_client=isinstance(own, m.Client),
        alpn_protocols=[chosen.alpn],
        idle_timeout=_IDLE_S,
        max_data=_WINDOW,
        max_stream_data=_WINDOW,
        cipher_suites=[_CIPHERS[ciphers["cipher"]]] if ciphers else None,
        quic_logger=None if qlogs is None else Qlogs(qlogs),
    )
    if Feature.DATAGRAMS.word in scenario.requires:
        made.max_datagram_frame_size = ANY_SIZE
    if chosen.congestion_control is not None:
        made.congestion_control_algorithm = chosen.congestion_control
    if isinstance(own, m.Client):
        made.cadata = "".join(
            security.certificate(scenario, "certificate_authorities", one) for one in own.certificate_authorities
        ).encode()
        if not made.cadata:
            raise Misused("the client trusts no certificate authority: the scenario needs certificates for QUIC")
    else:
        key = security.certificate(scenario, "private_key", own.private_key)
        chain = security.certificate(scenario, "certificate", own.certificate)
        with (
            security.in_memory(key) as key_file,
            security.in_memory(chain) as chain_file,
            security.reading("certificate", own.certificate),
        ):
            made.load_cert_chain(chain_file, key_file)
    return QuicWire(made, chosen, remembers=Feature.RESUMPTION.word in scenario.requires)


class QuicWire(Wire):
    """What all connections over QUIC have in common."""

    greets = True

    def __init__(self, made: QuicConfiguration, chosen: Options, *, remembers: bool = False) -> None:
        super().__init__(tcp.Options(), multiplex=True)
        self.remembers = remembers
        self._sessions: dict[tuple[int, str], tls.SessionTicket] = {}
        self._given: dict[bytes, tls.SessionTicket] = {}
        self.preamble = False
        self.id_length = made.connection_id_length
        self.versions = made.supported_versions
        self._made = made
        self._chosen = chosen
        if chosen.gso:
            _check_gso()

    @contextlib.contextmanager
    def finishing(self) -> Iterator[None]:
        """While connections are carried; afterwards write what they did, where that is wanted."""
        try:
            yield
        finally:
            if isinstance(self._made.quic_logger, Qlogs):
                self._made.quic_logger.write()

    # --- sockets -------------------------------------------------------------------------------

    def dialler(self, target: tcp.Address, local_ip: str, *, patient: bool) -> socket.SocketType:  # noqa: ARG002
        """A socket for one connection to the target."""
        one = self._socket(target[0])
        try:
            if local_ip not in tcp.ANY:
                one.bind((local_ip, 0))
        except BaseException:
            one.close()
            raise
        return one

    def settle(self, dialled: socket.SocketType, *, patient: bool) -> None:
        """It needs nothing more."""

    def listeners(self, ip: str, port: int, count: int) -> list[socket.socket]:
        """Sockets for so many processes; the kernel gives all of a client's datagrams to one of them."""
        made: list[socket.socket] = []
        try:
            while len(made) < count:
                made.append(self._listener(ip, made[0].getsockname()[1] if made else port, shared=count > 1))
        except OSError as error:
            for one in made:
                one.close()
            raise Failed(f"can't listen on {tcp.text((ip, port))}: {tcp.reason(error)}") from None
        return made

    def _listener(self, ip: str, port: int, *, shared: bool) -> socket.socket:
        one = self._socket(socket.AF_INET6 if ":" in ip else socket.AF_INET)
        try:
            if shared:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if ip == "::":
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            one.bind((ip, port))
        except BaseException:
            one.close()
            raise
        return one

    def _socket(self, family: int) -> socket.socket:
        one = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._chosen.receive_buffer or _RECEIVE_BUFFER)
        if self._chosen.send_buffer is not None:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._chosen.send_buffer)
        return one

    def send(self, one: socket.SocketType, datagrams: Datagrams, *, connected: bool) -> None:
        """Send datagrams; those that the socket doesn't take are lost, as others are on their way."""
        try:
            for peer, group in groupby(datagrams, key=lambda each: each[1]):
                where = () if connected else (peer,)
                for batch, ancillary in self._batches([data for data, _ in group]):
                    one.sendmsg(batch, ancillary, socket.MSG_DONTWAIT, *where)
        except BlockingIOError:
            return

    def _batches(self, group: Sequence[bytes]) -> list[tuple[list[bytes], list[tuple[int, int, bytes]]]]:
        """What goes to the kernel at once: single datagrams, or with GSO those of one size, and a last smaller one."""
        if not self._chosen.gso:
            return [([one], []) for one in group]
        found: list[tuple[list[bytes], list[tuple[int, int, bytes]]]] = []
        at = 0
        while at < len(group):
            size, until = len(group[at]), at + 1
            most = min(_MOST_SEGMENTS, _MOST_AT_ONCE // size)
            while until < len(group) and until - at < most and len(group[until - 1]) == size >= len(group[until]):
                until += 1
            segments = [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", size))] if until - at > 1 else []
            found.append((list(group[at:until]), segments))
            at = until
        return found

    # --- connections ---------------------------------------------------------------------------

    def configured(self, family: int, **more: Any) -> QuicConfiguration:  # noqa: ANN401 - its fields
        """Aioquic's configuration of one connection."""
        if self._chosen.max_mtu is not None:
            most = self._chosen.max_mtu - _IP_HEADERS[socket.AddressFamily(family)]
            if most < SMALLEST_MAX_DATAGRAM_SIZE:
                least = SMALLEST_MAX_DATAGRAM_SIZE + _IP_HEADERS[socket.AddressFamily(family)]
                raise Misused(f"quic.max_mtu: expected at least {least} bytes here, found {self._chosen.max_mtu}")
            more["max_datagram_size"] = most
        return replace(self._made, **more)

    def carrier(
        self,
        connected: socket.SocketType,
        engine: Engine,
        preamble: bytes = b"",  # noqa: ARG002 - the name of the server says which program is wanted
        *,
        patient: bool = False,  # noqa: ARG002 - a wire's form
        later: Callable[[], None] | None = None,  # noqa: ARG002 - the same
    ) -> QuicCarrier:
        """At a client: what carries the streams of a connection with a socket of its own."""
        link = Datagram(connected)
        pump = Task(link, weight=0)

        def gone() -> None:
            engine.cancel(pump)
            engine.poller.closed(link)
            connected.close()

        made = QuicCarrier(engine, lambda all_of_them: self.send(connected, all_of_them, connected=True), gone)
        engine.spawn(pump, _receive(made, connected))
        return made

    def greet(self, connection: Connection, name: str, dial: m.Connect) -> Waits:
        """Shake hands with the server of that name; with early data and a session to resume, while all else goes on."""
        carrier: Any = connection.carrier
        key = (connection.server, name)
        session = self._sessions.get(key) if dial.resume else None
        connection.resumed = False if dial.resume else None
        connection.early_data = False if dial.early_data else None
        assert connection.addresses is not None
        target = connection.addresses[1]
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        made = QuicConnection(
            configuration=self.configured(family, server_name=name, session_ticket=session),
            session_ticket_handler=partial(self._sessions.__setitem__, key) if self.remembers else None,
        )
        carrier.start(made, HANDSHAKE_MS, target)
        if session is None or not dial.early_data:
            yield from _until_ready(connection)

    def remember(self, connection: Connection, name: str) -> None:  # noqa: ARG002 - a wire's form
        """Note what became of an earlier session; the new one was kept when it came."""
        carrier: Any = connection.carrier
        connection.resumed = carrier.resumed if connection.resumed is not None else None
        connection.early_data = carrier.early_data if connection.early_data is not None else None

    def serving(self) -> Mapping[str, Any]:
        """What a server's connections have beyond their configuration: they give out sessions, and know them again."""
        if not self.remembers:
            return {}

        def give(one: tls.SessionTicket) -> None:
            self._given[one.ticket] = one

        return {"session_ticket_handler": give, "session_ticket_fetcher": self._given.get}

    def program(self, connection: Connection, ahead: int) -> Generator[int, None, int]:  # noqa: ARG002 - a wire's form
        """Shake hands with a client; the number of the program that it asks for by the server's name."""
        yield from _until_ready(connection)
        carrier: Any = connection.carrier
        return security.number(connection, carrier.name)


def _until_ready(connection: Connection) -> Waits:
    carrier: Any = connection.carrier
    while not carrier.ready:
        if not carrier.up:
            raise Failed(f"{connection.title}, QUIC handshake: {carrier.why}")
        yield READ


def _receive(carrier: QuicCarrier, one: socket.SocketType) -> Waits:
    """Take what comes for a connection with a socket of its own."""
    peer: Any = None
    while True:
        yield READ
        try:
            peer = peer or one.getpeername()
            for _ in range(TURN):
                carrier.received(one.recv(ANY_SIZE), peer)
        except BlockingIOError:
            pass
        except OSError as error:
            carrier.lost(error)
        if carrier.quic is not None:
            carrier.turn()


def _check_gso() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.getsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT)
        except OSError:
            raise Unsupported("quic.gso: this kernel doesn't segment datagrams (UDP_SEGMENT)") from None


class Datagram:
    """A socket of datagrams as the poller knows it."""

    def __init__(self, one: socket.SocketType) -> None:
        self.fd = one.fileno()
        self.tasks: list[Task] = []
        self.interest = 0
