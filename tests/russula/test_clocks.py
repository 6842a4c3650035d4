"""Does an estimate of a clock always hold, and do all begin together by it?"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.protocols import CLIENT, NetbenchClient
from russula import WorkerFailed, WorkerLost
from russula.clocks import Clock, Offset, Sample, estimate
from russula.testing import Faults
from tests.russula.rooms import LEASE, Room, Wrong, dials, in_virtual_time, the_loop
from tests.russula.sides import Worker

TEN_SECONDS = 10_000_000_000
OFFSETS = st.integers(-TEN_SECONDS, TEN_SECONDS)
FAR = st.integers(10**9 + 1, TEN_SECONDS) | st.integers(-TEN_SECONDS, -(10**9) - 1)
DELAYS = st.integers(0, 10**9)
PPM_200 = Fraction(200, 10**6)


def sampled(offset: int, sent: int, there: int, back: int) -> Sample:
    """A round trip of these delays to a clock that shows so much more."""
    return Sample(sent, sent + there + offset, sent + there + back)


@given(OFFSETS, st.lists(st.tuples(st.integers(0, 10**12), DELAYS, DELAYS), min_size=1, max_size=9))
def test_the_true_offset_is_never_outside(offset: int, trips: list[tuple[int, int, int]]) -> None:
    """However unequal the ways there and back are, the estimate is right within what it says of itself."""
    found = estimate(sampled(offset, *trip) for trip in trips)
    assert abs(found.offset_ns - offset) <= found.uncertainty_ns


@given(FAR, st.lists(st.tuples(DELAYS, DELAYS), min_size=1, max_size=9))
def test_the_shortest_round_trip_is_taken(offset: int, trips: list[tuple[int, int]]) -> None:
    """What is unsure is half of the least time that a question and its answer took."""
    found = estimate(sampled(offset, 0, *trip) for trip in trips)
    assert found.uncertainty_ns == (min(there + back for there, back in trips) + 1) // 2


@given(st.lists(st.tuples(DELAYS, DELAYS), min_size=1, max_size=9))
def test_one_clock_is_seen_to_be_one(trips: list[tuple[int, int]]) -> None:
    """Two processes of one machine are told no offset."""
    assert estimate(sampled(0, 0, *trip) for trip in trips).offset_ns == 0


def test_without_a_round_trip_there_is_no_estimate() -> None:
    """No sample is an error, not an offset of nothing."""
    with pytest.raises(ValueError, match="empty"):
        estimate([])


@given(OFFSETS, st.fractions(-PPM_200, PPM_200), DELAYS, DELAYS, st.integers(10**9, 3600 * 10**9))
def test_a_drift_is_found_within_what_both_estimates_leave_open(
    offset: int, drift: Fraction, there: int, back: int, apart: int
) -> None:
    """Two estimates, one before and one after, bound how fast the clocks part."""
    unsure = (there + back + 1) // 2

    def after(at: int) -> Offset:
        middle = at + (there + back) // 2
        shows = at + there + offset + round(drift * (at + there))
        return Offset(middle, shows - middle, unsure)

    clock = Clock(after(0), after(apart))
    assert abs(clock.drift - float(drift)) <= (2 * unsure + 2) / apart + 1e-9


@given(OFFSETS, st.integers(-200_000, 200_000), st.integers(0, 10**15), st.integers(0, 10**15))
def test_there_and_here_undo_each_other(offset: int, gained: int, at: int, moment: int) -> None:
    """A moment of ours, told there and told back, is that moment again."""
    clock = Clock(Offset(at, offset, 0), Offset(at + 10**9, offset + gained, 0))
    assert abs(clock.here(clock.there(moment)) - moment) <= 1
    assert clock.there(at) == at + offset


CLOCKS = {
    "all far apart": (Wrong(-10.0, 200e-6), Wrong(10.0, -200e-6), Wrong(0.004, 0.0), Wrong(0.0, 200e-6)),
    "one clock": (Wrong(), Wrong(), Wrong()),
    "a little off": (Wrong(0.001), Wrong(-0.001), Wrong(0.0, -200e-6)),
}


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.08])
@pytest.mark.parametrize("clocks", CLOCKS.values(), ids=CLOCKS)
def test_all_begin_at_one_instant(tmp_path: Path, clocks: tuple[Wrong, ...], delay: float) -> None:
    """However wrong each clock is, each worker begins as near to the agreed instant as its clock is said to be sure.

    And where it is said to have begun afterwards, it began.
    """

    async def main() -> None:
        room, began = Room(tmp_path, Faults(delay=delay), seed=1), dict[str, int]()
        names = [f"w{number}" for number in range(len(clocks))]
        for name, clock in zip(names, clocks, strict=True):
            room.worker(CLIENT, Worker(dials(clock, began)), name, clock)
        async with room.drive(CLIENT, *map(room.target, names), lead=0.3) as group:
            await group.run_till(NetbenchClient.DONE)
            views, instant, begins = group.snapshot().workers, group.instant_ns, group.begins()
        assert instant is not None
        assert sorted(began) == names
        for name, at in began.items():
            found = views[name].clock
            assert found is not None
            drifted = 201e-6 * (instant - found.first.at_ns)
            assert abs(at - instant) <= found.first.uncertainty_ns + drifted + 2
            assert found.first.uncertainty_ns <= 2 * delay * 1e9 + 10e6
            last = 0 if found.last is None else found.last.uncertainty_ns
            assert abs(begins[name] - at) <= found.first.uncertainty_ns + last + drifted + 2

    in_virtual_time(main)


LATE = pytest.mark.parametrize("clock", [Wrong(), Wrong(-10.0, 200e-6), Wrong(10.0, -200e-6)], ids=str)


@LATE
def test_an_acceptance_that_comes_too_late_aborts(tmp_path: Path, clock: Wrong) -> None:
    """The round ends with the reason ``late`` and by how much; who was late never begins, and the others are ended."""

    async def main() -> None:
        room, began = Room(tmp_path), dict[str, int]()
        clocks = {"w0": Wrong(), "w1": clock, "w2": Wrong(5)}
        for name, one in clocks.items():
            room.worker(CLIENT, Worker(dials(one, began)), name, one)
        with pytest.raises(WorkerFailed, match=r"w1 failed in ARMED: late: the instant came \d+\.\d ms after itself"):
            async with room.drive(CLIENT, *map(room.target, clocks), lead=1) as group:
                await group.run_till(NetbenchClient.ARMED)
                room.delay("w1", b'"GO"', 2.0)
                await group.run_till(NetbenchClient.DONE)
        assert "w1" not in began
        assert {name: room.entered(name)[-1] for name in clocks} == dict.fromkeys(clocks, "FAILED")

    in_virtual_time(main)


@LATE
def test_an_instant_that_is_over_for_all_begins_nothing(tmp_path: Path, clock: Wrong) -> None:
    """Nobody begins at a moment of its own."""

    async def main() -> None:
        room, began = Room(tmp_path, Faults(delay=0.01)), dict[str, int]()
        for name in ("w0", "w1"):
            room.worker(CLIENT, Worker(dials(clock, began)), name, clock)
        with pytest.raises(WorkerFailed, match="late"):
            async with room.drive(CLIENT, *map(room.target, ("w0", "w1")), lead=-1) as group:
                await group.run_till(NetbenchClient.DONE)
        assert not began

    in_virtual_time(main)


@pytest.mark.parametrize("failing", ["w0", "w1"])
def test_a_failure_while_clocks_are_measured_is_raised_at_once(tmp_path: Path, failing: str) -> None:
    """Nobody waits for the answer of a worker that is lost, or of another while one is."""

    async def main() -> None:
        room, began = Room(tmp_path), dict[str, int]()
        for name in ("w0", "w1"):
            room.worker(CLIENT, Worker(dials(Wrong(), began)), name)
        with pytest.raises(WorkerLost, match=f"{failing} was lost"):
            async with room.drive(CLIENT, *map(room.target, ("w0", "w1"))) as group:
                await group.run_till(NetbenchClient.ARMED)
                room.delay("w0", b"ping", 3600)
                the_loop().call_later(1, room.network.crash, f"memory:{failing}")
                await group.run_till(NetbenchClient.RUNNING, deadline=3600)
        assert the_loop().time() <= 1 + LEASE + 5
        assert not began

    in_virtual_time(main)


@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)
def test_clocks_can_be_measured_where_no_start_is_agreed(tmp_path: Path, clock: tuple[Wrong, ...]) -> None:
    """As of servers on machines of their own: what they date is then told on the coordinator's clock."""

    async def main() -> None:
        room, began = Room(tmp_path, Faults(delay=0.001), seed=1), dict[str, int]()
        names = [f"w{number}" for number in range(len(clock))]
        for name, one in zip(names, clock, strict=True):
            room.worker(CLIENT, Worker(dials(one, began)), name, one)
        async with room.drive(CLIENT, *map(room.target, names)) as group:
            await group.run_till(NetbenchClient.READY)
            await group.measure_clocks()
            for name in names:
                found = group.snapshot().workers[name].clock
                assert found is not None
                here = found.first.at_ns
                assert abs(group.here(name, found.there(here)) - here) <= 2

    in_virtual_time(main)
