"""How are many workers driven through one protocol? All at once, to a state, by a deadline."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import TYPE_CHECKING, Generic, Self, TypeAlias, TypeVar

from russula import transport
from russula.errors import DeadlineExceeded, LocalProtocolError, RussulaError, WorkerLost
from russula.goal import Goal
from russula.introspect import Change, Snapshot, WorkerView
from russula.member import Member, Target, Terms
from russula.messages import JSON, MOST
from russula.protocol import Protocol
from russula.reaching import AT_ONCE, Dial, Reach
from russula.talk import BEGAN
from russula.transport import Securing

if TYPE_CHECKING:
    from russula.credentials import Credentials

W = TypeVar("W", bound=Enum)

DEADLINE = 60.0
"""Seconds for ``run_till`` where neither it nor ``connect`` names another."""
LEASE = 10.0
"""Seconds for which a worker goes on without a connection, and its coordinator tries to have one again."""
LEAD = 0.03
"""Seconds between the announcement of the agreed instant and the instant."""
LEAD_EACH, LEAD_QUESTIONS = 0.0001, 3
"""More for each worker: this many seconds, and as long as so many questions about its clock took. An announcement
costs both ends more than a question, and the last worker has to hear of the instant before it comes."""
MEASURED_AT_ONCE = 32
"""Workers whose clocks are measured at the same time: more would wait for each other, and be less sure."""
FRESH, MEASURED_ANEW = 1.0, 5
"""Seconds: clocks drift, some by 200 microseconds a second; and how often they are measured before they are taken."""
NAMED = 10
"""Workers named in a message, at most."""
SALVAGE = 3.0
"""Seconds for the files of workers when a conversation ends badly."""
CLOSING = 1.0
"""Seconds for workers to end, and to hang up; then connections are cut, and they end by themselves."""


class _Listener:
    """Who follows ``events()``: the members that changed since it last looked."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.changed = deque(members)
        self.told = dict.fromkeys(members, 0)
        self.more = asyncio.Event()

    def take(self, member: Member) -> None:
        self.changed.append(member)
        self.more.set()


