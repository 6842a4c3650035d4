"""What happens beside each other? Threads, checkpoints, and who waits, under a clock that the test moves."""

from __future__ import annotations

import pytest

from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.engine import PATIENCE_NS, Stuck
from pytest_netbench.drivers.builtin.thread import END, MS
from pytest_netbench.scenario import model as m
from tests.drivers.builtin.builtin_world import FakeContext, FakeStream, World, carry_out, start

RESET = ConnectionResetError(104, "Connection reset by peer")


@pytest.fixture
def world() -> World:
    return World()


# --- threads and checkpoints -------------------------------------------------------------------


def test_a_scope_is_done_when_all_are(world: World) -> None:
    """Its threads run beside each other; empty scopes and profiles are done at once."""
    carry_out(world, m.Scope(((m.Sleep(5),), (m.Sleep(9),), ())), m.Scope(()), m.Profile(0, ()))
    assert world.ms == 9


def test_threads_wait_for_each_other_at_checkpoints(world: World) -> None:
    """Park waits for an unpark, before or after."""
    threads = ((m.Park(1), m.Trace(0), m.Unpark(2)), (m.Sleep(3), m.Unpark(1), m.Park(2), m.Trace(1)))
    carry_out(world, m.Scope(threads))
    assert [list(one) for one in world.recorder.marks] == [[3 * MS], [3 * MS]]


def test_two_unparks_before_a_park_count_once(world: World) -> None:
    """Checkpoints are a set."""
    context = FakeContext(world)
    start(world, (m.Unpark(1), m.Unpark(1), m.Park(1), m.Trace(0), m.Park(1)), context)
    with pytest.raises(Stuck):
        world.engine.run()
    assert len(world.recorder.marks[0]) == 1


def test_one_unpark_lets_one_go(world: World) -> None:
    """Two park at the same checkpoint: only one takes it."""
    context = FakeContext(world)
    start(world, (m.Scope(((m.Park(1), m.Trace(0)), (m.Park(1), m.Trace(0)), (m.Unpark(1),))),), context)
    with pytest.raises(Stuck):
        world.engine.run()
    assert len(world.recorder.marks[0]) == 1


def test_the_first_failure_ends_all_threads(world: World) -> None:
    """What is beside a failure doesn't go on."""
    stream = FakeStream(world, [(2, END)])
    context = FakeContext(world, stream)
    start(world, (m.Scope(((m.Receive(0, 1),), (m.Sleep(9), m.Trace(0)))), m.Trace(1)), context)
    with pytest.raises(Failed):
        world.engine.run()
    assert [len(one) for one in world.recorder.marks] == [0, 0]


class Exchange(FakeStream):
    """Takes as much as came."""

    def receive(self, limit: int, wait: bool) -> int:
        came = super().receive(limit, wait)
        self.room = (self.room or 0) + max(came, 0)
        return came


def test_one_thread_receives_while_another_sends(world: World) -> None:
    """Both wait on the same stream, each for its own."""
    stream = Exchange(world, [(4, 10)], room=0)
    carry_out(world, m.Scope(((m.Receive(0, 10),), (m.Send(0, 5),))), stream=stream)
    assert (stream.received, stream.sent) == ([(4, 10)], [(4, 5)])


def test_two_threads_share_what_comes_on_a_stream(world: World) -> None:
    """Receives beside each other take together what they ask for."""
    stream = FakeStream(world, [(1, 4), (2, 4), (3, 4)])
    carry_out(world, m.Scope(((m.Receive(0, 6),), (m.Receive(0, 6),))), stream=stream)
    assert (stream.total_received, world.ms) == (12, 3)


def test_a_busy_thread_lets_others_have_their_turn(world: World) -> None:
    """A body that never waits doesn't keep the others from going on."""
    threads = ((m.Iterate(m.Count(10_000), (m.Unpark(1),)), m.Trace(0)), (m.Sleep(0), m.Trace(1)))
    context = FakeContext(world)
    order: list[int] = []
    world.recorder.marks = (_Noting(order, 0), _Noting(order, 1))  # type: ignore[assignment]
    start(world, (m.Scope(threads),), context)
    world.engine.run()
    assert order == [1, 0]


class _Noting:
    def __init__(self, order: list[int], number: int) -> None:
        self._order, self._number = order, number

    def append(self, _at: int) -> None:
        self._order.append(self._number)


# --- patience ----------------------------------------------------------------------------------


class PatientStream(FakeStream):
    """Waits itself where it is told to, and notes at which ms it was."""

    def __init__(self, world: World, arrivals: list[tuple[float, int | OSError]]) -> None:
        super().__init__(world, arrivals)
        self.patient = True
        self.waited: list[float] = []

    def receive(self, limit: int, wait: bool) -> int:
        came = super().receive(limit, False)
        if not came and wait:
            self.waited.append(self._world.ms)
            self._world.now += PATIENCE_NS
            came = super().receive(limit, False)
        return came


def test_a_task_that_is_alone_waits_itself(world: World) -> None:
    """Nobody else would go on meanwhile: that saves the poller's turn."""
    stream = PatientStream(world, [(15, 10)])
    carry_out(world, m.Receive(0, 10), stream=stream)
    assert (stream.waited, stream.total_received, world.polls) == ([0], 10, 0)


def test_a_task_that_has_waited_itself_in_vain_lets_the_poller_wait(world: World) -> None:
    """What nobody has expected has its turn, too; what comes next is waited for as before."""
    stream = PatientStream(world, [(50, 10), (65, 10)])
    carry_out(world, m.Receive(0, 20), stream=stream)
    assert (stream.waited, stream.total_received, world.polls) == ([0, 50], 20, 1)


def test_a_task_that_isnt_alone_lets_the_poller_wait(world: World) -> None:
    """Another thread may have to go on before something comes."""
    stream = PatientStream(world, [(50, 10)])
    carry_out(world, m.Scope(((m.Receive(0, 10),), (m.Sleep(30), m.Trace(0)))), stream=stream)
    assert stream.waited == []
    assert list(world.recorder.marks[0]) == [30 * MS]


def test_nobody_waits_itself_shortly_before_a_timer(world: World) -> None:
    """A time is kept to the millisecond, whoever waits for what."""
    stream = PatientStream(world, [(90, 10), (500, 10)])
    carry_out(world, m.Iterate(m.Time(100), (m.Receive(0, 10),)), stream=stream)
    assert (world.ms, stream.total_received) == (100, 10)
    assert stream.waited == [0]
