"""How do both sides meet in a test? In memory, over connections that are slow, stall, or break, as a seed decides."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from russula.transport import Accept, Securing


@dataclass(frozen=True, slots=True)
class Faults:
    """What may happen to a connection. Times in seconds, each drawn evenly from 0 to its value.

    ``delay``: of each piece. ``chunk``: the most bytes of a piece, 1 for the worst wire there is. ``lost``: the chance
    that a connection breaks, ``life`` after it began; what is under way is lost, and each side notices up to
    ``notice`` later, or not before it is connected anew. ``stall``: the chance that a piece comes ``stalled`` later,
    and with it all behind it. ``refuse``: the chance that a connection isn't made. ``ghost``: the chance that what the
    dialling side first said on a connection comes again on another, up to ``life`` later.
    """

    delay: float = 0.0
    chunk: int = 1 << 16
    lost: float = 0.0
    life: float = 1.0
    notice: float = 0.0
    stall: float = 0.0
    stalled: float = 0.0
    refuse: float = 0.0
    ghost: float = 0.0


class MemoryTransport(asyncio.Transport):
    """One end of a connection in memory."""

    def __init__(self, protocol: asyncio.Protocol, faults: Faults, chance: random.Random) -> None:
        super().__init__()
        self.peer: MemoryTransport | None = None
        self._protocol, self._faults, self._chance = protocol, faults, chance
        self._loop = asyncio.get_running_loop()
        self._high = 1 << 16
        self._waiting = 0
        self._arrives = 0.0
        self._paused = self._silent = self._closing = self._gone = self._cut = False
        self._held: list[bytes] | None = None
        self._line: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self.first_words = b""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Who is told from now on."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """How much may wait before the writer is paused."""
        del low
        self._high = 1 << 16 if high is None else high

    def is_closing(self) -> bool:
        """Whether no more can be written."""
        return self._closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Give bytes away; they arrive in order."""
        if self._closing or self._silent:
            return
        self.first_words = self.first_words or bytes(data)
        view = memoryview(data)
        for start in range(0, len(view), self._faults.chunk):
            self._put(bytes(view[start : start + self._faults.chunk]))

    def _put(self, data: bytes) -> None:
        self._waiting += len(data)
        if self._waiting > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()
        self._later(self._arrive, data)

    def _later(self, what: Callable[..., None], *arguments: object) -> None:
        """After all that is under way."""
        faults, chance = self._faults, self._chance
        delay = chance.uniform(0, faults.delay)
        if faults.stall and chance.random() < faults.stall:
            delay += chance.uniform(0, faults.stalled)
        self._arrives = max(self._arrives, self._loop.time() + delay)
        self._line.append((what, arguments))
        if self._arrives > self._loop.time():
            self._loop.call_at(self._arrives, self._first_in_line)
        else:
            self._loop.call_soon(self._first_in_line)

    def _first_in_line(self) -> None:
        """Whichever timer comes first, what was written first arrives first: timers of one moment have no order."""
        what, arguments = self._line.popleft()
        what(*arguments)

    def _arrive(self, data: bytes) -> None:
        if self._cut or self.peer is None:
            return
        if self.peer._held is not None:  # noqa: SLF001  its other end doesn't read now
            self.peer._held.append(data)  # noqa: SLF001
            return
        self._waiting -= len(data)
        if not self.peer._gone:  # noqa: SLF001
            self.peer._protocol.data_received(data)  # noqa: SLF001
        if self._paused and not self._gone and self._waiting <= self._high // 4:
            self._paused = False
            self._protocol.resume_writing()

    def close(self) -> None:
        """End the connection once all has arrived."""
        if not self._closing:
            self._closing = True
            self._later(self._end)

    def _end(self) -> None:
        peer = self.peer
        self.end(None)
        if peer is not None and not peer._gone and not self._cut:  # noqa: SLF001
            if not self._silent:
                peer._protocol.eof_received()  # noqa: SLF001
            peer.end(None)

    def can_write_eof(self) -> bool:
        """As of a socket."""
        return True

    def write_eof(self) -> None:
        """Say no more, and go on reading."""
        if not self._closing and not self._silent:
            self._silent = True
            self._later(self._say_no_more)

    def _say_no_more(self) -> None:
        peer = self.peer
        if peer is not None and not peer._gone and not self._cut and not peer._protocol.eof_received():  # noqa: SLF001
            peer.close()

    def abort(self) -> None:
        """End the connection now; what is under way is lost."""
        self._closing = self._cut = True
        self._loop.call_soon(self.end, None)
        if self.peer is not None:
            self._loop.call_soon(self.peer.end, ConnectionResetError("reset"))

    def cut(self) -> None:
        """What is under way in either direction is lost, and all that follows."""
        self._cut = True
        if self.peer is not None:
            self.peer._cut = True  # noqa: SLF001

    def end(self, error: Exception | None) -> None:
        """This end learns that the connection is gone."""
        if not self._gone:
            self._gone = self._closing = True
            self._protocol.connection_lost(error)

    def pause_reading(self) -> None:
        """What arrives waits, and holds the other end's writer back."""
        self._held = [] if self._held is None else self._held

    def resume_reading(self) -> None:
        """What waited is read."""
        held, self._held = self._held or [], None
        for data in held:
            if self.peer is not None:
                self.peer._arrive(data)  # noqa: SLF001


