"""How is a protocol tested without sockets? Every interleaving of both roles walked, and a stream in memory.

Shipped: who writes a protocol proves it with these.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from russula.machine import Machine
from russula.protocol import Command, Finished, Protocol, Role, Trigger
from russula.stream import Stream


@dataclass(frozen=True, slots=True)
class Joint:
    """Both sides at one moment: their states, what each heard last, and what is under way to each.

    ``held``: announcements that came before this side could take them.
    """

    coordinator: Enum
    worker: Enum
    to_coordinator: tuple[Enum, ...]
    to_worker: tuple[Enum, ...]
    held: tuple[tuple[Enum, ...], tuple[Enum, ...]]


@dataclass(frozen=True, slots=True)
class Walk:
    """All joint states that can be reached, and those from which nothing goes on."""

    reached: frozenset[Joint]
    stuck: frozenset[Joint]

    @property
    def ends(self) -> frozenset[tuple[Enum, Enum]]:
        """Where both sides are when nothing goes on."""
        return frozenset((one.coordinator, one.worker) for one in self.stuck)


@dataclass
class _Side:
    machine: Machine[Enum]
    inbox: tuple[Enum, ...] = ()


_Pair = tuple[_Side, _Side]


def explore(protocol: Protocol, *, failures: bool = False) -> Walk:
    """Walk every interleaving of both roles, announcement by announcement.

    With ``failures``, the worker may also fail at every step, which its coordinator then hears and follows.
    """
    start = _start(protocol)
    seen = {_joint(start): start}
    stuck: set[Joint] = set()
    todo = deque([start])
    while todo:
        pair = todo.popleft()
        following = list(_steps(pair, failures=failures))
        if not following:
            stuck.add(_joint(pair))
        for one in following:
            if _joint(one) not in seen:
                seen[_joint(one)] = one
                todo.append(one)
    return Walk(frozenset(seen), frozenset(stuck))


def _start(protocol: Protocol) -> _Pair:
    """Both announce where they begin."""
    coordinator = _Side(Machine(protocol.coordinator, protocol.worker), (protocol.worker.initial,))
    worker = _Side(Machine(protocol.worker, protocol.coordinator), (protocol.coordinator.initial,))
    return coordinator, worker


def _joint(pair: _Pair) -> Joint:
    one, other = pair
    held = (one.machine.held, other.machine.held)
    return Joint(one.machine.state, other.machine.state, one.inbox, other.inbox, held)


def _steps(pair: _Pair, *, failures: bool) -> Iterator[_Pair]:
    for me in (0, 1):
        for trigger in _possible(pair[me].machine):
            yield _after(pair, me, trigger)
        if pair[me].inbox:
            yield _heard(pair, me)
    worker = pair[1].machine
    if failures and not worker.ended:
        yield _failed(pair)


def _possible(machine: Machine[Enum]) -> list[Trigger]:
    """What may happen at this side by itself; a command once, since a coordinator waits for its effect."""
    if machine.ended:
        return []
    return [trigger for trigger in machine.role.table[machine.state] if isinstance(trigger, Command | Finished)]


def _after(pair: _Pair, me: int, trigger: Trigger) -> _Pair:
    mine = copy.deepcopy(pair[me])
    entered = mine.machine.fire(trigger)
    return _told(pair, me, mine, entered)


def _heard(pair: _Pair, me: int) -> _Pair:
    mine = copy.deepcopy(pair[me])
    state, mine.inbox = mine.inbox[0], mine.inbox[1:]
    if state is mine.machine.peer_role.failed:
        mine.machine.heard(state)
        mine.machine.fail()
        return _told(pair, me, mine, [])
    return _told(pair, me, mine, mine.machine.heard(state))


def _failed(pair: _Pair) -> _Pair:
    mine = copy.deepcopy(pair[1])
    return _told(pair, 1, mine, mine.machine.fail())


def _told(pair: _Pair, me: int, mine: _Side, entered: list[Enum]) -> _Pair:
    peer = pair[1 - me]
    other = replace(peer, inbox=(*peer.inbox, *entered))
    return (mine, other) if me == 0 else (other, mine)


def unreached(protocol: Protocol) -> frozenset[Enum]:
    """States that no interleaving enters: rows that nobody needs."""
    walk = explore(protocol, failures=True)
    entered = {one.coordinator for one in walk.reached} | {one.worker for one in walk.reached}
    roles: tuple[Role[Enum], ...] = (protocol.coordinator, protocol.worker)
    return frozenset(state for role in roles for state in role.states if state not in entered)


class _Pipe:
    """One direction of a stream in memory."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.changed = asyncio.Event()
        self.ended = False

    def end(self) -> None:
        self.ended = True
        self.changed.set()


class MemoryStream:
    """One end of a stream in memory; ``chunk``: the most bytes that one read gives, 1 for the worst wire there is."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe, chunk: int) -> None:
        self._incoming, self._outgoing, self._chunk = incoming, outgoing, chunk

    async def read(self) -> bytes:
        """Some bytes; none at the end."""
        pipe = self._incoming
        while not pipe.data and not pipe.ended:
            pipe.changed.clear()
            await pipe.changed.wait()
        data = bytes(pipe.data[: self._chunk])
        del pipe.data[: self._chunk]
        return data

    async def write(self, data: bytes) -> None:
        """Give bytes away.

        :raises BrokenPipeError: if either end is closed.
        """
        if self._outgoing.ended:
            raise BrokenPipeError("the stream is closed")
        self._outgoing.data += data
        self._outgoing.changed.set()
        await asyncio.sleep(0)  # as a socket would, let others go on

    async def aclose(self) -> None:
        """Close both directions."""
        self._incoming.end()
        self._outgoing.end()


def memory_pair(chunk: int = 1 << 16) -> tuple[Stream, Stream]:
    """Both ends of a stream in memory."""
    there, back = _Pipe(), _Pipe()
    return MemoryStream(back, there, chunk), MemoryStream(there, back, chunk)
