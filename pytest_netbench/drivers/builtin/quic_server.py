"""Whose is a datagram? One socket of a server is shared by all its connections of QUIC, which are told apart by ids.

This file runs on hosts; like ``quic``, it needs aioquic.
"""

from __future__ import annotations

from typing import Any

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicPacketType, encode_quic_version_negotiation, pull_quic_header

from pytest_netbench.drivers.builtin import tcp
from pytest_netbench.drivers.builtin.engine import READ, Task, Waits
from pytest_netbench.drivers.builtin.quic import ANY_SIZE, HANDSHAKE_MS, QuicWire
from pytest_netbench.drivers.builtin.quic_carrier import QuicCarrier
from pytest_netbench.drivers.builtin.server import Server
from pytest_netbench.drivers.builtin.thread import TURN


class QuicServer(Server):
    """One server: all connections share its socket, and are told apart by their ids."""

    _wire: QuicWire

    def __init__(self, *given: Any, **more: Any) -> None:  # noqa: ANN401 - a server's
        super().__init__(*given, **more)
        self._by_id: dict[bytes, QuicCarrier | None] = {}

    def accept(self, task: Task) -> Waits:  # noqa: ARG002 - a server's form
        """Take datagrams, each to its connection; then let these do what follows."""
        while True:
            yield READ
            touched: dict[QuicCarrier, None] = {}
            try:
                for _ in range(TURN):
                    data, peer = self.listening.recvfrom(ANY_SIZE)
                    carrier = self._whose(data, peer)
                    if carrier is not None:
                        carrier.received(data, peer)
                        touched[carrier] = None
            except BlockingIOError:
                pass
            except OSError as error:
                self.problem(f"can't receive: {tcp.reason(error)}")
            for carrier in touched:
                carrier.turn()

    def _whose(self, data: bytes, peer: Any) -> QuicCarrier | None:  # noqa: ANN401 - a socket's address
        """The connection that a datagram belongs to, a new one for the first of a client; None for what is nobody's."""
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=self._wire.id_length)
        except ValueError:
            return None
        if header.destination_cid in self._by_id:
            return self._by_id[header.destination_cid]
        if header.packet_type is not QuicPacketType.INITIAL or len(data) < SMALLEST_MAX_DATAGRAM_SIZE:
            return None
        if header.version not in self._wire.versions:
            answer = encode_quic_version_negotiation(
                source_cid=header.destination_cid,
                destination_cid=header.source_cid,
                supported_versions=self._wire.versions,
            )
            self._wire.send(self.listening, [(answer, peer)], connected=False)
            return None
        return self._new(header.destination_cid, peer)

    def _new(self, original: bytes, peer: Any) -> QuicCarrier:  # noqa: ANN401 - a socket's address
        quic = QuicConnection(
            configuration=self._wire.configured(self._family),
            original_destination_connection_id=original,
            **self._wire.serving(),
        )
        ids = {original, quic.host_cid}

        def named(one: bytes, *, added: bool) -> None:
            if added:
                ids.add(one)
                self._by_id[one] = carrier
            else:
                self._by_id.pop(one, None)

        def gone() -> None:
            for one in ids:
                self._by_id.pop(one, None)
            self._by_id[original] = None  # what still comes from there begins nothing new

        carrier = QuicCarrier(
            self.engine, lambda datagrams: self._wire.send(self.listening, datagrams, connected=False), gone, named
        )
        carrier.start(quic, HANDSHAKE_MS)
        for one in ids:
            self._by_id[one] = carrier
        self.begin(carrier, peer, self.listening.getsockname)
        return carrier


def _note_names() -> None:
    """Let aioquic's reader of a client's first message also note the name in it: nothing public tells a server."""
    read = tls.pull_client_hello

    def reading(buffer: Buffer) -> Any:  # noqa: ANN401 - aioquic's own
        hello = read(buffer)
        QuicCarrier.heard = hello.server_name
        return hello

    tls.pull_client_hello = reading  # type: ignore[assignment]  # its argument has another name


_note_names()
