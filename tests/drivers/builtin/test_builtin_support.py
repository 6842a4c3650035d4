"""What can't a duplex connection carry? Each is refused before anything begins, by name."""

from __future__ import annotations

import pytest

from pytest_netbench.drivers.builtin.ending import Misused, Unsupported
from pytest_netbench.drivers.builtin.support import check, check_pair
from pytest_netbench.scenario import model as m

OPEN = m.OpenBidirectionalStream(0)


def _checked(*operations: m.ConnectionOp, peer: tuple[tuple[m.ConnectionOp, ...], ...] = ()) -> None:
    check("clients[0]", (m.Connection(), m.Connection(ops=operations, peer_streams=peer)), many=False)


@pytest.mark.parametrize(
    "operations",
    [
        (),
        (OPEN, m.Send(0, 1), m.Receive(0, 1), m.SendFinish(0), m.ReceiveFinish(0)),
        (m.OpenSendStream(3), m.Send(3, 1), m.SendFinish(3)),
        (m.Profile(0, (OPEN, m.SendRate(0, 1, 1), m.Send(0, 1))), m.ReceiveAll(0)),
        (OPEN, m.Send(0, 5), m.ReceiveAll(0), m.Send(0, 0)),
        (m.Scope(((OPEN, m.Send(0, 1)), (m.Sleep(1),))),),
    ],
)
def test_one_stream_that_ends_with_its_connection_is_carried(operations: tuple[m.ConnectionOp, ...]) -> None:
    """One stream each way, whatever is done on it."""
    _checked(*operations)


def test_the_peer_may_open_the_stream() -> None:
    """Its program is for stream 0."""
    _checked(peer=((m.Receive(0, 1), m.Send(0, 1)),))


@pytest.mark.parametrize(
    ("operations", "streams"),
    [
        ((OPEN, m.OpenBidirectionalStream(1)), 2),
        ((m.Iterate(m.Count(3), (OPEN,)),), 3),
        ((m.Scope(((OPEN,), (m.OpenSendStream(1),))),), 2),
    ],
)
def test_several_streams_are_unsupported(operations: tuple[m.ConnectionOp, ...], streams: int) -> None:
    """However they are opened; the line names the connection and how many there are."""
    with pytest.raises(Unsupported, match=rf"^clients\[0\]\.connections\[1\] has {streams} streams: "):
        _checked(*operations)


def test_a_stream_beside_the_peers_is_unsupported() -> None:
    """A duplex connection carries one stream, whoever opened it."""
    with pytest.raises(Unsupported, match="has 2 streams"):
        _checked(OPEN, peer=((),))


def test_sending_after_receiving_all_is_unsupported() -> None:
    """The peer would wait for it, and so not close, and so not end what is received."""
    with pytest.raises(Unsupported, match=r"connections\[1\]\.ops: receives all, then sends"):
        _checked(OPEN, m.ReceiveAll(0), m.Profile(0, (m.Send(0, 1),)))


def test_receiving_all_again_and_again_between_sends_is_unsupported() -> None:
    """Also if the send stands before it in a body that is repeated."""
    with pytest.raises(Unsupported, match="receives all, then sends"):
        _checked(OPEN, m.Iterate(m.Count(2), (m.Send(0, 1), m.ReceiveAll(0))))


def test_both_ends_receiving_all_is_unsupported() -> None:
    """Neither would close."""
    near = m.Connection(ops=(OPEN, m.Send(0, 1), m.ReceiveAll(0)))
    far = m.Connection(peer_streams=((m.Send(0, 1), m.ReceiveAll(0)),))
    check_pair("clients[0]", near, m.Connection(peer_streams=((m.Receive(0, 1),),)), many=False)
    with pytest.raises(Unsupported, match=r"^clients\[0\]: both ends receive all"):
        check_pair("clients[0]", near, far, many=False)


@pytest.mark.parametrize(
    ("operations", "text"),
    [
        ((OPEN, m.Send(1, 1)), "stream 1 isn't opened there"),
        ((m.Receive(0, 1),), "stream 0 isn't opened there"),
        ((m.Iterate(m.Count(1), (m.SendFinish(4),)),), "stream 4 isn't opened there"),
        ((OPEN, m.SendRate(0, 0, 5)), "a rate of 0 bytes"),
        ((m.ReceiveFinish(0),), "stream 0 isn't opened there"),
        ((m.Send(0, 1), OPEN), "stream 0 isn't opened when it is used"),
        ((m.Scope(((OPEN,), (m.Send(0, 1),))),), "stream 0 isn't opened when it is used"),
    ],
)
def test_what_makes_no_sense_is_misused(operations: tuple[m.ConnectionOp, ...], text: str) -> None:
    """A stream that isn't there, a rate that never lets anything through."""
    with pytest.raises(Misused, match=text):
        _checked(*operations)


def _many(near: m.Connection, far: m.Connection) -> None:
    check("clients[0]", (near,), many=True)
    check_pair("clients[0]", near, far, many=True)


TWO = m.Connection(ops=(OPEN, m.OpenSendStream(1), m.Send(1, 1)))


def test_many_streams_need_a_program_each() -> None:
    """Either end has one for each stream that the other opens."""
    _many(TWO, m.Connection(peer_streams=((), (m.Receive(1, 1),))))
    with pytest.raises(Misused, match="the client opens streams 0, 1, the other end has programs for streams 0"):
        _many(TWO, m.Connection(peer_streams=((),)))
    with pytest.raises(Misused, match="the server opens no streams, the other end has programs for streams 0"):
        _many(m.Connection(peer_streams=((),)), m.Connection())


@pytest.mark.parametrize(
    ("near", "text"),
    [
        (m.Connection(ops=(OPEN, OPEN)), "stream 0 is opened more than once"),
        (m.Connection(ops=(m.Iterate(m.Count(2), (OPEN,)),)), "stream 0 is opened more than once"),
        (m.Connection(ops=(m.OpenSendStream(2), m.Receive(2, 1))), "receives on stream 2, which it opened to send"),
        (m.Connection(peer_streams=((m.OpenSendStream(1),),)), "opens a stream: that is for ops to do"),
    ],
)
def test_what_many_streams_cannot_be(near: m.Connection, text: str) -> None:
    """A stream is opened once, by a program of its own end, and used in its direction."""
    with pytest.raises(Misused, match=text):
        _many(near, m.Connection(peer_streams=((), (), ())))
