"""Are connections, requests and arrivals repeated as the language says, under a clock that the test moves?"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.engine import Stuck
from pytest_netbench.drivers.builtin.loops import due
from pytest_netbench.drivers.builtin.recorder import Tally
from pytest_netbench.drivers.builtin.thread import END, MS
from pytest_netbench.scenario import extensions as x
from pytest_netbench.scenario import model as m
from pytest_netbench.telemetry.model import Load, Pace
from tests.drivers.builtin.builtin_world import FakeContext, FakeStream, World, carry_out, start

EACH_MS = x.Fixed(1, 1)


@pytest.fixture
def world() -> World:
    return World()


def loads(world: World) -> dict[str, Any]:
    return dict(world.recorder.report().loads)


def taken(world: World, trace: int = 0) -> list[float]:
    """Samples in milliseconds."""
    return [one / MS for one in world.recorder.samples[trace]]


# --- repeat ------------------------------------------------------------------------------------


def test_a_repetition_that_has_begun_is_carried_out(world: World) -> None:
    """The time is up in the middle of the third: it still ends."""
    carry_out(world, x.Repeat(m.Time(5), (m.ClientSleep(2),), 0))
    assert (world.ms, taken(world)) == (6, [2, 2, 2])
    assert loads(world)["outer"].done == Pace(1, 3, 2 * MS, 6 * MS)


def test_a_count_repeats_as_often(world: World) -> None:
    """Without a trace nothing is recorded."""
    carry_out(world, x.Repeat(m.Count(4), (m.ClientSleep(3),)))
    assert (world.ms, loads(world)) == (12, {})


class Reopening(FakeContext):
    """Opens another stream each time."""

    def __init__(self, world: World, streams: list[FakeStream]) -> None:
        super().__init__(world, streams[0])
        self.left = iter(streams)
        self.numbers = itertools.count()

    def another(self, number: int) -> int:
        return next(self.numbers) * 1000 + number

    def open(self, thread: Any, number: int, both_ways: bool) -> None:
        thread.side.streams[number] = next(self.left)


FRESH = m.OpenBidirectionalStream(0, fresh=True)


def test_an_iterate_of_fresh_streams_ends_with_its_body(world: World) -> None:
    """Each repetition has a stream of its own, and none is cut."""
    streams = [FakeStream(world, [(at, 5)]) for at in (2, 4, 6, 99)]
    context = Reopening(world, streams)
    start(world, (m.Iterate(m.Time(5), (FRESH, m.Send(0, 1), m.Receive(0, 5)), 0),), context)
    world.engine.run()
    assert [one.total_received for one in streams] == [5, 5, 5, 0]
    assert not any(one.cut for one in streams)
    assert loads(world)["outer"].done == Pace(1, 3, 2 * MS, 6 * MS)


# --- schedule ----------------------------------------------------------------------------------


def test_latency_counts_from_the_intended_instant(world: World) -> None:
    """On a stream that all share each waits for the one before, and that wait is part of its latency."""
    stream = FakeStream(world, [(3, 1), (3, 1), (3, 1)])
    carry_out(world, x.Schedule(EACH_MS, 3, (m.Send(0, 1), m.Receive(0, 1)), 0), stream=stream)
    assert taken(world) == [3, 2, 1]
    assert [at for at, _ in stream.sent] == [0, 3, 3]
    load = loads(world)["outer"]
    assert (load.due, load.done) == (Pace(1, 3, 0, 2 * MS), Pace(1, 3, 3 * MS, 3 * MS))


def test_what_is_early_waits_for_its_instant(world: World) -> None:
    """A fast answer doesn't bring the next arrival forward."""
    carry_out(world, x.Schedule(x.Fixed(1, 4), 3, (m.Sleep(1),), 0))
    assert (world.ms, taken(world)) == (9, [1, 1, 1])


def test_arrivals_with_streams_of_their_own_run_beside_each_other(world: World) -> None:
    """A slow answer delays nobody."""
    streams = [FakeStream(world, [(at, 1)]) for at in (9, 2, 3)]
    context = Reopening(world, streams)
    start(world, (x.Schedule(EACH_MS, 3, (FRESH, m.Send(0, 1), m.Receive(0, 1)), 0), m.Trace(1)), context)
    world.engine.run()
    assert [one.sent for one in streams] == [[(0, 1)], [(1, 1)], [(2, 1)]]
    assert taken(world) == [1, 1, 9]
    assert list(world.recorder.marks[1]) == [9 * MS]


