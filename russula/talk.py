"""How does a worker follow one conversation? It hears, acts, and says what it entered, over whatever connections."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from russula.bulk import Receiver, is_plain, pieces
from russula.dialogue import Dialogue
from russula.errors import ActionFailed, LocalProtocolError, ProtocolError, RemoteProtocolError
from russula.link import Link, hello
from russula.log import note
from russula.machine import Machine
from russula.messages import JSON, Bye, Chunk, Entered, Failed, Fetch, Fetched, File, Frame, Hello, Ping, Pong, Refused
from russula.protocol import Finished, Protocol

INSTANT, BEGAN = "instant_ns", "began_ns"
"""Keys of the agreed start in the data of a coordinator's announcement, and of the real one in a worker's."""
LATE = "late"
"""The reason of a worker that heard of the agreed start when it was over; nothing has begun there."""
LEASE_MOST = 3600.0
"""Seconds: the longest lease that a coordinator may ask for."""
TAIL = 1 << 16
"""Characters of a failure's sentence, and of its driver's last words: the last ones are sent."""
UNREAD = 64
"""Answers that may wait to be read beyond what a connection holds."""
CLOSING = 10.0
"""Seconds for a conversation's last words to leave; then its connection is cut."""
EARLY = 64
"""Messages that may come before a conversation's service is ready."""


@dataclass
class Conversation:
    """What a worker's actions may use; one a conversation.

    ``run``, ``worker``: names given by the coordinator. ``directory``: where its folders are made, once they are used.
    ``order``: the data that came with its order. ``instant_ns``: the agreed start, on this machine's monotonic clock.
    """

    run: str
    worker: str
    directory: Path
    order: Mapping[str, JSON] = field(default_factory=lambda: MappingProxyType({}))
    instant_ns: int | None = None

    @cached_property
    def inbox(self) -> Path:
        """The folder with the coordinator's files."""
        return self._box("inbox")

    @cached_property
    def outbox(self) -> Path:
        """The folder whose files are sent when the coordinator asks for them."""
        return self._box("outbox")

    @cached_property
    def _folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="talk-", dir=self.directory))

    def _box(self, name: str) -> Path:
        made = self._folder / name
        made.mkdir()
        return made

    def left(self) -> list[Path]:
        """The files of the outbox, as far as they have plain names."""
        if "outbox" not in vars(self):
            return []
        return [path for path in sorted(self.outbox.iterdir()) if path.is_file() and is_plain(path.name)]

    def remove(self) -> None:
        """Remove the folders, if they were made."""
        if "_folder" in vars(self):
            shutil.rmtree(self._folder, ignore_errors=True)


Action: TypeAlias = Callable[[], Awaitable[Mapping[str, JSON] | None]]
"""Started when its state is entered, cancelled when that is left by another way; what it returns goes with the next
announcement. Its error is the worker's failure: :class:`ActionFailed` with its reason, any other as ``error``."""

Service: TypeAlias = Callable[[Conversation], AbstractAsyncContextManager[Mapping[Enum, Action]]]
"""Entered when a conversation begins, left however it ends."""


@dataclass(frozen=True, slots=True)
class Place:
    """What all conversations of a worker share: where their files go, its log, its clock in monotonic nanoseconds."""

    directory: Path
    log: logging.Logger
    clock: Callable[[], int]


