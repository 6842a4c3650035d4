"""What does a worker do? It listens, lets in who knows its protocols, and brings each to its conversation."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from russula.errors import ProtocolError, RemoteProtocolError
from russula.link import Link, check
from russula.log import WORKER, note
from russula.messages import Frame, Hello, Refused
from russula.protocol import Protocol
from russula.talk import BEGAN, CLOSING, INSTANT, Action, Conversation, Place, Service, Talk
from russula.transport import listen

if TYPE_CHECKING:
    from russula.credentials import Credentials

__all__ = ["BEGAN", "INSTANT", "Action", "Conversation", "Reception", "Service", "serve"]

FIRST_MESSAGE = 10.0
"""Seconds that whoever connects may take to show its certificate and say hello."""
STRANGERS = 512
"""Connections that haven't said hello; one more, and the oldest is ended, so that they never use up descriptors."""
ENDING = 10.0
"""Seconds that services have to end when the worker ends."""


class Reception:
    """The conversations of a worker, and who still has to say which is meant."""

    def __init__(
        self,
        services: Mapping[Protocol, Service],
        directory: Path,
        log: logging.Logger = WORKER,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._services = {protocol.name: (protocol, service) for protocol, service in services.items()}
        self._place = Place(directory, log, clock)
        self._strangers: dict[Link, tuple[asyncio.Transport, asyncio.TimerHandle]] = {}
        self._talks: dict[str, Talk] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, transport: asyncio.Transport) -> Link:
        """Somebody connected."""
        link, loop = Link(self), asyncio.get_running_loop()
        if len(self._strangers) >= STRANGERS:
            self._turn_away(next(iter(self._strangers)))
        self._strangers[link] = transport, loop.call_later(FIRST_MESSAGE, self._turn_away, link)
        return link

    def _turn_away(self, link: Link) -> None:
        transport, _ = self._strangers[link]
        self.ended(link, RemoteProtocolError("no hello came in time"))
        transport.abort()

    def opened(self, link: Link) -> None:
        """It is of this user or this run."""

    def ready(self, link: Link) -> None:
        """Nothing waits to be written to a stranger."""

    def ended(self, link: Link, error: Exception | None) -> None:
        """It was no conversation; one line says so."""
        if (known := self._strangers.pop(link, None)) is None:
            return
        known[1].cancel()
        if isinstance(error, ProtocolError):
            link.send(Refused(str(error)))
            link.close(within=CLOSING)
        if link.known:  # who isn't of this run costs not even a line
            place = self._place
            note(place.log, logging.WARNING, "refused", "", "", at_ns=place.clock(), detail=str(error or "it left"))

    def heard(self, link: Link, frame: Frame) -> None:
        """Its first message: it must be a hello for a protocol that is served here."""
        first = frame.message
        name = first.protocol if isinstance(first, Hello) else ""
        if name not in self._services:
            served = ", ".join(self._services)
            raise RemoteProtocolError(f"it didn't begin with a hello for what is served here: {served}")
        protocol, service = self._services[name]
        said = check(first, protocol)
        talk = self._talks.get(said.conversation)
        if talk is None:
            if said.heard:
                raise RemoteProtocolError("its conversation is over here: the lease ran out, or the worker began anew")
            talk = self._talks[said.conversation] = Talk(said, protocol, service, self._place)
            task = asyncio.create_task(self._live(said.conversation, talk), name=f"{said.run} {said.worker}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        talk.adopt(link, said)  # what a new one says at once goes with its hello
        self._strangers.pop(link)[1].cancel()

    async def _live(self, conversation: str, talk: Talk) -> None:
        try:
            await talk.live()
        finally:
            del self._talks[conversation]

    async def end(self) -> None:
        """Tell every coordinator, end all services, and turn everybody away."""
        for talk in list(self._talks.values()):
            talk.end("ended", "the worker was told to end")
        for link in list(self._strangers):
            self._turn_away(link)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=ENDING)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)


async def serve(
    address: str,
    services: Mapping[Protocol, Service],
    *,
    directory: Path,
    credentials: Credentials | None = None,
    log: logging.Logger = WORKER,
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
    reception = Reception(services, directory, log)
    async with listen(address, reception.accept, securing) as here:
        try:
            if ready is not None:
                ready(here)
            await asyncio.get_running_loop().create_future()
        finally:
            ending = asyncio.ensure_future(reception.end())
            while not ending.done():  # told to end once more: services are left all the same
                with suppress(asyncio.CancelledError):
                    await asyncio.shield(ending)
