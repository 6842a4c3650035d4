"""Do many streams share a connection? Whole processes of the driver with each other, and with a peer made by hand."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pytest_netbench.drivers.builtin import frames
from pytest_netbench.drivers.builtin.frames import THEIRS, Tag
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.catalog import download, ping, request_response, upload
from pytest_netbench.telemetry.model import StreamBytes
from tests.drivers.builtin.builtin_processes import (
    DEADLINE,
    Done,
    accepting,
    dial,
    dialling,
    reset,
    run,
    serving,
    written,
)

OPEN_0 = frames.OPEN(Tag.STREAM_OPEN, 0, 1)


def ends(stream: int) -> tuple[m.ConnectionOp, ...]:
    return (m.SendFinish(stream), m.ReceiveFinish(stream))


def between(near: m.Connection, far: m.Connection) -> m.Scenario:
    """A connection of these two programs."""
    client = m.Client((m.Connect(0, 0, 0),), (near,))
    return m.Scenario("test", (client,), (m.Server((far,)),), traces=("outer", "inner"))


def exchange(streams: int, up: int, down: int) -> m.Scenario:
    """So many streams beside each other, with so many bytes each way."""
    near = tuple(
        (m.OpenBidirectionalStream(one), m.Send(one, up), m.Receive(one, down), *ends(one)) for one in range(streams)
    )
    far = tuple((m.Receive(one, up), m.Send(one, down), *ends(one)) for one in range(streams))
    return between(m.Connection((m.Scope(near),)), m.Connection(peer_streams=far))


def carried(server: Done, client: Done) -> tuple[tuple[StreamBytes, ...], tuple[StreamBytes, ...]]:
    """The streams of the only connection, at the server and at the client; both ended well."""
    assert (server.status, server.errors, client.status, client.errors) == (0, "", 0, "")
    (far,), (near,) = server.seen.connections, client.seen.connections
    return tuple(sorted(far.streams, key=_key)), tuple(sorted(near.streams, key=_key))


def _key(one: StreamBytes) -> tuple[int, bool]:
    return one.stream, one.opened_here


@pytest.mark.parametrize(("streams", "up", "down"), [(1, 10, 10), (3, 700_000, 1), (5, 1, 900_000), (450, 1000, 3000)])
def test_streams_beside_each_other_lose_nothing(streams: int, up: int, down: int, tmp_path: Path) -> None:
    """Within and far beyond a window, and beyond the 200 streams at which the real drivers stop."""
    far, near = carried(*run(exchange(streams, up, down), tmp_path, MULTIPLEX="true"))
    assert [(one.sent, one.received) for one in near] == [(up, down)] * streams
    assert [(one.sent, one.received) for one in far] == [(down, up)] * streams


@pytest.mark.parametrize("one", [download(seconds=0.1), upload(seconds=0.1)], ids=str)
def test_a_transfer_for_a_time_may_be_framed(one: m.Scenario, tmp_path: Path) -> None:
    """Its one stream ends though its window is full of what nobody takes any more."""
    (far,), (near,) = carried(*run(one, tmp_path, MULTIPLEX="true"))
    assert far.received <= near.sent
    assert near.received + far.received > 10_000
    assert near.received <= far.sent


def test_both_ends_open_streams_of_the_same_number(tmp_path: Path) -> None:
    """The numbers of each end are its own; one-way streams end by their opener's finish."""
    near = m.Connection(
        (
            m.OpenSendStream(0),
            m.Send(0, 400_000),
            m.SendFinish(0),
            m.OpenBidirectionalStream(1),
            m.Send(1, 5),
            *ends(1),
        ),
        ((m.ReceiveAll(0), m.ReceiveFinish(0)),),
    )
    far = m.Connection(
        (m.OpenSendStream(0), m.Send(0, 300_000), m.SendFinish(0)), ((m.ReceiveAll(0),), (m.Receive(1, 5), *ends(1)))
    )
    at_server, at_client = carried(*run(between(near, far), tmp_path))
    assert [(one.stream, one.opened_here, one.sent, one.received) for one in at_client] == [
        (0, False, 0, 300_000), (0, True, 400_000, 0), (1, True, 5, 0),
    ]  # fmt: skip
    assert [(one.stream, one.opened_here, one.sent, one.received) for one in at_server] == [
        (0, False, 0, 400_000), (0, True, 300_000, 0), (1, False, 0, 5),
    ]  # fmt: skip


def test_a_rate_of_receiving_holds_the_sender_back(tmp_path: Path) -> None:
    """By the window: what isn't taken isn't let through."""
    near = (
        m.OpenBidirectionalStream(0),
        m.Send(0, 1),
        m.ReceiveRate(0, 300_000, 20),
        m.Receive(0, 1_500_000),
        *ends(0),
    )
    other = (m.OpenBidirectionalStream(1), *ends(1))
    far = ((m.Receive(0, 1), m.Profile(0, (m.Send(0, 1_500_000),)), *ends(0)), ends(1))
    server, client = run(between(m.Connection((*near, *other)), m.Connection(peer_streams=far)), tmp_path)
    carried(server, client)
    (took,) = server.seen.samples["outer"]
    assert took > 0.04


def test_what_time_cuts_is_noted(tmp_path: Path) -> None:
    """A time may end in the middle; what the other end still sends is dropped, and nobody waits for ever."""
    far, near = carried(*run(ping(time=0.5, size=[100_000], streams=3), tmp_path))
    for here, there in zip(near, far, strict=True):
        assert 0 < here.received <= there.sent
        assert there.received <= here.sent


