"""What do operations do? Carried out on streams of lists, under a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.thread import END, MS, TURN
from pytest_netbench.scenario import model as m
from tests.drivers.builtin.builtin_world import CHUNK, FakeContext, FakeStream, World, carry_out, start

RESET = ConnectionResetError(104, "Connection reset by peer")


@pytest.fixture
def world() -> World:
    return World()


# --- transfers ---------------------------------------------------------------------------------


def test_receives_exactly_what_it_says(world: World) -> None:
    """A receive takes its bytes and leaves what comes after them."""
    stream = FakeStream(world, [(1, 700), (2, 700)])
    carry_out(world, m.Receive(0, 1000), stream=stream)
    assert stream.received == [(1, 700), (2, 300)]


def test_receives_in_a_row_share_what_came(world: World) -> None:
    """What one receive left is there for the next."""
    stream = FakeStream(world, [(5, 30)])
    carry_out(world, m.Receive(0, 10), m.Receive(0, 0), m.Receive(0, 20), stream=stream)
    assert stream.total_received == 30
    assert world.ms == 5


def test_sends_more_than_fits_at_once(world: World) -> None:
    """A send goes on until the transport has taken all of it."""
    stream = FakeStream(world)
    carry_out(world, m.Send(0, 3 * CHUNK + 1), stream=stream)
    assert [amount for _, amount in stream.sent] == [CHUNK, CHUNK, CHUNK, 1]


def test_nothing_is_sent_for_zero_bytes(world: World) -> None:
    """A send of no bytes is done at once."""
    stream = FakeStream(world, room=0)
    carry_out(world, m.Send(0, 0), m.SendFinish(0), m.ReceiveFinish(0), stream=stream)
    assert stream.sent == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        (END, "stream 0, receive 1,000 bytes: the peer closed, 900 bytes are missing"),
        (RESET, "stream 0, receive 1,000 bytes: connection reset by peer"),
    ],
)
def test_short_data_is_a_failure(world: World, what: int | OSError, text: str) -> None:
    """A peer that closes or resets before all came is named with stream, operation and what lacks."""
    stream = FakeStream(world, [(1, 100), (2, what)])
    with pytest.raises(Failed) as failed:
        carry_out(world, m.Receive(0, 1000), stream=stream)
    assert str(failed.value) == text


def test_a_send_that_fails_is_named(world: World) -> None:
    """An error of the transport becomes one line."""
    stream = FakeStream(world)
    stream.fails = BrokenPipeError(32, "Broken pipe")
    with pytest.raises(Failed, match="stream 0, send 5 bytes: broken pipe"):
        carry_out(world, m.Send(0, 5), stream=stream)


def test_receive_all_ends_with_the_stream(world: World) -> None:
    """Receive all takes whatever comes until the end."""
    stream = FakeStream(world, [(1, 5), (3, 7), (9, END)])
    carry_out(world, m.ReceiveAll(0), stream=stream)
    assert (stream.total_received, world.ms) == (12, 9)


def test_opening_gives_the_stream_its_number(world: World) -> None:
    """Operations after an open find the stream under its number."""
    stream = FakeStream(world)
    carry_out(world, m.OpenBidirectionalStream(7), m.Send(7, 3), stream=stream)
    assert (stream.number, stream.total_sent) == (7, 3)


# --- rates -------------------------------------------------------------------------------------


def test_a_rate_lets_its_bytes_go_once_a_period(world: World) -> None:
    """300 bytes in 100 ms: each period's share at its begin, nothing carried over."""
    stream = FakeStream(world)
    carry_out(world, m.SendRate(0, 300, 100), m.Send(0, 1000), stream=stream)
    assert stream.sent == [(0, 300), (100, 300), (200, 300), (300, 100)]


def test_the_rest_of_a_period_is_left_to_the_next_transfer(world: World) -> None:
    """A thread's next transfer with a rate waits until the last one's period is over."""
    stream = FakeStream(world)
    carry_out(world, m.SendRate(0, 300, 100), m.Send(0, 400), m.Send(0, 400), stream=stream)
    assert stream.sent == [(0, 300), (100, 100), (200, 300), (300, 100)]


def test_a_sleep_ends_the_period(world: World) -> None:
    """A thread has one timer: after a sleep the next transfer goes at once."""
    stream = FakeStream(world)
    carry_out(world, m.SendRate(0, 300, 100), m.Send(0, 300), m.Sleep(10), m.Send(0, 300), stream=stream)
    assert stream.sent == [(0, 300), (10, 300)]


