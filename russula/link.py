"""How does one side of a conversation speak? A stream and the codec: whole messages, counted as they pass."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable

from russula.codec import Decoder, encode
from russula.errors import RemoteProtocolError
from russula.messages import VERSION, Hello, Message
from russula.protocol import Protocol
from russula.stream import Stream


class Link:
    """Messages over a stream. ``traffic``: (monotonic nanoseconds, bytes) of each write and read."""

    def __init__(self, stream: Stream, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._stream = stream
        self._clock = clock
        self._decoder = Decoder()
        self.traffic: list[tuple[int, int]] = []
        self.sent = self.received = 0

    async def send(self, message: Message) -> None:
        """Send one message.

        :raises OSError: if the connection broke.
        """
        data = encode(message)
        self.sent += len(data)
        self.traffic.append((self._clock(), len(data)))
        await self._stream.write(data)

    async def messages(self) -> AsyncGenerator[Message, None]:
        """The messages that come, until the end of the stream.

        :raises RemoteProtocolError: for anything that isn't one, or one cut off by the end.
        :raises OSError: if the connection broke.
        """
        while data := await self._stream.read():
            self.received += len(data)
            self.traffic.append((self._clock(), len(data)))
            for message in self._decoder.feed(data):
                yield message
        if not self._decoder.between_messages:
            raise RemoteProtocolError("the stream ended in the middle of a message")

    async def aclose(self) -> None:
        """End the connection."""
        await self._stream.aclose()


def hello(protocol: Protocol, run: str, worker: str) -> Hello:
    """The first message of either side."""
    return Hello(VERSION, protocol.name, protocol.version, run, worker)


def check(said: Message, mine: Hello) -> Hello:
    """The other side's first message, if it fits.

    :raises RemoteProtocolError: if it is another, or differs in wire, protocol or version.
    """
    if not isinstance(said, Hello):
        raise RemoteProtocolError("the first message must be a hello")
    for name in ("wire", "protocol", "version"):
        if getattr(said, name) != getattr(mine, name):
            raise RemoteProtocolError(f"{name} differs: {getattr(mine, name)} here, {getattr(said, name)!r} there")
    return said
