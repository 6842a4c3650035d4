"""Do both sides come to the same end, whatever happens between them? Every interleaving walked, step by step.

What is walked are the real machine and the real log of each side; only the wire between them is a model: announcements
under way, which a lost connection takes with it, and a new one brings again from where the other side stopped hearing.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, Flag, auto

from russula.codec import Decoder
from russula.dialogue import Dialogue
from russula.errors import RemoteProtocolError
from russula.machine import Machine
from russula.messages import Entered, Frame
from russula.protocol import Command, Finished, Protocol, Role, Trigger


class Mishap(Flag):
    """What may go wrong, at every step.

    FAILURE: a worker fails where it can, in an action or at what it is sent. LOSS: the connection breaks, and is had
    again. GIVING_UP: it isn't had again within the lease. CRASH: a side dies.
    """

    NONE = 0
    FAILURE = auto()
    LOSS = auto()
    GIVING_UP = auto()
    CRASH = auto()
    ALL = FAILURE | LOSS | GIVING_UP | CRASH


@dataclass(frozen=True, slots=True)
class Joint:
    """Both sides at one moment: their states, None for one that crashed, and what they don't know of each other yet.

    ``to_coordinator``, ``to_worker``: announced and not yet heard. ``held``: heard before this side could take it.
    """

    coordinator: Enum | None
    worker: Enum | None
    to_coordinator: tuple[Enum, ...]
    to_worker: tuple[Enum, ...]
    held: tuple[tuple[Enum, ...], tuple[Enum, ...]]
    connected: bool = True
    given_up: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """All joint states that can be reached, those from which nothing goes on, and what is wrong with any of them."""

    reached: frozenset[Joint]
    stuck: frozenset[Joint]
    problems: tuple[str, ...]

    @property
    def ends(self) -> frozenset[tuple[Enum | None, Enum | None]]:
        """Where both sides are when nothing goes on."""
        return frozenset((one.coordinator, one.worker) for one in self.stuck)


@dataclass
class _Side:
    """One side: ``coming`` is under way to it."""

    machine: Machine[Enum]
    dialogue: Dialogue = field(default_factory=Dialogue)
    coming: deque[tuple[int | None, Enum]] = field(default_factory=deque)
    crashed: bool = False

    def say(self, entered: list[Enum]) -> None:
        for state in entered:
            self.dialogue.say(Entered(state.name, {}))


@dataclass
class _World:
    coordinator: _Side
    worker: _Side
    connected: bool = True
    given_up: bool = False

    @property
    def sides(self) -> tuple[_Side, _Side]:
        return self.coordinator, self.worker

    def carry(self) -> _World:
        """All that was said gets under way, if there is a connection."""
        if self.connected:
            for me, other in (self.sides, self.sides[::-1]):
                while (data := me.dialogue.next()) is not None:
                    other.coming.extend((frame.seq, _state(other, frame)) for frame in Decoder().feed(data))
        return self

    def after(self) -> _World:
        return copy.deepcopy(self)


def explore(protocol: Protocol, mishaps: Mishap = Mishap.NONE) -> Walk:
    """Walk every interleaving of both roles, announcement by announcement, with these mishaps at every step.

    The walk's ``problems`` are empty if there is no state without a way out but the ends; no announcement is lost or
    taken twice; and both sides end in agreement: whenever the coordinator takes the conversation for done the worker
    was, and as long as nobody dies or gives up, the other way round too.
    """
    start = _start(protocol)
    seen, problems, stuck = {_joint(start)}, list[str](), set[Joint]()
    todo = deque([start])
    while todo:
        world = todo.popleft()
        try:
            following = list(_steps(world, mishaps))
        except RemoteProtocolError as error:
            problems.append(f"{_joint(world)}: {error}")
            continue
        progress = [one for one in following if _joint(one) != _joint(world)]
        if not progress or _all_ended(world):
            stuck.add(_joint(world))
            problems += _wrong_with(world)
        for one in progress:
            if (joint := _joint(one)) not in seen:
                seen.add(joint)
                todo.append(one)
    return Walk(frozenset(seen), frozenset(stuck), tuple(problems))


def unreached(protocol: Protocol) -> frozenset[Enum]:
    """States that no interleaving enters: rows that nobody needs."""
    walk = explore(protocol, Mishap.FAILURE)
    entered = {one.coordinator for one in walk.reached} | {one.worker for one in walk.reached}
    roles: tuple[Role[Enum], ...] = (protocol.coordinator, protocol.worker)
    return frozenset(state for role in roles for state in role.states if state not in entered)


def _start(protocol: Protocol) -> _World:
    """Both announce where they begin."""
    coordinator = _Side(Machine(protocol.coordinator, protocol.worker))
    worker = _Side(Machine(protocol.worker, protocol.coordinator))
    coordinator.say([protocol.coordinator.initial])
    worker.say([protocol.worker.initial])
    return _World(coordinator, worker).carry()


def _joint(world: _World) -> Joint:
    one, other = world.sides
    unheard = (_coming(one, other, world), _coming(other, one, world))
    held = (one.machine.held, other.machine.held)
    states = [None if side.crashed else side.machine.state for side in world.sides]
    return Joint(states[0], states[1], *unheard, held, world.connected, world.given_up)


def _coming(me: _Side, other: _Side, world: _World) -> tuple[Enum, ...]:
    """What is under way to me; without a connection, what the other side said and I haven't heard."""
    if world.connected:
        return tuple(state for _, state in me.coming)
    return tuple(other.machine.history[me.dialogue.heard : other.dialogue.count])