class Coordinator(Generic[W]):
    """Drives workers; made by :meth:`connect`, an async context manager that ends every conversation when left."""

    def __init__(self, protocol: Protocol, clock: Callable[[], int], *, lead: float, patience: float) -> None:
        self._protocol, self._clock = protocol, clock
        self._members: dict[str, Member] = {}
        self._lead, self._patience = lead, patience
        self._instant_ns: int | None = None
        self._measured_after = False
        self._question_s = 0.0
        self._goals: list[Goal] = []
        self._listeners: list[_Listener] = []

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        protocol: Protocol,
        targets: Iterable[Target],
        *,
        run: str,
        deadline: float,
        credentials: Credentials | None = None,
        lead: float = LEAD,
        patience: float = DEADLINE,
        lease: float = LEASE,
        clock: Callable[[], int] = time.monotonic_ns,
        dial: Dial = transport.connect,
    ) -> AsyncIterator[Self]:
        """Connect to all workers at once, within ``deadline`` seconds; ``patience`` is ``run_till``'s own default.

        Workers over TCP need the coordinator's ``credentials`` of their run. A connection that breaks is had again
        within ``lease`` seconds, or its worker is lost, and stops what it does. ``clock`` and ``dial`` are for tests.

        :raises DeadlineExceeded: names who doesn't listen.
        :raises RussulaError: if a worker speaks another protocol, or two have one name.
        """
        made = cls(protocol, clock, lead=lead, patience=patience)
        terms = Terms(protocol, run, lease, clock, made._changed)
        made._add(targets, terms, _securing(credentials), dial)
        try:
            await made._join(deadline)
            yield made
        except BaseException:
            await made._salvage()
            raise
        finally:
            await made._leave()

    async def run_till(self, state: W, *, deadline: float | None = None) -> None:
        """Return when all workers have entered a state, now or before; gives the commands that this needs.

        A command is given to all at once, when all are where it is possible.

        :raises WorkerFailed: for the first worker that fails; with its state, reason, and its driver's last words.
        :raises WorkerLost: for the first whose connection ended, and didn't come back within the lease.
        :raises DeadlineExceeded: names who isn't there, in which state each is, and since when.
        :raises LocalProtocolError: if a worker's conversation ended elsewhere.
        """
        seconds = self._patience if deadline is None else deadline
        goal = Goal(state, self._members.values())
        self._goals.append(goal)
        try:
            async with asyncio.timeout(seconds):
                while not goal.is_reached():
                    if goal.busy:
                        await goal.wait()
                    else:
                        await self._command(goal)
        except TimeoutError:
            raise DeadlineExceeded(self._explain(state, seconds)) from None
        finally:
            self._goals.remove(goal)

    async def failure(self) -> RussulaError:
        """The first failure of a worker, now or once there is one; whoever awaits it cancels that where there is none.

        What ``run_till`` would raise, for a group that others wait for.
        """
        listener = _Listener(tuple(self._members.values()))
        self._listeners.append(listener)
        try:
            while True:
                while listener.changed:
                    if (error := listener.changed.popleft().error) is not None:
                        return error
                listener.more.clear()
                await listener.more.wait()
        finally:
            self._listeners.remove(listener)

    async def measure_clocks(self) -> None:
        """Estimate all workers' clocks now, where no agreed start will ask for them; never in a silent state."""
        await self._measure(tuple(self._members.values()))

    # --- what is known -------------------------------------------------------------------------

    def said(self, name: str, state: W) -> Mapping[str, JSON]:
        """What a worker said when it entered a state; nothing if it hasn't."""
        member = self._members.get(name)
        return {} if member is None else member.said.get(state, {})

    @property
    def instant_ns(self) -> int | None:
        """The agreed start on this machine's monotonic clock; None before it is agreed."""
        return self._instant_ns

    def here(self, name: str, there_ns: int) -> int:
        """The moment on this machine's monotonic clock at which a worker's showed this.

        Without an agreed start no clock was measured, and they are taken for one.
        """
        clock = self._members[name].clock
        return there_ns if clock is None else clock.here(there_ns)

    def begins(self) -> Mapping[str, int]:
        """When each worker really began after the agreed start, as it said by ``began_ns``, on this machine's clock."""
        found = {}
        for name, member in self._members.items():
            for data in member.said.values():
                began = data.get(BEGAN)
                if type(began) is int and 0 <= began <= MOST:
                    found[name] = self.here(name, began)
        return found

    @property
    def silent_bytes(self) -> int:
        """Bytes that crossed control connections in states in which they are silent; TCP's by the kernel's count."""
        return sum(member.silent_bytes for member in self._members.values())

    def snapshot(self) -> Snapshot:
        """What is known now of every worker."""
        return Snapshot(self._protocol.name, {name: _view(member) for name, member in self._members.items()})

    async def events(self) -> AsyncIterator[Change]:
        """Every state that a worker enters, from the first, as it is heard; ends when all have ended."""
        listener = _Listener(tuple(self._members.values()))
        self._listeners.append(listener)
        try:
            going = {member for member in self._members.values() if not _is_over(member)}
            while True:
                while listener.changed:
                    member = listener.changed.popleft()
                    for state in member.machine.peer_history[listener.told[member] :]:
                        listener.told[member] += 1
                        yield Change(member.name, state)
                    if _is_over(member):
                        going.discard(member)
                if not going:
                    return
                listener.more.clear()
                await listener.more.wait()
        finally:
            self._listeners.remove(listener)

    # --- what is done --------------------------------------------------------------------------

    def _add(self, targets: Iterable[Target], terms: Terms, securing: _Securing, dial: Dial) -> None:
        slots = asyncio.Semaphore(AT_ONCE)
        for target in targets:
            if target.name in self._members:
                raise LocalProtocolError(f"two workers of one name: {target.name}")
            secure = securing(target.certificate or target.name, target.pin)
            reach = Reach(target.address, secure, dial, slots)
            self._members[target.name] = Member(target, secrets.token_hex(16), terms, reach)

    def _changed(self, member: Member) -> None:
        for goal in self._goals:
            goal.changed(member)
        for listener in self._listeners:
            listener.take(member)

    async def _join(self, deadline: float) -> None:
        try:
            async with asyncio.timeout(deadline):
                await _gather(member.join() for member in self._members.values())
        except TimeoutError:
            missing = [one for one in self._members.values() if not one.connected and not one.machine.peer_history]
            each = (f"{one.name} doesn't answer at {one.target.address}{one.met}" for one in missing[:NAMED])
            more = f"; and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            raise DeadlineExceeded(f"after {deadline:g} s: {'; '.join(each)}{more}") from None

    async def _command(self, goal: Goal) -> None:
        """Give each its command; clocks are measured before where an instant goes with it, and once after that."""
        members, role = tuple(goal.missing), self._protocol.coordinator
        states = {member.machine.state for member in members}
        if {role.table[state][role.commands[state]] for state in states & role.commands.keys()} & role.instants:
            if not await goal.unless_failed(self._measure_all_lately(members)):
                return
            unsure = max(one.clock.first.uncertainty_ns for one in members if one.clock) / 1e9
            lead = self._lead + (LEAD_EACH + LEAD_QUESTIONS * self._question_s) * len(members) + 2 * unsure
            self._instant_ns = self._clock() + round(lead * 1e9)
        elif self._instant_ns is not None and not self._measured_after:
            self._measured_after = True
            if not await goal.unless_failed(self._measure(members)):
                return
        for member in members:
            if (command := member.next_command()) is not None:
                member.command(command, self._instant_ns)

    async def _measure_all_lately(self, members: Sequence[Member]) -> None:
        """Measure all clocks, and anew those whose estimate grew old while another worker was slow to answer."""
        old = list(members)
        for _ in range(MEASURED_ANEW):
            await self._measure(old)
            since = self._clock() - round(FRESH * 1e9)
            old = [one for one in members if one.clock is None or one.clock.first.at_ns < since]
            if not old:
                return

    async def _measure(self, members: Iterable[Member]) -> None:
        slots, questions, began = asyncio.Semaphore(MEASURED_AT_ONCE), 0, self._clock()

        async def one(member: Member) -> None:
            nonlocal questions
            async with slots:
                questions += await member.measure(after=self._measured_after)

        await _gather(one(member) for member in members)
        self._question_s = (self._clock() - began) / 1e9 / max(questions, 1)

    def _explain(self, state: W, seconds: float) -> str:
        missing = [member for member in self._members.values() if not member.has_entered(state)]
        each = (self._where(one) for one in missing[:NAMED])
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        who = f"{len(missing)} of {len(self._members)} workers aren't {state.name}"
        return f"after {seconds:g} s {who}: {'; '.join(each)}{more}"

    def _where(self, member: Member) -> str:
        without = "" if member.connected else ", without a connection"
        return f"{member.name} is {member.state.name} since {(self._clock() - member.since_ns) / 1e9:.1f} s{without}"

    async def _salvage(self) -> None:
        """Get what the workers' drivers left, as far as they still answer."""
        asked = [one for one in self._members.values() if one.connected and not one.fetched]
        for member in asked:
            member.fetch()
        listener = _Listener(())
        self._listeners.append(listener)
        try:
            async with asyncio.timeout(SALVAGE):
                while any(one.connected and not one.fetched for one in asked):
                    listener.more.clear()
                    await listener.more.wait()
        except TimeoutError:
            return
        finally:
            self._listeners.remove(listener)

    async def _leave(self) -> None:
        closing = [link for member in self._members.values() for link in member.leave()]
        if closing:
            ends = [asyncio.ensure_future(link.closed()) for link in closing]
            try:
                await asyncio.wait(ends, timeout=CLOSING)
            finally:
                for link in closing:
                    link.abort()
            await asyncio.wait(ends)


_Securing: TypeAlias = Callable[[str, str], Securing | None]


def _securing(credentials: Credentials | None) -> _Securing:
    if credentials is None:
        return lambda _name, _pin: None
    from russula.tls import for_coordinators

    return for_coordinators(credentials)


def _is_over(member: Member) -> bool:
    return member.machine.peer_ended or isinstance(member.error, WorkerLost)


async def _gather(coroutines: Iterable[Coroutine[object, object, None]]) -> None:
    """All at once; the first error ends the others and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in coroutines:
                group.create_task(one)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _view(member: Member) -> WorkerView:
    sent, received = member.volume
    return WorkerView(
        state=member.state,
        since_ns=member.since_ns,
        coordinator_state=member.machine.state,
        history=tuple(member.machine.peer_history),
        said=dict(member.said),
        clock=member.clock,
        bytes_sent=sent,
        bytes_received=received,
        silent_bytes=member.silent_bytes,
        connected=member.connected,
        resumed=member.resumed,
        last_error=str(member.error) if member.error else "",
    )
