"""What if a client of QUIC doesn't keep to it, or to netbench over it? One line, and the next client is served."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.certificates import certify
from tests.drivers.builtin.builtin_processes import DEADLINE, HERE, dialling, scenario, serving, written

pytest.importorskip("aioquic", reason="pip install 'pytest-netbench[quic]'")

from aioquic import tls
from aioquic.buffer import encode_uint_var
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilder

ASK = scenario((m.Send(0, 1000), m.Receive(0, 9_000_000)), (m.Receive(0, 1000), m.Send(0, 9_000_000)))
FIN, LENGTH, OFFSET = 1, 2, 4
STREAM, STOP_SENDING = 8, 5
RECEIVES = "stream 0, receive 1,000 bytes: "
MOST = 2**64 - 1


class Hand:
    """A client made by hand: what it sends is right until it is told otherwise."""

    def __init__(self, one: m.Scenario, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._peer = (host, int(port))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(DEADLINE)
        self.quic = QuicConnection(configuration=QuicConfiguration(
            is_client=True, alpn_protocols=["netbench"], server_name="0.test.net",
            cadata=one.certificates[0].pem.encode(),
        ))  # fmt: skip
        self.quic.connect(self._peer, time.monotonic())
        self.until(events.HandshakeCompleted)

    def until(self, wanted: type[events.QuicEvent]) -> None:
        """Go on until this has happened."""
        while True:
            self.flush()
            while (event := self.quic.next_event()) is not None:
                if isinstance(event, wanted):
                    return
            self.quic.receive_datagram(self._socket.recv(65535), self._peer, time.monotonic())

    def flush(self) -> None:
        """Send what is to be sent."""
        for data, _ in self.quic.datagrams_to_send(time.monotonic()):
            self._socket.sendto(data, self._peer)

    def frame(self, kind: int, *numbers: int, payload: bytes = b"") -> None:
        """Send one packet with this frame alone."""
        quic: Any = self.quic
        builder = QuicPacketBuilder(
            host_cid=quic.host_cid, is_client=True, max_datagram_size=1200, packet_number=quic._packet_number,
            peer_cid=quic._peer_cid.cid, version=quic._version,
        )  # fmt: skip
        builder.start_packet(QuicPacketType.ONE_RTT, quic._cryptos[tls.Epoch.ONE_RTT])
        body = b"".join(map(encode_uint_var, numbers)) + payload
        builder.start_frame(kind, capacity=1 + len(body)).push_bytes(body)
        for data in builder.flush()[0]:
            self._socket.sendto(data, self._peer)
        quic._packet_number = builder.packet_number

    def stream(self, payload: bytes, *, number: int = 0, end: bool = False) -> int:
        """Open a stream of that number in the scenario, and send on it; QUIC's own number."""
        found = self.quic.get_next_available_stream_id()
        self.quic.send_stream_data(found, number.to_bytes(8, "big") + payload, end)
        self.flush()
        return found

    def close(self) -> None:
        """Close the socket alone: it says nothing."""
        self._socket.close()


def _cut_number(hand: Hand) -> None:
    hand.quic.send_stream_data(hand.quic.get_next_available_stream_id(), b"abc", end_stream=True)
    hand.flush()


def _reset(hand: Hand) -> None:
    hand.quic.reset_stream(hand.stream(bytes(400)), 7)
    hand.flush()


def _stop_first(hand: Hand) -> None:
    hand.frame(STOP_SENDING, 0, 0)
    hand.stream(bytes(1000))


def _stop(hand: Hand) -> None:
    stream = hand.stream(bytes(1000))
    hand.until(events.StreamDataReceived)
    hand.quic.stop_stream(stream, 0)
    hand.flush()


def _stop_before(hand: Hand) -> None:
    hand.frame(STOP_SENDING, 0, 0)
    hand.stream(bytes(1000))


def _twice(hand: Hand) -> None:
    hand.stream(b"a")
    hand.stream(b"a")


def _closes(hand: Hand) -> None:
    hand.stream(bytes(400))
    hand.quic.close(error_code=9, reason_phrase="enough of it")
    hand.flush()


OFFENCES: dict[str, tuple[Callable[[Hand], object], str]] = {
    "no such frame": (lambda hand: hand.frame(0x3F, 1), "error 0x7: unknown frame type"),
    "a frame that is cut": (lambda hand: hand.frame(STREAM | LENGTH, 0, 500, payload=b"a"), "error 0x7: "),
    "a stream of ours that we didn't open": (lambda hand: hand.frame(STREAM, 1, payload=b"a"),
                                             "error 0x5: wrong stream initiator"),
    "more streams than it may": (lambda hand: hand.frame(STREAM, 4 * 5000, payload=b"a"),
                                 "error 0x4: too many streams open"),
    "beyond the window": (lambda hand: hand.frame(STREAM | OFFSET, 0, 2**40, payload=b"a"),
                          "error 0x3: over stream data limit"),
    "no number": (_cut_number, "a stream ends after 3 of 8 bytes of its number"),
    "a number without a program": (lambda hand: hand.stream(b"a", number=1),
                                   "it opens stream 1, there are programs for 1"),
    "the greatest number": (lambda hand: hand.stream(b"a", number=MOST),
                            f"it opens stream {MOST}, there are programs for 1"),
    "a number twice": (_twice, RECEIVES + "quic ended with error 0x1: the peer doesn't keep to netbench over quic: "
                               "it opens stream 0 a second time"),
    "a stream that ends early": (lambda hand: hand.stream(bytes(400), end=True),
                                 RECEIVES + "the peer closed, 600 bytes are missing"),
    "a stream that is reset": (_reset, RECEIVES + "the peer reset the stream, code 7"),
    "a stream that isn't taken": (_stop, "stream 0, send 9,000,000 bytes: the peer takes no more"),
    "a stream that wasn't to be taken before it came": (
        _stop_before,
        "stream 0, send 9,000,000 bytes: the peer takes no more",
    ),
    "an error of its own": (_closes, RECEIVES + "quic ended with error 0x9: enough of it"),
}  # fmt: skip


@pytest.mark.parametrize("name", OFFENCES)
def test_a_client_that_does_not_keep_to_it_ends_alone(name: str, tmp_path: Path) -> None:
    """One line with connection, stream and operation says what was wrong; the next client is served."""
    offend, text = OFFENCES[name]
    path = written(one := certify(ASK), tmp_path)
    with serving(path, transport="quic") as (server, address):
        hand = Hand(one, address)
        offend(hand)
        assert server.process.stderr is not None
        line = server.process.stderr.readline()
        hand.close()
        with dialling(path, address, transport="quic") as client:
            assert client.wait().status == 0
        done = server.stop()
    assert line.startswith(f"connection 0 from {HERE}:")
    assert "stream 0" in line
    assert text in line.lower()
    assert done.seen.problems == (line.strip(),)
    assert (done.status, done.errors) == (0, "")
