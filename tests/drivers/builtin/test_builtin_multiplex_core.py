"""Does nobody wait for ever on a channel that takes and gives in pieces? The carrier alone, on a channel of lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_netbench.drivers.builtin import frames
from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.engine import READ, WRITE
from pytest_netbench.drivers.builtin.frames import THEIRS, Tag
from pytest_netbench.drivers.builtin.interpreter import compile_operations, run
from pytest_netbench.drivers.builtin.multiplex import MOST_QUEUED, Multiplex
from pytest_netbench.drivers.builtin.thread import Side, Thread
from pytest_netbench.scenario import model as m
from tests.drivers.builtin.builtin_world import FakeContext, FakeStream, World

OPEN = m.OpenBidirectionalStream(0)


class FakeChannel(FakeStream):
    """A channel that takes so many bytes at each poll, and on which texts come, one at each poll."""

    whole = True

    def __init__(self, world: World, pieces: Sequence[int], texts: Sequence[bytes | OSError] = ()) -> None:
        super().__init__(world)
        self.pieces, self.texts = list(pieces), list(texts)
        self.out = b""
        self.socket: Any = None

    def can(self) -> int:
        return (READ if self.texts else 0) | (WRITE if self.pieces else 0)

    def send(self, parts: Any) -> int:
        if not self.pieces:
            raise BlockingIOError
        text = b"".join(parts)[: self.pieces.pop(0)]
        self.out += text
        return len(text)

    def receive(self, landing: memoryview, wait: bool = False) -> int:  # type: ignore[override]
        if not self.texts:
            raise BlockingIOError
        text = self.texts.pop(0)
        if isinstance(text, OSError):
            raise text
        landing[: len(text)] = text
        return len(text)


class Context(FakeContext):
    """The context of threads on a carrier."""

    def __init__(self, world: World, carrier: Multiplex) -> None:
        super().__init__(world)
        self.open = carrier.open  # type: ignore[method-assign, assignment]


def begin(world: World, channel: FakeChannel, *programs: tuple[m.ConnectionOp, ...]) -> Multiplex:
    carrier = Multiplex(channel, world.engine)  # type: ignore[arg-type]
    carrier.begin(None, 0, frozenset())  # type: ignore[arg-type]
    context = Context(world, carrier)
    for operations in programs:
        thread = Thread(context, Side(), link=channel)
        world.engine.spawn(thread, run(thread, compile_operations(operations, world)))
    return carrier


@pytest.mark.parametrize("piece", [1000, 40_000, MOST_QUEUED, 10 * MOST_QUEUED])
def test_streams_share_a_channel_that_takes_little(piece: int) -> None:
    """Whatever it takes at once, all that several streams send goes out, and their windows aren't passed."""
    world = World()
    channel = FakeChannel(world, [piece] * 2_000)
    carrier = begin(world, channel, *((m.OpenBidirectionalStream(one), m.Send(one, 250_000)) for one in range(5)))
    world.engine.run()
    assert [one.sent for one in carrier.streams()] == [250_000] * 5


def test_a_stream_waits_for_its_window() -> None:
    """Beyond it only what the peer allows goes out."""
    world = World()
    more = frames.MAX_DATA(Tag.MAX_STREAM_DATA, 0, THEIRS, 300_000)
    channel = FakeChannel(world, [1 << 20] * 10, [more])
    carrier = begin(world, channel, (OPEN, m.Send(0, 300_000)))
    world.engine.run()
    assert carrier.streams()[0].sent == 300_000


@pytest.mark.parametrize("texts", [[ConnectionResetError(104, "Connection reset by peer")], [b"\x09"]])
@pytest.mark.parametrize("operations", [(OPEN, m.Send(0, 300_000)), (OPEN, m.Receive(0, 1))])
def test_who_waits_is_told_of_an_end(operations: tuple[m.ConnectionOp, ...], texts: Sequence[bytes | OSError]) -> None:
    """A reset, and what is no frame."""
    world = World()
    begin(world, FakeChannel(world, [1 << 20] * 10, texts), operations)
    with pytest.raises(Failed, match=r"stream 0, (send|receive)"):
        world.engine.run()


def test_what_came_before_a_bad_frame_can_be_taken_and_no_more() -> None:
    """The next operation fails, though nothing happens any more."""
    world = World()
    text = frames.DATA(Tag.STREAM_DATA, 0, THEIRS, 5) + b"*****" + b"\x09"
    begin(world, FakeChannel(world, [1 << 20] * 10, [text]), (OPEN, m.Receive(0, 5), m.Receive(0, 5)))
    with pytest.raises(Failed, match=r"stream 0, receive 5 bytes: .*tag 9"):
        world.engine.run()


def test_a_write_that_fails_ends_a_send() -> None:
    """Also one that was only taken in part."""
    world = World()
    channel = FakeChannel(world, [100])

    def fail(parts: Any) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    channel.send = fail  # type: ignore[method-assign]
    begin(world, channel, (OPEN, m.Send(0, 300_000)))
    with pytest.raises(Failed, match="stream 0, send 300,000 bytes: broken pipe"):
        world.engine.run()


def test_the_task_that_serves_keeps_nothing_alive() -> None:
    """When no thread is left, the engine is done, though the channel could still be read."""
    world = World()
    channel = FakeChannel(world, [1 << 20] * 3)
    begin(world, channel, (OPEN,))
    world.engine.run()
    assert channel.out == frames.OPEN(Tag.STREAM_OPEN, 0, 1)
