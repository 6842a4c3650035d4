"""Is a client's first message read however it comes: in pieces, late, with payload behind it, or never?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.drivers.builtin.connection import Program, receive_preamble
from pytest_netbench.drivers.builtin.duplex import PREAMBLE_BYTES
from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.scenario import model as m
from tests.drivers.builtin.builtin_world import World


class Arriving:
    """What carries a connection on which these pieces come, each after a wait."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [each for piece in pieces for each in (None, piece)]
        self.taken_ahead = 0

    def raw(self, landing: memoryview) -> int:
        piece = self._pieces.pop(0) if self._pieces else b""
        if piece is None:
            raise BlockingIOError
        landing[: len(piece)] = piece[: len(landing)]
        return min(len(piece), len(landing))

    def ahead(self, size: int) -> None:
        self.taken_ahead = size


def read(carrier: Arriving, ahead: int) -> int:
    reading = receive_preamble(SimpleNamespace(carrier=carrier, title="connection 0"), ahead)  # type: ignore[arg-type]
    while True:
        try:
            next(reading)
        except StopIteration as done:
            number: int = done.value
            return number


@given(st.integers(0, 2**64 - 1), st.integers(1, PREAMBLE_BYTES - 1), st.integers(0, 40), st.integers(0, 40))
def test_a_number_is_read_from_whatever_pieces(number: int, cut: int, payload: int, ahead: int) -> None:
    """No more payload is taken with it than every program receives first."""
    whole = number.to_bytes(PREAMBLE_BYTES, "big") + bytes(payload)
    carrier = Arriving([whole[:cut], whole[cut:]])
    assert read(carrier, ahead) == number
    assert carrier.taken_ahead == min(payload, ahead)


@pytest.mark.parametrize("came", [b"", b"1234567"])
def test_a_peer_that_closes_before_its_number_is_whole(came: bytes) -> None:
    """The line says how much of it there was."""
    with pytest.raises(Failed, match=f"closed after {len(came)} of 8 bytes of its number"):
        read(Arriving([came]), 100)


RECEIVE, SEND, OPEN = m.Receive(0, 7), m.Send(0, 1), m.OpenBidirectionalStream(0)
FIRST: dict[str, tuple[Any, ...]] = {
    "receive": ((RECEIVE, SEND), 7),
    "profiled": ((m.Profile(0, (RECEIVE, SEND)),), 7),
    "counted": ((m.Iterate(m.Count(3), (RECEIVE,)),), 7),
    "timed": ((m.Iterate(m.Time(0), (RECEIVE,)),), 0),
    "after a rate": ((m.ReceiveRate(0, 1, 1), RECEIVE), 0),
    "after a send": ((SEND, RECEIVE), 0),
    "nothing": ((), 0),
}


@pytest.mark.parametrize("name", FIRST)
def test_what_a_program_receives_before_all_else(name: str) -> None:
    """Only payload that nothing comes before, no time cuts and no rate holds back may be taken with the number."""
    operations, size = FIRST[name]
    alone, beside = m.Connection(peer_streams=(operations,)), m.Connection((OPEN,), (operations,))
    assert [Program(one, World(), frozenset(), exact=True).receives_first for one in (alone, beside)] == [size, 0]
