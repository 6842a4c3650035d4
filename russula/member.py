"""How does a coordinator drive one worker? Its end of one conversation; every wait belongs to the coordinator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from russula.bulk import Receiver, pieces
from russula.errors import ProtocolError, RemoteProtocolError, RussulaError, WorkerFailed, WorkerLost
from russula.link import Link, check, hello
from russula.machine import Machine
from russula.messages import JSON, Chunk, Entered, Failed, Fetch, Fetched, File, Message
from russula.protocol import Command, Finished, Protocol
from russula.worker import INSTANT


@dataclass(frozen=True, slots=True)
class Target:
    """A worker to drive.

    ``name``: its name in this run. ``address``: where it listens. ``order``: the data that goes with the order, asked
    when that is sent; ``files``: likewise, plain name to path. ``results``: the folder for the files of its outbox.
    Over TCP, ``certificate``: the name on its certificate, if that isn't its own; ``pin``: the fingerprint of the only
    one that it may show.
    """

    name: str
    address: str
    results: Path
    order: Callable[[], Mapping[str, JSON]] = dict
    files: Callable[[], Mapping[str, Path]] = dict
    certificate: str = ""
    pin: str = ""


@dataclass
class Member:
    """One worker, as its coordinator knows it."""

    protocol: Protocol
    target: Target
    link: Link
    changed: Callable[[], None]
    said: dict[Enum, Mapping[str, JSON]] = field(default_factory=dict)
    since_ns: int = 0
    error: RussulaError | None = None
    fetched: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.machine = Machine(self.protocol.coordinator, self.protocol.worker)
        self._states = {state.name: state for state in self.protocol.worker.states}
        self._receiver = Receiver(self.target.results)
        self._sent = self._heard = 0
        self._reader: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The worker's name."""
        return self.target.name

    @property
    def state(self) -> Enum:
        """The worker's state, as it last announced it."""
        return self.machine.peer_state

    def has_entered(self, state: Enum) -> bool:
        """Whether the worker is, or was, in this state."""
        return state in self.machine.peer_history

    def next_command(self) -> Command | None:
        """The command for which this side waits, if it does."""
        row = self.machine.role.table[self.machine.state]
        return next((trigger for trigger in row if isinstance(trigger, Command)), None)

    async def begin(self, run: str) -> None:
        """Say hello, hear it, and start reading.

        :raises RemoteProtocolError: if the worker speaks another protocol.
        :raises WorkerLost: if it ends the connection.
        """
        mine = hello(self.protocol, run, self.name)
        messages = self.link.messages()
        try:
            await self.link.send(mine)
            first = await anext(messages, None)
            if first is None:
                raise WorkerLost(self.name, "it ended the connection instead of saying hello; its log says why")
            check(first, mine)
            await self._announce([self.machine.state])
        except OSError as error:
            raise WorkerLost(self.name, str(error)) from error
        self._reader = asyncio.create_task(self._read(messages), name=f"reader of {self.name}")

    async def command(self, command: Command, instant_ns: int | None) -> None:
        """Give a command; files and order go first where the state that it leads to has them."""
        try:
            await self._announce(self.machine.fire(command), instant_ns)
        except OSError as error:
            raise WorkerLost(self.name, str(error)) from error

    async def fetch(self) -> None:
        """Ask for the files of the outbox; ``fetched`` is set when they are here."""
        await self.link.send(Fetch())

    async def aclose(self) -> None:
        """End the conversation, wherever it is."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        self._receiver.close()
        await self.link.aclose()

    async def _read(self, messages: AsyncIterator[Message]) -> None:
        try:
            async for message in messages:
                await self._take(message)
            if not self.machine.peer_ended and self.error is None:
                self.error = WorkerLost(self.name, f"the connection ended in {self.state.name}")
        except (RussulaError, OSError) as error:
            self.error = self.error or (error if isinstance(error, WorkerFailed) else WorkerLost(self.name, str(error)))
        self.fetched.set()
        self.changed()

    async def _take(self, message: Message) -> None:
        match message:
            case Entered(seq, name, data):
                self._count(seq)
                state = self._states.get(name)
                if state is None:
                    raise RemoteProtocolError(f"announced {name[:50]!r}, which {self.protocol.name} doesn't have")
                self.said[state], self.since_ns = data, time.monotonic_ns()
                await self._announce(self.machine.heard(state))
            case Failed(seq, reason, detail, tail):
                self._count(seq)
                self.error = WorkerFailed(self.name, self.state.name, reason, detail, tail)
                self.machine.heard(self.protocol.worker.failed)
                self.machine.fail()
            case File() | Chunk():
                self._receiver.take(message)
                return
            case Fetched(count):
                if count != self._receiver.count:
                    raise ProtocolError(f"{self._receiver.count} of {count} files came")
                self.fetched.set()
                if self.machine.state in self.protocol.coordinator.acts:
                    await self._announce(self.machine.fire(Finished()))
            case _:
                raise RemoteProtocolError(f"{type(message).__name__} isn't for a coordinator")
        self.changed()

    def _count(self, seq: int) -> None:
        if seq != self._heard:
            raise RemoteProtocolError(f"announcement {seq} came where {self._heard} was due")
        self._heard += 1

    async def _announce(self, entered: Iterable[Enum], instant_ns: int | None = None) -> None:
        for state in entered:
            data: Mapping[str, JSON] = {}
            if state in self.protocol.coordinator.orders:
                data = self.target.order()
                for name, path in self.target.files().items():
                    for piece in pieces(name, path):
                        await self.link.send(piece)
            elif state in self.protocol.coordinator.instants:
                data = {INSTANT: instant_ns}
            self._sent += 1
            await self.link.send(Entered(self._sent - 1, state.name, data))
            if state in self.protocol.coordinator.acts:
                await self.fetch()