def _state(me: _Side, frame: Frame) -> Enum:
    assert isinstance(frame.message, Entered)
    name = frame.message.state
    return next(state for state in me.machine.peer_role.states if state.name == name)


def _steps(world: _World, mishaps: Mishap) -> Iterator[_World]:
    for me in (0, 1):
        if not world.sides[me].crashed:
            yield from _by_itself(world, me)
            yield from _hears(world, me, mishaps)
    if Mishap.FAILURE in mishaps and not world.worker.crashed and _may_fail(world.worker.machine):
        yield _failed(world, 1)
    if world.connected and mishaps & (Mishap.LOSS | Mishap.GIVING_UP):
        yield _disconnected(world)
    if not world.connected:
        yield from _apart(world, mishaps)
    if Mishap.CRASH in mishaps and not any(side.crashed for side in world.sides):
        yield from (_crashed(world, me) for me in (0, 1))


def _by_itself(world: _World, me: int) -> Iterator[_World]:
    """A command, or the end of an action."""
    machine = world.sides[me].machine
    for trigger in [] if machine.ended else machine.role.table[machine.state]:
        if isinstance(trigger, Command | Finished):
            yield _fired(world, me, trigger)


def _fired(world: _World, me: int, trigger: Trigger) -> _World:
    after = world.after()
    side = after.sides[me]
    side.say(side.machine.fire(trigger))
    return after.carry()


def _hears(world: _World, me: int, mishaps: Mishap) -> Iterator[_World]:
    """The next announcement arrives; a worker may fail at what comes with it."""
    if not world.sides[me].coming:
        return
    after = world.after()
    side = after.sides[me]
    state = _taken(side)
    if state is side.machine.peer_role.failed:
        side.machine.heard(state)
        side.say(side.machine.fail() if me == 1 else side.machine.fail()[:0])
        yield after.carry()
        return
    carries = side.machine.peer_role.orders | side.machine.peer_role.instants
    if me == 1 and Mishap.FAILURE in mishaps and state in carries and not side.machine.ended:
        worse = after.after()
        worse.worker.say(worse.worker.machine.fail())
        worse.worker.machine.peer_history.append(state)
        yield worse.carry()
    side.say(side.machine.heard(state))
    yield after.carry()


def _taken(side: _Side) -> Enum:
    seq, state = side.coming.popleft()
    side.dialogue.take(seq)
    return state


def _may_fail(machine: Machine[Enum]) -> bool:
    return not machine.ended and machine.state in machine.role.acts


def _failed(world: _World, me: int) -> _World:
    after = world.after()
    after.sides[me].say(after.sides[me].machine.fail())
    return after.carry()


def _disconnected(world: _World) -> _World:
    after = world.after()
    after.connected = False
    for side in after.sides:
        side.coming.clear()
    return after


def _apart(world: _World, mishaps: Mishap) -> Iterator[_World]:
    """Without a connection: it is had again, or given up, after which each side fails by itself."""
    if not world.given_up and not any(side.crashed for side in world.sides):
        if Mishap.LOSS in mishaps:
            yield _resumed(world)
        if Mishap.GIVING_UP in mishaps:
            after = world.after()
            after.given_up = True
            yield after
    else:
        for me in (0, 1):
            if not world.sides[me].crashed and not world.sides[me].machine.ended:
                yield _failed(world, me)


def _resumed(world: _World) -> _World:
    after = world.after()
    after.connected = True
    one, other = after.sides
    one.dialogue.resume(other.dialogue.heard)
    other.dialogue.resume(one.dialogue.heard)
    return after.carry()


def _crashed(world: _World, me: int) -> _World:
    after = _disconnected(world)
    after.sides[me].crashed = True
    return after


def _all_ended(world: _World) -> bool:
    return world.connected and all(side.machine.ended and not side.coming for side in world.sides)


def _wrong_with(world: _World) -> Iterator[str]:
    """What may not be where nothing goes on."""
    joint, (coordinator, worker) = _joint(world), world.sides
    for side in world.sides:
        if not side.crashed and not side.machine.ended:
            yield f"{joint}: no way out of {side.machine.state.name}"
    if world.connected:
        for me, other in (world.sides, world.sides[::-1]):
            if me.machine.peer_history != other.machine.history[: other.dialogue.count]:
                yield f"{joint}: {other.machine.history} was heard as {me.machine.peer_history}"
    believed = not coordinator.crashed and _done(coordinator.machine) and _done_by(coordinator.machine)
    was = _done(worker.machine)
    if believed and not was:
        yield f"{joint}: the coordinator takes for done what isn't"
    if was and not believed and world.connected:
        yield f"{joint}: the worker is done, and the coordinator doesn't know"


def _done(machine: Machine[Enum]) -> bool:
    return machine.ended and machine.state is not machine.role.failed


def _done_by(machine: Machine[Enum]) -> bool:
    """Whether this side heard that the other is done."""
    return machine.peer_ended and machine.peer_state is not machine.peer_role.failed