def memory_pair(
    here: asyncio.Protocol, there: asyncio.Protocol, faults: Faults | None = None, seed: int = 0
) -> tuple[MemoryTransport, MemoryTransport]:
    """Connect two protocols; both are told before this returns."""
    chance, wire = random.Random(seed), faults or Faults()  # noqa: S311  chance, not a secret
    one, other = MemoryTransport(here, wire, chance), MemoryTransport(there, wire, chance)
    one.peer, other.peer = other, one
    there.connection_made(other)
    here.connection_made(one)
    return one, other


class Network:
    """Where workers listen and coordinators dial. ``connections``: how many there were."""

    def __init__(self, faults: Faults | None = None, seed: int = 0) -> None:
        self.faults = faults or Faults()
        self.connections = 0
        self._chance = random.Random(seed)  # noqa: S311  chance, not a secret
        self._listeners: dict[str, tuple[Accept, list[MemoryTransport]]] = {}

    def listen(self, address: str, accept: Accept) -> None:
        """A worker listens."""
        self._listeners[address] = accept, []

    def crash(self, address: str) -> None:
        """A worker dies, as by a power cut: nobody listens there any more, and its connections say nothing."""
        _, connections = self._listeners.pop(address, (None, []))
        for one in connections:
            one.cut()
            if one.peer is not None:
                asyncio.get_running_loop().call_later(
                    self._chance.uniform(0, self.faults.notice), one.peer.end, ConnectionResetError("reset")
                )

    async def dial(
        self, address: str, protocol: asyncio.Protocol, securing: Securing | None = None
    ) -> asyncio.BaseTransport:
        """As ``transport.connect``.

        :raises ConnectionRefusedError: if nobody listens, or chance wills it.
        """
        del securing
        faults, chance = self.faults, self._chance
        await asyncio.sleep(chance.uniform(0, faults.delay))
        if address not in self._listeners or chance.random() < faults.refuse:
            raise ConnectionRefusedError(f"nobody listens at {address}")
        self.connections += 1
        accept, connections = self._listeners[address]
        here, there = MemoryTransport(protocol, faults, chance), MemoryTransport(_NOBODY, faults, chance)
        here.peer, there.peer = there, here
        told = accept(there)
        there.set_protocol(told)
        told.connection_made(there)
        connections.append(there)
        protocol.connection_made(here)
        if chance.random() < faults.lost:
            asyncio.get_running_loop().call_later(chance.uniform(0, faults.life), self._break, here, there)
        if chance.random() < faults.ghost:
            later = chance.uniform(0, faults.life)
            asyncio.get_running_loop().call_later(later, lambda: self._haunt(accept, here.first_words))
        return here

    def isolate(self) -> None:
        """Nobody can be dialled any more, and no connection carries anything: the coordinator died."""
        for _, connections in self._listeners.values():
            for one in connections:
                self._break(one)
        self._listeners = {}

    def _haunt(self, accept: Accept, words: bytes) -> None:
        ghost = MemoryTransport(_NOBODY, self.faults, self._chance)
        there = MemoryTransport(_NOBODY, self.faults, self._chance)
        ghost.peer, there.peer = there, ghost
        told = accept(there)
        there.set_protocol(told)
        told.connection_made(there)
        ghost.write(words)
        asyncio.get_running_loop().call_later(self._chance.uniform(0, self.faults.life), self._break, ghost, there)

    def _break(self, *ends: MemoryTransport) -> None:
        for one in ends:
            one.cut()
            later = self._chance.uniform(0, self.faults.notice)
            asyncio.get_running_loop().call_later(later, one.end, ConnectionResetError("reset"))


_NOBODY = asyncio.Protocol()