def test_client_operations_arrive_beside_each_other(world: World) -> None:
    """Each dial is a connection of its own."""
    carry_out(world, x.Schedule(EACH_MS, 3, (m.ClientSleep(5),), 0))
    assert (world.ms, taken(world)) == (7, [5, 5, 5])


def test_one_failure_ends_a_schedule(world: World) -> None:
    """What is beside it doesn't go on, and what it came to is still recorded."""
    streams = [FakeStream(world, [(9, 1)]), FakeStream(world, [(1, END)])]
    start(world, (x.Schedule(EACH_MS, 3, (FRESH, m.Receive(0, 1)), 0),), Reopening(world, streams))
    with pytest.raises(Failed):
        world.engine.run()
    assert (loads(world)["outer"].due.events, loads(world)["outer"].done.events) == (2, 0)


@given(st.integers(1, 2**64 - 1), st.integers(1, 2**64 - 1), st.integers(1, 50))
def test_fixed_arrivals_are_equally_far_apart(amount: int, period: int, count: int) -> None:
    """To the nanosecond, whatever the numbers; the first is at once."""
    found = list(due(x.Fixed(amount, period), count, ""))
    assert found == [number * period * MS // amount for number in range(count)]


@given(st.integers(0, 2**64 - 1))
def test_poisson_arrivals_are_the_same_for_the_same_seed(seed: int) -> None:
    """Of the same user of it; and never backwards."""
    poisson = x.Poisson(1000, 1000, seed)
    found = list(due(poisson, 100, (0, 1)))
    assert found == list(due(poisson, 100, (0, 1))) == sorted(found)
    assert found != list(due(poisson, 100, (0, 2)))


def test_poisson_arrivals_vary_as_they_should() -> None:
    """Their distances are exponential: the standard deviation is the mean."""
    instants = list(due(x.Poisson(1000, 1000, 7), 20_000, ""))
    distances = [(after - before) / MS for before, after in itertools.pairwise(instants)]
    mean = sum(distances) / len(distances)
    deviation = (sum((one - mean) ** 2 for one in distances) / len(distances)) ** 0.5
    assert mean == pytest.approx(1, rel=0.03)
    assert deviation == pytest.approx(mean, rel=0.05)


def test_loops_of_one_trace_are_told_together() -> None:
    """Their events add up, from the first to the last of all; a loop without events counts for nothing."""
    one, other, none = Tally(), Tally(), Tally().pace()
    for at in (5, 9):
        one.add(at)
    other.add(2)
    both = one.pace().together(other.pace())
    assert both == Pace(2, 3, 2, 9)
    assert none.together(both) == both.together(none) == both
    assert Load(both, none).together(Load(both, one.pace())) == Load(Pace(4, 6, 2, 9), Pace(1, 2, 5, 9))
    assert Load(both).together(Load(both)).due is None


# --- hold --------------------------------------------------------------------------------------


def test_connections_are_held_until_all_are_there(world: World) -> None:
    """The time begins when the last one is there, for all of them."""
    threads = tuple((m.Sleep(at), m.Sleep(4, hold=3), m.Trace(0)) for at in (1, 5, 9))
    carry_out(world, m.Scope(threads))
    assert [one / MS for one in world.recorder.marks[0]] == [13, 13, 13]


def test_those_who_were_held_can_be_held_again(world: World) -> None:
    """Whoever has left isn't there any more."""
    threads = tuple((m.Sleep(at), m.Sleep(1, hold=2), m.Sleep(at), m.Sleep(1, hold=2), m.Trace(0)) for at in (1, 5))
    carry_out(world, m.Scope(threads))
    assert world.ms == 12


def test_too_few_wait_for_ever(world: World) -> None:
    """Which is said, and not slept through."""
    start(world, (m.Sleep(1, hold=2),), FakeContext(world))
    with pytest.raises(Stuck):
        world.engine.run()
