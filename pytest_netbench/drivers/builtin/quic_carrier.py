"""How does a connection of QUIC carry streams? aioquic is the protocol, without input or output; this drives it.

This file runs on hosts; like ``quic``, it needs aioquic.
"""

from __future__ import annotations

import contextlib
import errno
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from aioquic.quic import events

from pytest_netbench.drivers.builtin import tcp
from pytest_netbench.drivers.builtin.carrier import FRESH, Occasion, summed
from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.engine import PAUSE, READ, Engine, Task, Timer, Waits
from pytest_netbench.drivers.builtin.quic_datagrams import QuicDatagrams
from pytest_netbench.drivers.builtin.quic_stream import PREFIX_BYTES, QuicStream
from pytest_netbench.drivers.builtin.served import Served
from pytest_netbench.drivers.builtin.served_stream import left
from pytest_netbench.drivers.builtin.thread import MS, ProtocolError, Thread
from pytest_netbench.telemetry.model import StreamBytes

if TYPE_CHECKING:
    from aioquic.quic.connection import QuicConnection

_NS = 1e9
_ONE_WAY = 2
NO_ERROR = 0

Datagrams: TypeAlias = Sequence[tuple[bytes, Any]]


class QuicCarrier(Served):
    """The streams of one connection.

    ``send_all`` sends datagrams, ``gone`` is called when it is closed, ``named`` with each id that the peer may call it
    by from now on, or no longer. ``name``: by which a client calls this server.
    """

    heard: ClassVar[str | None] = None
    """The name in the last first message of a client that was read."""

    def __init__(
        self,
        engine: Engine,
        send_all: Callable[[Datagrams], None],
        gone: Callable[[], None],
        named: Callable[..., None] | None = None,
    ) -> None:
        super().__init__(engine)
        self.link = Occasion()
        self.ready = False
        self.resumed = self.early_data = False
        self.alpn: str | None = None
        self.quic: QuicConnection | None = None
        self._send_all = send_all
        self._gone = gone
        self._named = named
        self.name: str | None = None
        self._shake_by = 0
        self._programs: int | None = None
        self._again: frozenset[int] = frozenset()
        self._past: tuple[StreamBytes, ...] = ()
        self.datagrams: QuicDatagrams | None = None
        self._streams: dict[int, QuicStream] = {}
        self._begun: dict[int, bytes] = {}
        self._early: defaultdict[int, list[events.StreamReset | events.StopSendingReceived]] = defaultdict(list)
        self._ours: set[int] = set()
        self._clocked = Task(weight=0)
        self._timer: Timer | None = None
        self.engine.spawn(self._clocked, self._keep_time())

    # --- the protocol --------------------------------------------------------------------------

    def start(self, quic: QuicConnection, patience_ms: int, target: tcp.SocketAddress | None = None) -> None:
        """From now on this is the connection, which must be up in so long; with a target, it is dialled."""
        self.quic = quic
        if quic.configuration.max_datagram_frame_size is not None:
            self.datagrams = QuicDatagrams(self, quic)
        self._shake_by = self.engine.clock() + patience_ms * MS
        if target is not None:
            quic.connect(target, self._now)
            self.turn()

    @property
    def _now(self) -> float:
        return self.engine.clock() / _NS

    @property
    def up(self) -> bool:
        """Whether something can still be sent."""
        return self.problem is None and not self.ended and self.quic is not None

    @property
    def why(self) -> str:
        """What is said of a connection that isn't up."""
        return "the peer closed" if self.problem is None else self.problem.strerror or str(self.problem)

    def received(self, datagram: bytes, peer: Any) -> None:  # noqa: ANN401 - a socket's address
        """The peer sent this; ``turn`` is to follow, once for all that came."""
        assert self.quic is not None
        self._moved += 1
        QuicCarrier.heard = None
        self.quic.receive_datagram(datagram, peer, self._now)
        self.name = self.name or QuicCarrier.heard

    def turn(self) -> None:
        """Take what has happened, send what is to be sent, look when to come back."""
        quic = self.quic
        assert quic is not None
        while (event := quic.next_event()) is not None:
            self._happened(event)
        try:
            self._send_all(quic.datagrams_to_send(self._now))
        except OSError as error:
            self.lost(error)
        if (ended := quic._close_event) is not None:  # noqa: SLF001 - its event comes three timeouts later
            self._ended(ended)
        for stream in list(self._streams.values()):
            if stream.full and self.sendable(stream):
                stream.may_send()
            if stream.number >= FRESH and stream.over and self._inner(stream) is None:
                self._forget(stream)
        if self._closing is not None:
            self.engine.wake(self._closing)
        if self.datagrams is not None:
            self.datagrams.moved()
        self._arm()

    def _arm(self) -> None:
        assert self.quic is not None
        when = self.quic.get_timer()
        if when is None:
            return
        instant = round(when * _NS)
        if not self.ready and self.up:
            instant = min(instant, self._shake_by)
        if self._timer is None or not self._timer.live or self._timer.when > instant:
            if self._timer is not None:
                self._timer.live = False
            self._timer = self.engine.timer(instant, self._clocked)

    def _keep_time(self) -> Waits:
        while True:
            yield PAUSE
            self._timer = None
            if not self.ready and self.engine.clock() >= self._shake_by:
                self.lost(TimeoutError(errno.ETIMEDOUT, "no answer in time"))
            if self.quic is not None and (when := self.quic.get_timer()) is not None:
                if when <= self._now:
                    self.quic.handle_timer(self._now)
                self.turn()

    def _happened(self, event: events.QuicEvent) -> None:
        match event:
            case events.StreamDataReceived():
                self._data(event.stream_id, event.data, end=event.end_stream)
            case events.HandshakeCompleted():
                self.ready, self.alpn = True, event.alpn_protocol
                self.resumed, self.early_data = event.session_resumed, event.early_data_accepted
                self.engine.able(self.link, READ)
            case events.DatagramFrameReceived():
                assert self.datagrams is not None
                self.datagrams.came()
            case events.ConnectionIdIssued() | events.ConnectionIdRetired():
                if self._named is not None:
                    self._named(event.connection_id, added=isinstance(event, events.ConnectionIdIssued))
            case events.StreamReset() | events.StopSendingReceived():
                self._given_up(event)

    def _given_up(self, event: events.StreamReset | events.StopSendingReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            self._early[event.stream_id].append(event)  # its number is still to come
        elif isinstance(event, events.StreamReset):
            stream.reset(event.error_code)
        else:
            stream.refused()

    def _ended(self, event: events.ConnectionTerminated) -> None:
        """The connection is over: well, or not."""
        if not self.up:
            return
        if event.error_code == NO_ERROR:
            self.ended = True
        elif event.reason_phrase == "Idle timeout":
            self.problem = TimeoutError(errno.ETIMEDOUT, "the peer was silent until the idle timeout")
        else:
            what = event.reason_phrase or "no reason given"
            self.problem = ProtocolError(f"QUIC ended with error 0x{event.error_code:x}: {what}")
        self._tell_all()

    def lost(self, error: OSError) -> None:
        """The network says that nobody is there."""
        if self.up:
            self.problem = error
            self._tell_all()

    def _tell_all(self) -> None:
        """Whoever waits for anything learns that it is over."""
        for stream in self._streams.values():
            stream.may_send()
            stream.may_receive()
        for occasion in (self.link, *self._accepting.values()):
            self.engine.able(occasion, READ)
        if self.datagrams is not None:
            self.datagrams.over()
        if self._closing is not None:
            self.engine.wake(self._closing)

    # --- streams -------------------------------------------------------------------------------

    def _data(self, wire_id: int, data: bytes, *, end: bool) -> None:
        stream = self._streams.get(wire_id)
        if stream is None:
            data = self._begun.pop(wire_id, b"") + data
            if len(data) < PREFIX_BYTES:
                self._begun[wire_id] = data
                if end:
                    self._offend(f"a stream ends after {len(data)} of {PREFIX_BYTES} bytes of its number")
                return
            number = int.from_bytes(data[:PREFIX_BYTES], "big")
            data = data[PREFIX_BYTES:]
            stream = self._accepted(number, wire_id)
            if stream is None:
                return
        if data:
            self.last_ns = self.engine.clock()
            self.first_ns = self.first_ns or self.last_ns
        stream.came(len(data), end=end)

    def _accepted(self, number: int, wire_id: int) -> QuicStream | None:
        if number in self._theirs:
            self._offend(f"it opens stream {number} a second time")
            return None
        if not self._has_program(number):
            self._offend(f"it opens stream {number}, there are programs for {self._programs}")
            return None
        stream = QuicStream(self, number, wire_id, opened_here=False, both_ways=not wire_id & _ONE_WAY)
        self._streams[wire_id] = stream
        for event in self._early.pop(wire_id, ()):
            self._given_up(event)
        self._opened(number, stream)
        return stream

    def _offend(self, what: str) -> None:
        """The peer did what isn't agreed: close, and say so to whoever waits."""
        assert self.quic is not None
        self.quic.close(error_code=1, reason_phrase=f"the peer doesn't keep to netbench over QUIC: {what}")

    def begin(self, thread: Thread, programs: int, again: frozenset[int]) -> None:  # noqa: ARG002 - a carrier's form
        """The peer may open streams 0 to ``programs - 1``, some of them afresh."""
        self._programs, self._again = programs, again
        if (wrong := next((one for one in self._theirs if not self._has_program(one)), None)) is not None:
            self._offend(f"it opens stream {wrong}, there are programs for {programs}")
            self.turn()

    def _has_program(self, number: int) -> bool:
        return self._programs is None or number < self._programs or number % FRESH in self._again

    def raw(self, landing: memoryview) -> int:
        """There is nothing before the streams."""
        raise NotImplementedError

    def flush(self) -> None:
        """Nothing waits for the first payload."""

    def open(self, thread: Thread, number: int, both_ways: bool) -> None:  # noqa: FBT001 - as the operations say
        """Open a stream from here; aioquic waits with what is sent on it until the peer lets it."""
        if number in self._ours:
            raise Failed(f"{thread.context.title}, stream {number}, open: it is open already")
        quic = self.quic
        assert quic is not None
        self._ours.add(number)
        wire_id = quic.get_next_available_stream_id(is_unidirectional=not both_ways)
        stream = QuicStream(self, number, wire_id, opened_here=True, both_ways=both_ways)
        self._streams[wire_id] = thread.side.streams[number] = stream
        if self.up:
            quic.send_stream_data(wire_id, number.to_bytes(PREFIX_BYTES, "big"))
            self.turn()

    def sendable(self, stream: QuicStream) -> bool:
        """Whether aioquic has sent all of a stream that it was given."""
        inner = self._inner(stream)
        return inner is None or inner.sender.buffer_is_empty

    def _inner(self, stream: QuicStream) -> Any:  # noqa: ANN401 - aioquic's own
        """Aioquic's stream, None once it has finished: nothing public tells how far it has come."""
        assert self.quic is not None
        return self.quic._streams.get(stream.wire_id)  # noqa: SLF001

    def send(self, stream: QuicStream, payload: memoryview) -> bool:
        """Send this, if what was given before has gone."""
        if not self.sendable(stream):
            return False
        assert self.quic is not None
        self.quic.send_stream_data(stream.wire_id, bytes(payload))
        self.turn()
        return True

    def is_over(self, stream: QuicStream) -> bool:
        """Whether aioquic has done with it: both ends have finished, or given it up."""
        return self._inner(stream) is None

    def finish(self, stream: QuicStream) -> None:
        """Say that nothing more comes."""
        if not self.is_over(stream):
            assert self.quic is not None
            self.quic.send_stream_data(stream.wire_id, b"", end_stream=True)
            self.turn()

    def refuse(self, stream: QuicStream) -> None:
        """Say that nothing more is taken."""
        if self._inner(stream) is not None:
            assert self.quic is not None
            self.quic.stop_stream(stream.wire_id, NO_ERROR)
            self.turn()

    # --- the end -------------------------------------------------------------------------------

    def end(self, thread: Thread, exact: bool) -> Waits:  # noqa: ARG002, FBT001 - a carrier's form
        """Wait until the peer has all; a server also until the client closes, which else would hear of no end."""
        assert self.quic is not None
        dialled = self.quic.configuration.is_client
        yield from self._await(thread, lambda: self.ended or (dialled and self._delivered()))
        self._closing = None

    def _delivered(self) -> bool:
        """Whether the peer has acknowledged all that was sent."""
        if self.datagrams is not None and self.datagrams.pending():
            return False
        for stream in self._streams.values():
            inner = self._inner(stream)
            if inner is not None and not inner.sender.is_finished and inner.sender._buffer:  # noqa: SLF001
                return False
        return True

    def left(self) -> tuple[int, int] | None:
        """What has come and wasn't received."""
        return left(self._streams.values())

    def close(self) -> None:
        """Close, and tell the peer."""
        self.engine.cancel(self._clocked)
        if self._timer is not None:
            self._timer.live = False
        if self.quic is not None:
            self.quic.close(error_code=NO_ERROR)
            with contextlib.suppress(OSError):  # it is gone
                self._send_all(self.quic.datagrams_to_send(self._now))
        self._gone()

    def streams(self) -> tuple[StreamBytes, ...]:
        """What each stream carried."""
        return (*self._past, *(one.carried() for one in self._streams.values()))

    def _forget(self, stream: QuicStream) -> None:
        """One that was opened afresh is over, and the peer has all of it: only what it carried is kept."""
        self._past = summed((*self._past, stream.carried()))
        del self._streams[stream.wire_id]
        if not stream.opened_here:
            del self._theirs[stream.number]
