"""How are many workers driven through one protocol? All at once, to a state, by a deadline."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

from russula.errors import DeadlineExceeded, LocalProtocolError, RussulaError, WorkerLost
from russula.introspect import Change, Snapshot, WorkerView
from russula.link import Link
from russula.member import Member, Target
from russula.messages import JSON
from russula.protocol import Protocol
from russula.stream import Stream
from russula.transport import Securing, connect

if TYPE_CHECKING:
    from russula.credentials import Credentials

W = TypeVar("W", bound=Enum)

DEADLINE = 60.0
"""Seconds for ``run_till`` where neither it nor ``connect`` names another."""
LEAD, LEAD_EACH = 0.03, 0.0001
"""Seconds between the announcement of the agreed instant and the instant; more for each worker."""
NAMED = 10
"""Workers named in a message, at most."""
SALVAGE = 3.0
"""Seconds for the files of workers when a conversation ends badly."""
RETRY, RETRY_MOST = 0.005, 0.25
"""Seconds between two tries to connect: the first, and the longest."""


class Changes:
    """Wakes everybody who waits for the next change; nobody misses one that came while it looked."""

    def __init__(self) -> None:
        self.count = 0
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Something changed."""
        self.count += 1
        now, self._next = self._next, asyncio.Event()
        now.set()

    async def beyond(self, count: int) -> None:
        """Return when there were more changes than this."""
        if self.count == count:
            await self._next.wait()


class Coordinator(Generic[W]):
    """Drives workers; made by :meth:`connect`, an async context manager that ends every conversation when left."""

    def __init__(
        self, protocol: Protocol, members: Sequence[Member], changes: Changes, *, lead: float, patience: float
    ) -> None:
        self._protocol, self._members, self._changes = protocol, tuple(members), changes
        self._lead, self._patience = lead + LEAD_EACH * len(members), patience
        self._instant_ns: int | None = None

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
    ) -> AsyncIterator[Coordinator[W]]:
        """Connect to all workers at once, within ``deadline`` seconds; ``patience`` is ``run_till``'s own default.

        Workers over TCP need the coordinator's ``credentials`` of their run.

        :raises DeadlineExceeded: names who doesn't listen.
        :raises RussulaError: if a worker speaks another protocol, or two have one name.
        """
        wanted, changes, joined = tuple(targets), Changes(), dict[str, Member]()
        securing = _securing(credentials)
        if len({target.name for target in wanted}) < len(wanted):
            raise LocalProtocolError(f"two workers of one name: {', '.join(target.name for target in wanted)}")
        try:
            await _gather(
                _join(
                    protocol,
                    target,
                    run,
                    deadline,
                    changes,
                    joined,
                    securing(target.certificate or target.name, target.pin),
                )
                for target in wanted
            )
            members = [joined[target.name] for target in wanted]
            yield cls(protocol, members, changes, lead=lead, patience=patience)
        except BaseException:
            await _salvage(tuple(joined.values()))
            raise
        finally:
            await asyncio.gather(*(member.aclose() for member in joined.values()))

    async def run_till(self, state: W, *, deadline: float | None = None) -> None:
        """Return when all workers have entered a state, now or before; gives the commands that this needs.

        A command is given to all at once, when all are where it is possible.

        :raises WorkerFailed: for the first worker that fails; with its state, reason, and its driver's last words.
        :raises WorkerLost: for the first whose connection ends.
        :raises DeadlineExceeded: names who isn't there, in which state each is, and since when.
        :raises LocalProtocolError: if a worker's conversation ended elsewhere.
        """
        seconds = self._patience if deadline is None else deadline
        try:
            async with asyncio.timeout(seconds):
                while missing := self._missing(state):
                    seen = self._changes.count
                    if all(member.next_command() for member in missing):
                        await self._command(missing)
                    else:
                        await self._changes.beyond(seen)
        except TimeoutError:
            raise DeadlineExceeded(self._explain(state, seconds)) from None

    def said(self, name: str, state: W) -> Mapping[str, JSON]:
        """What a worker said when it entered a state; nothing if it hasn't."""
        return next((member.said.get(state, {}) for member in self._members if member.name == name), {})

    @property
    def instant_ns(self) -> int | None:
        """The agreed start on this machine's monotonic clock; None before it is agreed."""
        return self._instant_ns

    def bytes_between(self, begin_ns: int, end_ns: int) -> int:
        """Bytes that crossed all control connections in a window of this machine's monotonic clock."""
        return sum(size for one in self._members for at, size in one.link.traffic if begin_ns <= at < end_ns)

    def snapshot(self) -> Snapshot:
        """What is known now of every worker."""
        return Snapshot(self._protocol.name, {member.name: _view(member) for member in self._members})

    async def events(self) -> AsyncIterator[Change]:
        """Every state that a worker enters, from the first, as it is heard."""
        told = dict.fromkeys((member.name for member in self._members), 0)
        while True:
            seen = self._changes.count
            for member in self._members:
                for state in member.machine.peer_history[told[member.name] :]:
                    told[member.name] += 1
                    yield Change(member.name, state)
            if all(member.machine.peer_ended for member in self._members):
                return
            await self._changes.beyond(seen)

    def _missing(self, state: W) -> list[Member]:
        for member in self._members:
            if member.error is not None:
                raise member.error
        missing = [member for member in self._members if not member.has_entered(state)]
        for member in missing:
            if member.machine.peer_ended:
                raise LocalProtocolError(f"{member.name} ended in {member.state.name}, it never was {state.name}")
        return missing

    async def _command(self, members: Sequence[Member]) -> None:
        command = members[0].next_command()
        assert command is not None
        targets = {member.machine.role.table[member.machine.state][command] for member in members}
        instant = None
        if targets & self._protocol.coordinator.instants:
            instant = self._instant_ns = time.monotonic_ns() + round(self._lead * 1e9)
        await _gather([member.command(command, instant) for member in members])

    def _explain(self, state: W, seconds: float) -> str:
        now = time.monotonic_ns()
        missing = [member for member in self._members if not member.has_entered(state)]
        each = (f"{one.name} is {one.state.name} since {(now - one.since_ns) / 1e9:.1f} s" for one in missing[:NAMED])
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        who = f"{len(missing)} of {len(self._members)} workers aren't {state.name}"
        return f"after {seconds:g} s {who}: {'; '.join(each)}{more}"