class Talk:
    """One conversation. It outlives its connections: by the lease, in which the coordinator may come back."""

    def __init__(self, said: Hello, protocol: Protocol, service: Service, place: Place) -> None:
        self.run, self.worker, self.protocol = said.run, said.worker, protocol
        self.attempt = -1
        self._service, self._place = service, place
        self._talk = Conversation(said.run, said.worker, place.directory)
        self._receiver: Receiver | None = None
        self._machine = Machine(protocol.worker, protocol.coordinator)
        self._dialogue = Dialogue()
        self._states = {state.name: state for state in protocol.coordinator.states}
        self._loop = asyncio.get_running_loop()
        self._over, self._gone = asyncio.Event(), asyncio.Event()
        self._actions: Mapping[Enum, Action] | None = None
        self._early: list[Frame] = []
        self._acting: set[asyncio.Task[None]] = set()
        self._link: Link | None = None
        self._farewell: Link | None = None
        self._lease_s = 0.0
        self._lease: asyncio.TimerHandle | None = None
        self._flushing = False
        self._unread = 0

    # --- its life ------------------------------------------------------------------------------

    async def live(self) -> None:
        """From the first hello until the coordinator has said goodbye, or didn't come back within the lease."""
        try:
            await self._serve()
        except Exception as error:  # noqa: BLE001  whatever a service does wrong is the worker's failure
            if self._machine.ended:
                self._note(logging.ERROR, "unclean", f"{type(error).__name__}: {error}")
            self._fail(error)
        try:
            await self._gone.wait()
        finally:
            if self._receiver is not None:
                self._receiver.close()
            self._talk.remove()
            if self._farewell is not None:
                self._farewell.close(within=CLOSING)

    async def _serve(self) -> None:
        async with self._service(self._talk) as actions:
            self._actions = actions
            self._enter([self._machine.state], {})
            early, self._early = self._early, []
            for frame in early:
                self._hear(frame)
            await self._over.wait()
            self._cancel()
            if self._acting:
                await asyncio.wait(self._acting)

    def end(self, reason: str, detail: str) -> None:
        """End it from this side, wherever it is."""
        self._fail(ActionFailed(reason, detail))
        self._leave()

    def _leave(self) -> None:
        """Nothing more is to be said or heard."""
        if self._lease is not None:
            self._lease.cancel()
        if self._link is not None:
            self._flush()
        link, self._link = self._link, None
        if link is not None:
            link.close(within=CLOSING)
        self._over.set()
        self._gone.set()

    # --- its connections -----------------------------------------------------------------------

    def adopt(self, link: Link, said: Hello) -> None:
        """Go on over this connection.

        :raises RemoteProtocolError: if it is older than the one in use, or says that it heard what wasn't said.
        """
        if said.attempt <= self.attempt:
            raise RemoteProtocolError(f"connection {said.attempt} came after {self.attempt}")
        self._dialogue.resume(said.heard)
        if self._link is not None:
            self._link.abort()  # its end wasn't noticed here
        if self._lease is not None:
            self._lease.cancel()
            self._note(logging.INFO, "resumed")
        self._early.clear()
        self.attempt, self._link, self._lease = said.attempt, link, None
        self._lease_s = min(said.lease_ms / 1000, LEASE_MOST)
        link.owner = self
        mine = {"attempt": said.attempt, "heard": self._dialogue.heard, "lease_ms": round(self._lease_s * 1000)}
        link.hold(hello(self.protocol, self.run, self.worker, said.conversation, **mine))
        self._flush_soon()

    def opened(self, link: Link) -> None:
        """Not told: this link was open before."""

    def ready(self, _: Link) -> None:
        """There is room to write."""
        self._flush()

    def ended(self, link: Link, error: Exception | None) -> None:
        """The connection is gone: the lease begins; unless it was the coordinator that broke a rule."""
        if link is not self._link:
            return
        if isinstance(error, ProtocolError):
            self._note(logging.WARNING, "refused", str(error))
            link.send(Refused(str(error)))
            self._fail(ActionFailed("protocol", str(error)))
            self._leave()
            return
        self._link = None
        level = logging.INFO if self._machine.ended else logging.WARNING
        self._note(level, "lost", str(error or "the coordinator ended the connection"))
        self._lease = self._loop.call_later(self._lease_s, self._expire)

    def _expire(self) -> None:
        self._lease = None
        self.end("lease", f"no connection for {self._lease_s:g} s")

    def _flush_soon(self) -> None:
        """At the end of this turn of the loop, so that what is said together travels together."""
        if not self._flushing and self._link is not None:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        link = self._link
        if link is None:
            return
        silent = self._machine.state in self.protocol.worker.silent
        if link.quiet and not silent:
            link.wake(by_message=False)
        try:
            link.flush(self._dialogue)
        except (OSError, LocalProtocolError) as error:
            link.send(Refused(f"a file can't be sent: {error}"))
            self._fail(ActionFailed("storage", str(error)))
            self._link = None
            link.close(within=CLOSING)
            self._leave()
            return
        if silent and not link.quiet:
            link.hush()

    # --- what is heard -------------------------------------------------------------------------

    def heard(self, link: Link, frame: Frame) -> None:
        """A message of the coordinator.

        :raises RemoteProtocolError: if it may not come.
        """
        match frame.message:
            case Ping(number):
                self._answer(link, number)
            case Bye():
                self._bid_farewell(link)
            case Hello() | Refused() | Pong():
                raise RemoteProtocolError(f"{type(frame.message).__name__} isn't for a worker here")
            case _ if self._actions is None:
                self._early.append(frame)
                if len(self._early) > EARLY:
                    raise RemoteProtocolError("it speaks before it was heard")
            case _:
                self._hear(frame)

    def _bid_farewell(self, link: Link) -> None:
        """The coordinator is gone, or waits to see its connection end when all has ended here."""
        link.finish()
        self._link, self._farewell = None, link
        self._over.set()
        self._gone.set()

    def _answer(self, link: Link, number: int) -> None:
        self._unread = 0 if link.writable else self._unread + 1
        if self._unread > UNREAD:
            raise RemoteProtocolError("it asks, and doesn't read the answers")
        link.send(Pong(number, self._place.clock()))

    def _hear(self, frame: Frame) -> None:
        self._dialogue.take(frame.seq)
        match frame.message:
            case Entered() as said:
                self._take(said)
            case Failed(_, detail, _):
                self._machine.heard(self.protocol.coordinator.failed)
                self._fail(ActionFailed("left", detail))
            case File() | Chunk() as piece:
                self._store(piece)
            case Fetch():
                self._send_outbox()
            case _:
                raise RemoteProtocolError(f"{type(frame.message).__name__} isn't for a worker")

    def _take(self, said: Entered) -> None:
        state, coordinator = self._states.get(said.state), self.protocol.coordinator
        if state is None:
            raise RemoteProtocolError(f"{self.protocol.name} has no state {said.state[:50]!r}")
        if state in coordinator.orders:
            self._talk.order = MappingProxyType(dict(said.data))
        if state in coordinator.instants and not self._accepts(said):
            return
        self._enter(self._machine.heard(state), {})

    def _accepts(self, said: Entered) -> bool:
        """Whether the agreed start is still to come."""
        instant, now = said.data.get(INSTANT), self._place.clock()
        if type(instant) is not int:
            raise RemoteProtocolError(f"{said.state} without an instant")
        if instant <= now:
            self._fail(ActionFailed(LATE, f"the instant came {(now - instant) / 1e6:.1f} ms after itself"))
            return False
        self._talk.instant_ns = instant
        return True

    def _store(self, piece: File | Chunk) -> None:
        try:
            if self._receiver is None:
                self._receiver = Receiver(self._talk.inbox)
            self._receiver.take(piece)
        except OSError as error:
            self._fail(ActionFailed("storage", f"the worker can't store what it is sent: {error}"))

    def _send_outbox(self) -> None:
        """Send the files; where an action was told to end, once it has, since it may still write them."""
        ending = next((task for task in self._acting if task.cancelling()), None)
        if ending is not None:
            ending.add_done_callback(lambda _: self._send_outbox())
            return
        try:
            paths = self._talk.left()
            for piece in (piece for path in paths for piece in pieces(path.name, path)):
                self._dialogue.say(piece)
            self._dialogue.say(Fetched(len(paths)))
        except (OSError, LocalProtocolError) as error:
            self._fail(ActionFailed("storage", f"results can't be sent: {error}"))
        self._flush_soon()

    # --- what is done --------------------------------------------------------------------------

    def _enter(self, entered: Iterable[Enum], data: Mapping[str, JSON]) -> None:
        for state in entered:
            assert self._actions is not None
            self._dialogue.say(Entered(state.name, data))
            self._note(logging.INFO, "entered")
            self._cancel()
            if state in self._actions:
                task = asyncio.create_task(self._act(state), name=f"{self.worker} {state.name}")
                self._acting.add(task)
                task.add_done_callback(self._acting.discard)
            data = {}
        if self._machine.ended:
            self._over.set()
        self._flush_soon()

    async def _act(self, state: Enum) -> None:
        before = self._acting - {asyncio.current_task()}
        if before:  # cancelled when this state was entered; two actions never run at once
            await asyncio.wait(before)
        assert self._actions is not None
        try:
            data = await self._actions[state]() or {}
            if state is self._machine.state:
                self._enter(self._machine.fire(Finished()), data)
        except Exception as error:  # noqa: BLE001  whatever an action does wrong is the worker's failure
            self._fail(error)

    def _cancel(self) -> None:
        """End the action, once, so that it can clean up; but not from within."""
        for task in self._acting:
            if task is not asyncio.current_task() and not task.cancelling():
                task.cancel()

    def _fail(self, error: Exception) -> None:
        if not self._machine.fail():
            return
        self._cancel()
        said = error if isinstance(error, ActionFailed) else ActionFailed("error", f"{type(error).__name__}: {error}")
        self._note(
            logging.INFO if said.reason == "left" else logging.WARNING, "failed", f"{said.reason}: {said.detail}"
        )
        self._dialogue.say(Failed(said.reason[:TAIL], said.detail[-TAIL:], said.tail[-TAIL:]))
        self._flush_soon()

    def _note(self, level: int, event: str, detail: str = "") -> None:
        place = self._place
        if place.log.isEnabledFor(level):
            state = self._machine.state.name
            note(place.log, level, event, self.run, self.worker, at_ns=place.clock(), state=state, detail=detail)
