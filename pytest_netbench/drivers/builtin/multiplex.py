"""How does one channel carry many streams? Frames, a window for each stream, and one task that reads and writes.

The payload is its offset in the stream modulo 256, as the real drivers send it; what comes is counted, and not kept.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import errno
from collections import deque
from itertools import islice

from pytest_netbench.drivers.builtin import frames, tcp
from pytest_netbench.drivers.builtin.carrier import FRESH, LANDING, Channel, Occasion, counted, summed
from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.engine import AGAIN, PAUSE, READ, WRITE, Engine, Task, Waits
from pytest_netbench.drivers.builtin.multiplex_stream import MultiplexStream
from pytest_netbench.drivers.builtin.served import Served
from pytest_netbench.drivers.builtin.served_stream import left
from pytest_netbench.drivers.builtin.thread import TURN, ProtocolError, Thread
from pytest_netbench.telemetry.model import StreamBytes

MOST_QUEUED = 256 * 1024
"""Bytes that wait here for the socket; then those who send wait."""

_PATTERN = memoryview(bytes(range(256)) * (frames.MOST_DATA // 256 + 1))
_PARTS = 64


class Multiplex(Served):
    """The streams of one connection, in frames on a channel. ``problem``: why nothing moves any more."""

    datagrams = None

    def __init__(self, channel: Channel, engine: Engine, preamble: bytes = b"") -> None:
        super().__init__(engine)
        self.link = channel
        self.queued = 0
        self._out: deque[bytes | memoryview] = deque()
        self._reader = frames.Reader(self)
        self._programs = 0
        self._again: frozenset[int] = frozenset()
        self._ours: dict[int, MultiplexStream] = {}
        self._past: tuple[StreamBytes, ...] = ()
        self._past_ours = self._past_theirs = 0
        self._window = frames.WINDOW
        self._may_open = self._granted = frames.STREAMS
        self._credit = Occasion()
        self._crowded: list[MultiplexStream] = []
        self._now = 0
        self._pump = Task(channel, weight=0)
        if preamble:
            self.queue(preamble)

    # --- the life of the connection ------------------------------------------------------------

    def raw(self, landing: memoryview) -> int:
        """Take bytes from before the first frame."""
        return self.link.receive(landing)

    def begin(self, thread: Thread, programs: int, again: frozenset[int]) -> None:  # noqa: ARG002 - a carrier's form
        """Let the task begin that reads and writes; the peer may open all the streams that there are programs for."""
        self._programs = programs
        self._again = again
        if programs > frames.STREAMS:
            self._grant(programs)
        self.engine.spawn(self._pump, self._serve())

    def flush(self) -> None:
        """Send what is queued, as far as the socket takes it; the rest is left to the task."""
        try:
            while self._out:
                self._sent(self.link.send(list(islice(self._out, _PARTS))))
        except BlockingIOError:
            if self._pump.awaited in {READ, PAUSE}:
                self.engine.nudge(self._pump)
        except OSError as error:
            self._break(error)
            return
        if self._closing is not None and not self._out:
            self.engine.wake(self._closing)
        if self._crowded and self.queued < MOST_QUEUED:
            crowded, self._crowded = self._crowded, []
            for stream in crowded:
                stream.may_send()

    def _sent(self, size: int) -> None:
        """Take what was sent out of the queue."""
        self.queued -= size
        self._moved += size
        out = self._out
        while size:
            first = out.popleft()
            if len(first) > size:
                out.appendleft(memoryview(first)[size:])
                return
            size -= len(first)

    def open(self, thread: Thread, number: int, both_ways: bool) -> Waits | None:  # noqa: FBT001 - as the operations say
        """Open a stream from here as soon as the peer lets it."""
        if number in self._ours:
            raise Failed(f"{thread.context.title}, stream {number}, open: it is open already")
        if len(self._ours) + self._past_ours >= self._may_open and self.problem is None:
            return self._open_later(thread, number, both_ways=both_ways)
        self._open(thread, number, both_ways=both_ways)
        return None

    def _open(self, thread: Thread, number: int, *, both_ways: bool) -> None:
        stream = MultiplexStream(self, number, opened_here=True, both_ways=both_ways, window=self._window)
        self._ours[number] = thread.side.streams[number] = stream
        self.queue(frames.OPEN(frames.Tag.STREAM_OPEN, number, both_ways))
        self.flush()

    def _open_later(self, thread: Thread, number: int, *, both_ways: bool) -> Waits:
        while len(self._ours) + self._past_ours >= self._may_open:
            if (why := self.over) is not None:
                raise Failed(f"{thread.context.title}, stream {number % FRESH}, open: {why}")
            thread.link = self._credit
            yield READ
        self._open(thread, number, both_ways=both_ways)

    def end(self, thread: Thread, exact: bool) -> Waits:  # noqa: ARG002, FBT001 - a carrier's form
        """Send all, say that nothing more comes, then wait for the peer to say the same."""
        self._closing = thread
        self.flush()
        yield from self._await(thread, lambda: not self._out)
        if self.problem is None and not self._out:
            try:
                self.link.half_close()
            except OSError:
                return  # it closed first
            yield from self._await(thread, lambda: self.ended)

    def left(self) -> tuple[int, int] | None:
        """What has come and wasn't received."""
        return left((*self._ours.values(), *self._theirs.values()))

    def close(self) -> None:
        """Close the socket."""
        self.engine.cancel(self._pump)
        if self.retransmits is None:
            self.retransmits, self.busy_us = counted(tcp.kernel_says(self.link.socket))
        self.engine.poller.closed(self.link)
        self.link.socket.close()

    def streams(self) -> tuple[StreamBytes, ...]:
        """What each stream carried."""
        return (*self._past, *(one.carried() for one in (*self._ours.values(), *self._theirs.values())))

    def forget(self, stream: MultiplexStream) -> None:
        """A stream that was opened afresh is over: nothing is kept of it but what it carried."""
        known = self._ours if stream.opened_here else self._theirs
        if known.pop(stream.number, None) is not None:
            self._past = summed((*self._past, stream.carried()))
            self._past_ours += stream.opened_here
            self._past_theirs += not stream.opened_here

    # --- what streams ask for ------------------------------------------------------------------

    def queue(self, part: bytes | memoryview) -> None:
        """Send this when it is its turn."""
        self._out.append(part)
        self.queued += len(part)

    @property
    def room(self) -> int:
        """So many bytes of payload may be queued now."""
        return MOST_QUEUED - self.queued

    def crowd(self, stream: MultiplexStream) -> None:
        """Tell the stream when there is room again."""
        self._crowded.append(stream)

    def frame(self, stream: MultiplexStream, size: int) -> None:
        """Queue so many bytes of payload of a stream."""
        at, number, owner = stream.sent, stream.number, frames.MINE if stream.opened_here else frames.THEIRS
        until = at + size
        while at < until:
            part, shift = min(frames.MOST_DATA, until - at), at % 256
            self.queue(frames.DATA(frames.Tag.STREAM_DATA, number, owner, part))
            self.queue(_PATTERN[shift : shift + part])
            at += part

    # --- the task ------------------------------------------------------------------------------

    def _serve(self) -> Waits:
        if not self.link.whole:  # more may have come with the preamble than that
            yield from self._read()
            self.flush()
        while True:
            if self.problem is not None or self.ended:
                yield WRITE if self._out else PAUSE
            else:
                yield READ | WRITE if self._out else READ
            if not self.ended and self.problem is None:
                yield from self._read()
            self.flush()

    def _read(self) -> Waits:
        """Take what is there, in turns."""
        turns = TURN
        while self.problem is None:
            try:
                came = self.link.receive(LANDING)
                self._now = self.engine.clock()
                self._moved += came
                self._reader.feed(LANDING[:came])
            except BlockingIOError:
                return
            except OSError as error:
                self._break(error)
                return
            except frames.BadFrame as bad:
                self._break(ProtocolError(f"the peer doesn't keep to the protocol of multiplexing: {bad}"))
                return
            if not came:
                self._end()
                return
            if self.link.whole and came < len(LANDING):
                return
            turns -= 1
            if not turns:
                turns = TURN
                yield AGAIN

    def _end(self) -> None:
        if self._reader.inside:
            self._break(OSError(errno.ECONNRESET, "the peer closed in the middle of a frame"))
        self.ended = True
        self._wake_all()

    def _break(self, problem: OSError) -> None:
        self.problem = self.problem or problem
        self._out.clear()
        self.queued = 0
        self._wake_all()

    def _wake_all(self) -> None:
        for stream in (*self._ours.values(), *self._theirs.values()):
            stream.may_send()
            stream.may_receive()
        for occasion in (self._credit, *self._accepting.values()):
            self.engine.able(occasion, READ)
        if self._closing is not None:
            self.engine.wake(self._closing)

    # --- frames of the peer --------------------------------------------------------------------

    def opened(self, stream: int, both_ways: int) -> None:
        """The peer opened a stream; it may open more before it has used up what it may."""
        if both_ways not in {0, 1}:
            raise frames.BadFrame(f"stream {stream} is opened in a way {both_ways}, expected 0 or 1")
        if stream >= self._programs and stream % FRESH not in self._again:
            raise frames.BadFrame(f"it opens stream {stream}, there are programs for {self._programs}")
        if stream in self._theirs:
            raise frames.BadFrame(f"it opens stream {stream} a second time")
        made = MultiplexStream(self, stream, opened_here=False, both_ways=bool(both_ways), window=self._window)
        self._opened(stream, made)
        if self._granted - len(self._theirs) - self._past_theirs < frames.STREAMS // 2:
            self._grant(2 * self._granted)

    def _grant(self, streams: int) -> None:
        self._granted = streams
        self.queue(frames.MAX_STREAMS(frames.Tag.MAX_STREAMS, streams))

    def announced(self, stream: int, ours: bool, size: int) -> None:  # noqa: FBT001 - the fields of a frame
        """Payload begins to come."""
        self._stream(stream, ours=ours).announced(size)

    def data(self, stream: int, ours: bool, size: int) -> None:  # noqa: FBT001
        """Payload came."""
        self._stream(stream, ours=ours).arrived(size)
        self.last_ns = self._now
        if self.first_ns is None:
            self.first_ns = self._now

    def finished(self, stream: int, ours: bool) -> None:  # noqa: FBT001
        """The peer sends no more on a stream."""
        self._stream(stream, ours=ours).ended()

    def max_streams(self, up_to: int) -> None:
        """The peer lets more streams be opened."""
        self._may_open = max(self._may_open, up_to)
        self.engine.able(self._credit, READ)

    def max_data(self, stream: int, ours: bool, up_to: int) -> None:  # noqa: FBT001
        """The peer lets more be sent on a stream; on one that is over, that comes too late."""
        if stream < FRESH or stream in (self._ours if ours else self._theirs):
            self._stream(stream, ours=ours).allowed(up_to)

    def initial_max_data(self, up_to: int) -> None:
        """The peer lets so much be sent on streams that are opened from now on."""
        self._window = up_to

    def _stream(self, number: int, *, ours: bool) -> MultiplexStream:
        found = (self._ours if ours else self._theirs).get(number)
        if found is None:
            raise frames.BadFrame(f"stream {number} of {'ours' if ours else 'its own'} isn't open")
        return found