def _securing(credentials: Credentials | None) -> Callable[[str, str], Securing | None]:
    if credentials is None:
        return lambda _name, _pin: None
    from russula.tls import for_coordinators

    return for_coordinators(credentials)


async def _join(
    protocol: Protocol,
    target: Target,
    run: str,
    deadline: float,
    changes: Changes,
    joined: dict[str, Member],
    securing: Securing | None,
) -> None:
    try:
        async with asyncio.timeout(deadline):
            stream = await _reach(target.address, securing)
            member = joined[target.name] = Member(protocol, target, Link(stream), changes.tell)
            await member.begin(run)
    except TimeoutError:
        raise DeadlineExceeded(f"{target.name} doesn't answer at {target.address} within {deadline:g} s") from None
    except OSError as error:
        raise WorkerLost(target.name, f"{target.address}: {error}") from error


async def _reach(address: str, securing: Securing | None) -> Stream:
    pause = RETRY
    while True:
        try:
            return await connect(address, securing)
        except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError, BlockingIOError):
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  jitter, not a secret
            pause = min(2 * pause, RETRY_MOST)


async def _gather(coroutines: Iterable[Coroutine[object, object, None]]) -> None:
    """All at once; the first error ends the others and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in coroutines:
                group.create_task(one)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _salvage(members: Sequence[Member]) -> None:
    """Get what the workers' drivers left, as far as they still answer."""
    asked = [member for member in members if not isinstance(member.error, WorkerLost) and not member.fetched.is_set()]
    try:
        async with asyncio.timeout(SALVAGE):
            for member in asked:
                await member.fetch()
            await asyncio.gather(*(member.fetched.wait() for member in asked))
    except (TimeoutError, OSError, RussulaError):
        return


def _view(member: Member) -> WorkerView:
    return WorkerView(
        state=member.state,
        since_ns=member.since_ns,
        coordinator_state=member.machine.state,
        history=tuple(member.machine.peer_history),
        said=dict(member.said),
        bytes_sent=member.link.sent,
        bytes_received=member.link.received,
        last_error=str(member.error) if member.error else "",
    )