def test_checkpoints_and_sequential_requests(tmp_path: Path) -> None:
    """The generator's own form: requests beside each other, each on a stream of its own, chained by checkpoints."""
    one = request_response(response=200_000, count=4, parallel=True, unblock=1000)
    far, near = carried(*run(one, tmp_path))
    assert [one.received for one in near] == [200_000] * 4
    assert [one.sent for one in far] == [200_000] * 4


# --- peers that don't keep to it ---------------------------------------------------------------

HELLO = bytes(8)
ASK = between(
    m.Connection((m.OpenBidirectionalStream(0), m.Send(0, 10), m.Receive(0, 1000), *ends(0))),
    m.Connection(peer_streams=((m.Receive(0, 10), m.Send(0, 1000), *ends(0)),)),
)


def data(size: int, *, stream: int = 0, owner: int = frames.MINE) -> bytes:
    return frames.DATA(Tag.STREAM_DATA, stream, owner, size) + bytes(min(size, 1000))


BAD = "the peer doesn't keep to the protocol of multiplexing: "


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"\x09", "a frame has tag 9, there are 0 to 5"),
        (frames.OPEN(Tag.STREAM_OPEN, 7, 1), "it opens stream 7, there are programs for 1"),
        (OPEN_0 + OPEN_0, "it opens stream 0 a second time"),
        (frames.OPEN(Tag.STREAM_OPEN, 0, 3), "stream 0 is opened in a way 3, expected 0 or 1"),
        (data(5, stream=3), "stream 3 of its own isn't open"),
        (data(5, owner=THEIRS), "stream 0 of ours isn't open"),
        (OPEN_0 + frames.FINISH(Tag.STREAM_FINISH, 2**64 - 1, 1), "stream 18446744073709551615 of its own isn't open"),
        (OPEN_0 + frames.DATA(Tag.STREAM_DATA, 0, 1, 256_001), "beyond its window of 256,000"),
        (OPEN_0 + frames.FINISH(Tag.STREAM_FINISH, 0, 1) + data(1), "there is data of stream 0 after its end"),
        (OPEN_0 + frames.FINISH(Tag.STREAM_FINISH, 0, 1) * 2, "stream 0 ends a second time"),
    ],
)  # fmt: skip
def test_a_client_that_breaks_the_protocol_ends_alone(said: bytes, text: str, tmp_path: Path) -> None:
    """One line with connection, stream and what was wrong; the next client is served."""
    path = written(ASK, tmp_path)
    with serving(path, MULTIPLEX="true") as (server, address):
        with dial(address) as connection:
            connection.sendall(HELLO + said)
            while connection.recv(65536):
                pass
        with dialling(path, address, MULTIPLEX="true") as client:
            assert client.wait().status == 0
        done = server.stop()
    (problem,) = done.seen.problems
    assert done.errors == f"{problem}\n"
    assert problem.startswith("connection 0 from ")
    assert "stream 0" in problem
    assert BAD in problem
    assert text in problem


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", "stream 0, receive 1,000 bytes: the peer closed, 1,000 bytes are missing"),
        (data(400, owner=THEIRS), "receive 1,000 bytes: the peer closed, 600 bytes are missing"),
        (data(400, owner=THEIRS) + frames.FINISH(Tag.STREAM_FINISH, 0, THEIRS), "600 bytes are missing"),
        (frames.DATA(Tag.STREAM_DATA, 0, THEIRS, 900)[:9], "the peer closed in the middle of a frame"),
    ],
)  # fmt: skip
def test_a_server_that_closes_early_is_a_failure(answer: bytes, text: str, tmp_path: Path) -> None:
    """Whether it ends the connection or only the stream."""
    with accepting() as (listening, address), dialling(written(ASK, tmp_path), address, MULTIPLEX="true") as client:
        connection, _ = listening.accept()
        connection.settimeout(DEADLINE)
        connection.recv(8 + 10 + 24, socket.MSG_WAITALL)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        done = client.wait()
        connection.close()
    assert done.status == 1
    assert done.errors.count("\n") == 1
    assert text in done.errors


def test_a_server_that_resets_is_a_failure(tmp_path: Path) -> None:
    """The stream that waits says so."""
    with accepting() as (listening, address), dialling(written(ASK, tmp_path), address, MULTIPLEX="true") as client:
        connection, _ = listening.accept()
        connection.recv(8 + 10 + 24, socket.MSG_WAITALL)
        reset(connection)
        done = client.wait()
    assert done.status == 1
    assert "stream 0, receive 1,000 bytes: connection reset by peer" in done.errors


def test_a_stream_that_the_peer_never_opens_is_named(tmp_path: Path) -> None:
    """When the peer closes, whoever waits for it learns that it won't come."""
    path = written(ASK, tmp_path)
    with serving(path, MULTIPLEX="true") as (server, address):
        with dial(address) as connection:
            connection.sendall(HELLO)
        with dialling(path, address, MULTIPLEX="true") as client:
            assert client.wait().status == 0
        done = server.stop()
    (problem,) = done.seen.problems
    assert problem.endswith("stream 0 of the peer, accept: the peer closed")


def test_a_deadlock_at_checkpoints_is_told(tmp_path: Path) -> None:
    """Also while a connection could still be read."""
    near = (m.OpenBidirectionalStream(0), m.Send(0, 1), m.Park(3), *ends(0))
    one = between(m.Connection(near), m.Connection(peer_streams=((m.Receive(0, 1), m.Sleep(20_000)),)))
    path = written(one, tmp_path)
    with serving(path, MULTIPLEX="true") as (_, address), dialling(path, address, MULTIPLEX="true") as client:
        done = client.wait()
    assert done.status == 1
    assert "checkpoint that nothing unparks" in done.errors
