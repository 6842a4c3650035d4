"""How does one connection carry messages? Frames over a transport, with backpressure, counted as they pass."""

from __future__ import annotations

import asyncio
from socket import socket
from typing import Protocol

from russula import silence
from russula.buffered import Buffered
from russula.codec import Decoder, encode
from russula.dialogue import Dialogue
from russula.errors import RemoteProtocolError
from russula.messages import VERSION, Frame, Hello, Message
from russula.protocol import Protocol as Spoken

HELD = 1 << 16
"""Bytes that wait in a transport before its writer is held back."""


class Owner(Protocol):
    """Who is told what happens to a link."""

    def opened(self, link: Link) -> None:
        """It can be written to."""

    def heard(self, link: Link, frame: Frame) -> None:
        """A message came.

        :raises RemoteProtocolError: if it may not come; told back as ``ended``.
        """

    def ready(self, link: Link) -> None:
        """There is room again for more to be written."""

    def ended(self, link: Link, error: Exception | None) -> None:
        """It is gone, or what came on it can't be read; None at an orderly end. Told once."""


class Link(Buffered):
    """One connection. ``sent``, ``received``: bytes of messages. ``known``: the other end is of this user or run."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.sent = self.received = 0
        self.writable = False
        self.known = self.over = False
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._tcp: socket | None = None
        self._chunk = 0
        self._held = b""
        self._quiet_from: int | None = None
        self._closed: asyncio.Future[None] | None = None
        self._cutting: asyncio.TimerHandle | None = None

    # --- what the transport says ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there, and secret if it has to be."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.known = transport, True
        transport.set_write_buffer_limits(high=HELD)
        self.writable = True
        sock = transport.get_extra_info("socket")
        if sock is not None and silence.is_tcp(sock):
            self._tcp = sock
            silence.probe(sock)
        self.owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._chunk = len(data)
        self.received += self._chunk
        try:
            for frame in self._decoder.feed(data):
                if self.over:
                    return
                self.owner.heard(self, frame)
        except RemoteProtocolError as error:
            self._end(error)

    def eof_received(self) -> None:
        """The other side will say no more; neither will this one. Nobody ends in a message by will: it was cut."""
        if not self._decoder.between_messages:
            self._end(ConnectionResetError("the stream ended in the middle of a message"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._end(exc)
        if self._cutting is not None:
            self._cutting.cancel()  # or it would hold all that ended until then
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        self._transport = self._tcp = None

    def pause_writing(self) -> None:
        """The transport is full."""
        self.writable = False

    def resume_writing(self) -> None:
        """The transport has room."""
        self.writable = True
        if not self.over:
            self.owner.ready(self)

    def _end(self, error: Exception | None) -> None:
        if not self.over:
            self.over, self.writable = True, False
            self.owner.ended(self, error)

    # --- what the owner does ---------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Say something on this connection alone."""
        self._write(encode(Frame(None, message)))

    def hold(self, message: Message) -> None:
        """Say something on this connection alone, together with what is flushed next."""
        self._held = encode(Frame(None, message))

    def flush(self, dialogue: Dialogue) -> None:
        """Send what a conversation has to say, as far as there is room.

        :raises LocalProtocolError: if something can't be sent.
        :raises OSError: if a file can't be read.
        """
        while self.writable:
            batch = [self._held] if self._held else []
            size, self._held = 0, b""
            while size < HELD and (said := dialogue.next()) is not None:
                batch.append(said)
                size += len(said)
            if batch:
                self._write(batch[0] if len(batch) == 1 else b"".join(batch))
            if size < HELD:
                return

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self.sent += len(data)
            self._transport.write(data)

    def finish(self) -> None:
        """Say no more, hear no more; the other side ends the connection. The owner isn't told any more."""
        self.over, self.writable = True, False

    def close(self, *, within: float | None = None) -> None:
        """End the connection once all is sent, cut it after so many seconds; the owner isn't told any more."""
        self.over, self.writable = True, False
        if self._transport is not None:
            self._transport.close()
            if within is not None:
                self._cutting = asyncio.get_running_loop().call_later(within, self.abort)

    def abort(self) -> None:
        """End the connection now."""
        self.over, self.writable = True, False
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Return when nothing of the connection is left."""
        if self._transport is not None:
            self._closed = asyncio.get_running_loop().create_future()
            await self._closed

    # --- silence -------------------------------------------------------------------------------

    @property
    def quiet(self) -> bool:
        """Whether nothing should cross it now."""
        return self._quiet_from is not None

    def hush(self) -> None:
        """From now on nothing may cross, not even what the kernel sends by itself."""
        if self._tcp is not None:
            silence.hush(self._tcp)
        self._quiet_from = self._volume()

    def wake(self, *, by_message: bool) -> int:
        """Silence ends; how many bytes broke it. ``by_message``: what is being read ended it, and isn't counted."""
        if self._quiet_from is None:
            return 0
        crossed, self._quiet_from = self.broken_by(), None
        if by_message:
            crossed -= self._chunk if self._transport is None else self._transport.get_extra_info("chunk", self._chunk)
        if self._tcp is not None:
            silence.probe(self._tcp)
        return crossed

    def broken_by(self) -> int:
        """Bytes that crossed since silence began."""
        return 0 if self._quiet_from is None else self._volume() - self._quiet_from

    def _volume(self) -> int:
        kernel = silence.volume(self._tcp) if self._tcp is not None else None
        return self.sent + self.received if kernel is None else kernel


def hello(
    protocol: Spoken,
    run: str = "",
    worker: str = "",
    conversation: str = "",
    *,
    attempt: int = 0,
    heard: int = 0,
    lease_ms: int = 0,
) -> Hello:
    """The first message of either side."""
    return Hello(VERSION, protocol.name, protocol.version, run, worker, conversation, attempt, heard, lease_ms)


def check(said: Message, mine: Spoken) -> Hello:
    """The other side's first message, if it fits.

    :raises RemoteProtocolError: if it is another, or differs in wire, protocol or version.
    """
    if not isinstance(said, Hello):
        raise RemoteProtocolError("the first message must be a hello")
    for name, here in (("wire", VERSION), ("protocol", mine.name), ("version", mine.version)):
        if getattr(said, name) != here:
            raise RemoteProtocolError(f"{name} differs: {here} here, {getattr(said, name)!r} there")
    return said
