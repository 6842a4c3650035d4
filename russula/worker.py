"""What does a worker do? It listens, follows a protocol with whoever drives it, and acts in acting states."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from russula.bulk import Receiver, is_plain, pieces
from russula.errors import ActionFailed, ProtocolError, RemoteProtocolError
from russula.link import Link, check, hello
from russula.machine import Machine
from russula.messages import JSON, Chunk, Entered, Failed, Fetch, Fetched, File, Hello, Message
from russula.protocol import Finished, Protocol
from russula.stream import Stream
from russula.transport import listen

if TYPE_CHECKING:
    from russula.credentials import Credentials

FIRST_MESSAGE = 10.0
"""Seconds that whoever connects may take to say hello."""
QUEUE = 16
"""Messages read ahead; beyond it the stream's backpressure holds the sender."""

INSTANT = "instant_ns"
"""Key of the agreed start in the data of a coordinator's announcement."""


@dataclass
class Conversation:
    """What a worker's actions may use; one a conversation.

    ``run``, ``worker``: names given by the coordinator. ``order``: the data that came with its order. ``inbox``: its
    files. ``outbox``: files put here are sent when it asks. ``instant_ns``: the agreed start, on this machine's
    monotonic clock.
    """

    run: str
    worker: str
    inbox: Path
    outbox: Path
    order: Mapping[str, JSON] = field(default_factory=lambda: MappingProxyType({}))
    instant_ns: int | None = None


Action: TypeAlias = Callable[[], Awaitable[Mapping[str, JSON] | None]]
"""Started when its state is entered, cancelled when that is left by another way; what it returns goes with the next
announcement. Its error is the worker's failure: :class:`ActionFailed` with its reason, any other as ``error``."""

Service: TypeAlias = Callable[[Conversation], AbstractAsyncContextManager[Mapping[Enum, Action]]]
"""Entered when a conversation begins, left however it ends."""

LOG = logging.getLogger("russula.worker")


@dataclass(frozen=True, slots=True)
class _Done:
    state: Enum
    data: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class _Fault:
    error: Exception


@dataclass(frozen=True, slots=True)
class _Broken:
    error: Exception


class _Lost(Exception):
    """The connection ended before the conversation."""


_Event: TypeAlias = Message | _Done | _Fault | _Broken
"""What can happen to a worker: it hears something, its action ends well or badly, its connection ends."""