def test_a_rate_of_receiving_is_kept(world: World) -> None:
    """No more is taken in a period than the rate allows."""
    stream = FakeStream(world, [(0, 1000)])
    carry_out(world, m.ReceiveRate(0, 400, 50), m.Receive(0, 1000), stream=stream)
    assert stream.received == [(0, 400), (50, 400), (100, 200)]


def test_receive_all_keeps_a_rate(world: World) -> None:
    """Also where there is no amount, and the end is found in whatever period it comes."""
    stream = FakeStream(world, [(0, 1000), (120, END)])
    carry_out(world, m.ReceiveRate(0, 400, 50), m.ReceiveAll(0), stream=stream)
    assert stream.received == [(0, 400), (50, 400), (100, 200)]


def test_a_transfer_has_the_rate_of_its_begin(world: World) -> None:
    """A rate that is set meanwhile in another thread is for the transfers after."""
    stream = FakeStream(world)
    threads = ((m.Send(0, 200),), (m.Sleep(10), m.SendRate(0, 1, 1)))
    carry_out(world, m.SendRate(0, 100, 100), m.Scope(threads), stream=stream)
    assert stream.sent == [(0, 100), (100, 100)]


# --- time and traces ---------------------------------------------------------------------------


def test_a_profile_is_the_time_of_its_operations(world: World) -> None:
    """One sample each, nested ones each their own."""
    carry_out(world, m.Profile(0, (m.Sleep(3), m.Profile(1, (m.Sleep(4),)))))
    assert [list(one) for one in world.recorder.samples] == [[7 * MS], [4 * MS]]


@pytest.mark.parametrize(("count", "times"), [(3, 3), (1, 1), (0, 1)])
def test_iterate_repeats_by_count(world: World, count: int, times: int) -> None:
    """So many times, a sample each; a count of 0 runs the body once, as the real drivers do."""
    carry_out(world, m.Iterate(m.Count(count), (m.Sleep(2),), 0))
    assert list(world.recorder.samples[0]) == [2 * MS] * times


def test_a_profile_goes_on_after_each_wait(world: World) -> None:
    """However many of its operations wait, the sample ends with the last."""
    carry_out(world, m.Profile(0, (m.Sleep(1), m.Unpark(7), m.Sleep(2), m.Park(7))))
    assert list(world.recorder.samples[0]) == [3 * MS]


@pytest.mark.parametrize("value", [m.Count(3), m.Time(7)])
def test_a_profile_alone_in_its_loop_is_a_sample_each(world: World, value: m.Count | m.Time) -> None:
    """As if the loop had the trace; a body that the time cuts is none."""
    carry_out(world, m.Iterate(value, (m.Profile(0, (m.Sleep(2),)),)))
    assert list(world.recorder.samples[0]) == [2 * MS] * 3


class Slow(FakeStream):
    """Each send takes a millisecond."""

    def send(self, limit: int) -> int:
        self._world.now += MS
        return super().send(limit)


def test_others_turns_are_no_part_of_a_sample(world: World) -> None:
    """Between two repetitions others have their turn, which takes its time."""
    threads = ((m.Iterate(m.Count(2 * TURN), (m.Unpark(0),), 0),), (m.Send(0, 1), m.Send(0, 1)))
    carry_out(world, m.Scope(threads), stream=Slow(world))
    assert world.ms == 2
    assert set(world.recorder.samples[0]) == {0}


def test_iterate_by_time_ends_in_the_middle_of_its_body(world: World) -> None:
    """Only whole bodies are samples, and the stream is marked as cut."""
    stream = FakeStream(world, [(3, 10), (6, 10), (9, 5)])
    body = (m.Send(0, 10), m.Receive(0, 10))
    carry_out(world, m.Iterate(m.Time(10), body, 0), stream=stream)
    assert list(world.recorder.samples[0]) == [3 * MS, 3 * MS]
    assert stream.cut
    assert world.ms == 10


def test_iterate_by_time_that_ends_between_bodies_cuts_nothing(world: World) -> None:
    """When the time is up exactly where a body ends, the stream is whole."""
    stream = FakeStream(world, [(10, 10)])
    carry_out(world, m.Iterate(m.Time(10), (m.Receive(0, 10),), 0), stream=stream)
    assert not stream.cut


def test_an_empty_body_waits_for_its_time(world: World) -> None:
    """Nothing to repeat is no reason to spin."""
    carry_out(world, m.Iterate(m.Time(50), ()))
    assert world.ms == 50
    assert world.polls < 5


def test_the_outer_time_ends_the_inner(world: World) -> None:
    """Nested times each end their own operation, whichever is first."""
    carry_out(world, m.Iterate(m.Time(5), (m.Iterate(m.Time(2), (m.Sleep(100),), 1),), 0), m.Sleep(1))
    assert list(world.recorder.samples[0]) == [2 * MS, 2 * MS]
    assert world.ms == 6


