"""Is the builder conservative: finished streams, nothing twice, nothing that hangs a driver?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_netbench import KB, MB, build, ms
from pytest_netbench.errors import UsageError
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.builder import Program


def one_stream(write: Callable[[Program, Program], Any]) -> m.Scenario:
    """A scenario of one stream."""
    b = build("one stream")
    server, client = b.server(), b.client()
    with client.connect(server) as connection, connection.stream() as (near, far):
        write(near, far)
    return b.finish()


def exchange(near: Program, far: Program) -> None:
    near.send(1 * KB)
    far.receive(1 * KB)


def test_streams_are_opened_and_finished() -> None:
    """Both sides finish both directions, so that no driver waits for the other."""
    scenario = one_stream(exchange)
    near, far = scenario.clients[0].connections[0].ops, scenario.servers[0].connections[0].peer_streams[0]
    finished = (m.SendFinish(0), m.ReceiveFinish(0))
    assert near == (m.OpenBidirectionalStream(0), m.Send(0, 1000), *finished)
    assert far == (m.Receive(0, 1000), *finished)


def test_equal_connections_are_kept_once() -> None:
    """A thousand equal dials share one program."""
    b = build("many")
    server, client = b.server(), b.client()
    for _ in range(3):
        with client.connect(server) as connection, connection.stream() as (near, far):
            exchange(near, far)
    scenario = b.finish()
    assert (len(scenario.clients[0].scenario), len(scenario.clients[0].connections)) == (3, 1)


def test_an_iterate_around_one_profile_is_one_operation() -> None:
    """The real builder merges them, and so does ours."""

    def write(near: Program, far: Program) -> None:
        with near.iterate(count=3), near.profile("turn"):
            near.send(1)
            near.receive(1)
        with far.iterate(count=3):
            far.receive(1)
            far.send(1)

    iterate = one_stream(write).clients[0].connections[0].ops[1]
    assert iterate == m.Iterate(m.Count(3), (m.Send(0, 1), m.Receive(0, 1)), 0)


def test_a_scope_of_one_thread_is_flat() -> None:
    """Nothing is beside anything in it."""
    b = build("flat")
    server, client = b.server(), b.client()
    with client.scope() as threads, threads.thread():
        with client.connect(server) as connection, connection.stream() as (near, far):
            exchange(near, far)
    assert isinstance(b.finish().clients[0].scenario[0], m.Connect)


def test_checkpoints_and_traces_are_numbered_in_order_of_use() -> None:
    """One table of names, one counter, for the whole scenario."""
    b = build("numbers")
    assert [b.trace_id(name) for name in ("a", "b", "a")] == [0, 1, 0]
    assert [b.checkpoint(), b.checkpoint()] == [0, 1]


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (lambda near, far: near.send(0), "send: expected a whole number of bytes above zero"),
        (lambda near, far: near.receive(1.5), "receive: expected a whole number"),
        (lambda near, far: near.iterate().__enter__(), "needs count= or time="),
        (lambda near, far: near.sleep(0.0001), "less than the millisecond"),
        (lambda near, far: (near.receive(1), far.send(1)), "the client receives first"),
        (lambda near, far: (far.receive_rate(10), far.receive(5), near.send(5)), "silently not kept"),
    ],
)
def test_what_hangs_a_real_driver_is_refused(write: Any, text: str) -> None:
    """With the place and the reason."""
    with pytest.raises(UsageError, match=text):
        one_stream(write)


def test_the_example_at_the_head_of_the_file_works() -> None:
    """As it stands there."""
    b = build("warm, then measured")
    server, client = b.server(), b.client()
    with client.connect(server) as connection, connection.stream() as (near, far):
        near.send(1 * KB)
        far.receive(1 * KB)
        far.sleep(1 * ms)
        with near.profile("response"), far.profile("response"):
            far.send(10 * MB)
            near.receive(10 * MB)
    assert b.finish().traces == ("response",)