class _Talk:
    """One conversation from the worker's side. All events pass one queue, so nothing happens twice or at once."""

    def __init__(self, link: Link, protocol: Protocol, conversation: Conversation, log: logging.Logger) -> None:
        self._link, self._protocol, self._log = link, protocol, log
        self._talk = conversation
        self._machine = Machine(protocol.worker, protocol.coordinator)
        self._states = {state.name: state for state in protocol.coordinator.states}
        self._receiver = Receiver(conversation.inbox)
        self._events: asyncio.Queue[_Event] = asyncio.Queue(QUEUE)
        self._actions: Mapping[Enum, Action] = {}
        self._action: asyncio.Task[None] | None = None
        self._seq = self._taken = 0

    async def run(self, actions: Mapping[Enum, Action], messages: AsyncIterator[Message]) -> None:
        """Follow the protocol to its end.

        :raises ProtocolError: if the coordinator breaks a rule.
        :raises OSError: if the connection breaks; ``_Lost`` if it ends early.
        """
        self._actions = actions
        reader = asyncio.create_task(self._read(messages))
        try:
            await self._announce(self._machine.state, {})
            while not self._machine.ended or self._machine.state is self._protocol.worker.failed:
                await self._handle(await self._events.get())
        finally:
            await _ended(reader)
            await self._cancel()
            self._receiver.close()

    async def _read(self, messages: AsyncIterator[Message]) -> None:
        try:
            async for message in messages:
                await self._events.put(message)
            await self._events.put(_Broken(_Lost("the coordinator ended the connection")))
        except (ProtocolError, OSError) as error:
            await self._events.put(_Broken(error))

    async def _handle(self, event: _Event) -> None:
        match event:
            case Entered():
                await self._heard(event)
            case File() | Chunk():
                await self._store(event)
            case Fetch():
                await self._send_outbox()
            case _Done(state, data):
                if state is self._machine.state:
                    await self._go(self._machine.fire(Finished()), data)
            case _Fault(error):
                await self._fail(error)
            case _Broken(error):
                raise error
            case _:
                raise RemoteProtocolError(f"{type(event).__name__} isn't for a worker")

    async def _store(self, piece: File | Chunk) -> None:
        try:
            self._receiver.take(piece)
        except OSError as error:
            await self._fail(ActionFailed("storage", f"the worker can't store what it is sent: {error}"))

    async def _heard(self, said: Entered) -> None:
        if said.seq != self._taken:
            raise RemoteProtocolError(f"announcement {said.seq} came where {self._taken} was due")
        self._taken += 1
        state = self._states.get(said.state)
        if state is None:
            raise RemoteProtocolError(
                f"the coordinator announced {said.state[:50]!r}, which {self._protocol.name} doesn't have"
            )
        if state in self._protocol.coordinator.orders:
            self._talk.order = MappingProxyType(dict(said.data))
        if state in self._protocol.coordinator.instants:
            instant, now = said.data.get(INSTANT), time.monotonic_ns()
            if not isinstance(instant, int):
                raise RemoteProtocolError(f"{said.state} without an instant")
            if instant <= now:
                await self._fail(ActionFailed("late", f"the instant came {(now - instant) / 1e6:.1f} ms after itself"))
                return
            self._talk.instant_ns = instant
        await self._go(self._machine.heard(state), {})

    async def _go(self, entered: Iterable[Enum], data: Mapping[str, JSON]) -> None:
        for state in entered:
            await self._cancel()
            await self._announce(state, data)
            if state in self._actions:
                self._action = asyncio.create_task(self._act(state), name=f"{self._talk.worker} {state.name}")
            data = {}

    async def _act(self, state: Enum) -> None:
        try:
            event: _Event = _Done(state, await self._actions[state]() or {})
        except Exception as error:  # noqa: BLE001  whatever an action does wrong is the worker's failure
            event = _Fault(error)
        await self._events.put(event)

    async def _cancel(self) -> None:
        action, self._action = self._action, None
        if action is not None:
            await _ended(action)

    async def _announce(self, state: Enum, data: Mapping[str, JSON]) -> None:
        self._log.info("%s %s %s %s", self._talk.run, self._talk.worker, self._protocol.name, state.name)
        await self._link.send(Entered(self._next(), state.name, data))

    async def _fail(self, error: Exception) -> None:
        if not self._machine.fail():
            return
        await self._cancel()
        said = error if isinstance(error, ActionFailed) else ActionFailed("error", f"{type(error).__name__}: {error}")
        self._log.warning(
            "%s %s %s FAILED %s: %s", self._talk.run, self._talk.worker, self._protocol.name, said.reason, said.detail
        )
        await self._link.send(Failed(self._next(), said.reason, said.detail, said.tail))

    async def _send_outbox(self) -> None:
        files = [path for path in sorted(self._talk.outbox.iterdir()) if path.is_file() and is_plain(path.name)]
        for path in files:
            for piece in pieces(path.name, path):
                await self._link.send(piece)
        await self._link.send(Fetched(len(files)))

    def _next(self) -> int:
        self._seq += 1
        return self._seq - 1


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end; its own error was already told."""
    task.cancel()
    await asyncio.wait([task])


async def converse(
    stream: Stream, services: Mapping[Protocol, Service], directory: Path, log: logging.Logger = LOG
) -> None:
    """Have one conversation with whoever connected; a peer that breaks the rules gets one log line and is let go."""
    link, who = Link(stream), "somebody"
    messages = link.messages()
    try:
        async with asyncio.timeout(FIRST_MESSAGE):
            protocol, said = await _greeted(link, messages, services)
        who = f"{said.run} {said.worker}"
        with tempfile.TemporaryDirectory(prefix="talk-", dir=directory, ignore_cleanup_errors=True) as place:
            conversation = Conversation(said.run, said.worker, *_boxes(Path(place)))
            async with services[protocol](conversation) as actions:
                await _Talk(link, protocol, conversation, log).run(actions, messages)
    except ProtocolError as error:
        log.warning("%s refused: %s", who, error)
    except TimeoutError:
        log.warning("%s refused: no hello within %g s", who, FIRST_MESSAGE)
    except (_Lost, OSError) as error:
        log.warning("%s lost: %s", who, error)
    finally:
        await messages.aclose()
        await link.aclose()


async def _greeted(
    link: Link, messages: AsyncIterator[Message], services: Mapping[Protocol, Service]
) -> tuple[Protocol, Hello]:
    """Both sides have said hello, and mean the same protocol."""
    first = await anext(messages, None)
    if first is None:
        raise _Lost("it said nothing")
    name = first.protocol if isinstance(first, Hello) else ""
    protocol = next((one for one in services if one.name == name), None)
    if protocol is None:
        served = ", ".join(one.name for one in services)
        raise RemoteProtocolError(f"it didn't begin with a hello for what is served here: {served}")
    said = check(first, hello(protocol, "", ""))
    await link.send(hello(protocol, said.run, said.worker))
    return protocol, said


def _boxes(place: Path) -> tuple[Path, Path]:
    boxes = place / "inbox", place / "outbox"
    for box in boxes:
        box.mkdir()
    return boxes


async def serve(
    address: str,
    services: Mapping[Protocol, Service],
    *,
    directory: Path,
    credentials: Credentials | None = None,
    log: logging.Logger = LOG,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve conversations until cancelled; then end those that go on. TCP needs ``credentials``.

    :raises AddressError: if the address can't be used.
    :raises CredentialsError: if the credentials can't.
    """
    securing = None
    if credentials is not None:
        from russula.tls import for_workers

        securing = for_workers(credentials)

    async def handle(stream: Stream) -> None:
        await converse(stream, services, directory, log)

    async with listen(address, handle, securing) as here:
        if ready is not None:
            ready(here)
        await asyncio.get_running_loop().create_future()