def test_a_time_ends_what_is_done_beside(world: World) -> None:
    """Threads inside a timed iterate end with it, and nothing of them runs after."""
    stream = FakeStream(world)
    threads = ((m.Sleep(100), m.Send(0, 1)), (m.Park(3),))
    carry_out(world, m.Iterate(m.Time(10), (m.Scope(threads),)), m.Sleep(200), stream=stream)
    assert stream.sent == []
    assert world.ms == 210


@pytest.mark.parametrize("what", [END, RESET])
def test_a_peer_whose_time_was_up_earlier_is_no_failure(world: World, what: int | OSError) -> None:
    """Both ends have timers: in a timed iterate the peer's end is the end of it, and the stream is cut."""
    stream = FakeStream(world, [(1, 10), (2, what)])
    carry_out(world, m.Iterate(m.Time(50), (m.Receive(0, 10),), 0), m.Receive(0, 1), stream=stream)
    assert stream.cut
    assert list(world.recorder.samples[0]) == [1 * MS]


def test_a_peer_that_ends_early_in_a_thread_ends_the_whole_iterate(world: World) -> None:
    """The end is found in one thread of a scope; the others end with it."""
    stream = FakeStream(world, [(2, END)])
    threads = ((m.Receive(0, 10),), (m.Sleep(30),))
    carry_out(world, m.Iterate(m.Time(50), (m.Scope(threads),)), stream=stream)
    assert world.ms == 2


def test_traces_note_their_instants(world: World) -> None:
    """A trace point is an instant, not a duration."""
    carry_out(world, m.Sleep(4), m.Trace(1), m.Sleep(1), m.Trace(1))
    assert list(world.recorder.marks[1]) == [4 * MS, 5 * MS]


def test_sleeps_of_any_length(world: World) -> None:
    """A number of milliseconds that no kernel takes at once is slept in parts."""
    carry_out(world, m.Sleep(2**40))
    assert world.ms == 2**40


# --- both ends ---------------------------------------------------------------------------------


class Pipe(FakeStream):
    """One end of two: what is sent arrives at the other end, at most ``capacity`` bytes on their way."""

    def __init__(self, world: World, capacity: int, piece: int) -> None:
        super().__init__(world, room=capacity)
        self.piece = piece
        self.other: Pipe

    def send(self, limit: int) -> int:
        sent = super().send(min(limit, self.piece))
        if sent:
            self.other._arrivals.append((self._world.now, sent))
        return sent

    def receive(self, limit: int, wait: bool) -> int:
        came = super().receive(min(limit, self.piece), wait)
        if came > 0:
            assert self.other.room is not None
            self.other.room += came
        return came


def _mirrored(operations: tuple[m.ConnectionOp, ...]) -> tuple[m.ConnectionOp, ...]:
    """What the peer does: receives what is sent and sends what is received."""
    return tuple(_mirror(one) for one in operations)


def _mirror(one: m.ConnectionOp) -> m.ConnectionOp:
    match one:
        case m.Send(stream, amount):
            return m.Receive(stream, amount)
        case m.Receive(stream, amount):
            return m.Send(stream, amount)
        case m.Profile(trace, inside):
            return m.Profile(trace, _mirrored(inside))
        case m.Iterate(value, inside, trace):
            return m.Iterate(value, _mirrored(inside), trace)
        case _:
            return one


AMOUNTS = st.integers(0, 300)
PROGRAMS = st.recursive(
    st.builds(m.Send, st.just(0), AMOUNTS) | st.builds(m.Receive, st.just(0), AMOUNTS) | st.builds(m.Sleep, st.just(1)),
    lambda inside: (
        st.builds(m.Profile, st.just(0), st.lists(inside, max_size=3).map(tuple))
        | st.builds(
            m.Iterate, st.builds(m.Count, st.integers(1, 3)), st.lists(inside, max_size=3).map(tuple), st.just(1)
        )
    ),
    max_leaves=8,
)


@given(st.lists(PROGRAMS, max_size=6).map(tuple), st.integers(1, 50), st.integers(1, 20))
def test_whatever_one_end_sends_the_other_receives(
    operations: tuple[m.ConnectionOp, ...], capacity: int, piece: int
) -> None:
    """A program and its mirror image both end, and every byte sent is received, through any bottleneck."""
    world = World()
    near, far = Pipe(world, capacity, piece), Pipe(world, capacity, piece)
    near.other, far.other = far, near
    start(world, operations, FakeContext(world, near))
    start(world, _mirrored(operations), FakeContext(world, far))
    world.engine.run()
    assert (near.total_sent, far.total_sent) == (far.total_received, near.total_received)
    assert near.room == far.room == capacity
