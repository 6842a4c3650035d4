"""How is a worker reached, and reached again when a connection broke? By tries with growing pauses, until a hello."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from russula.errors import RussulaError
from russula.link import Link
from russula.transport import Securing

Dial: TypeAlias = Callable[[str, asyncio.Protocol, Securing | None], Awaitable[asyncio.BaseTransport]]
"""``transport.connect``, or what a test puts in its place."""

PAUSE, PAUSE_MOST = 0.005, 0.5
"""Seconds between two tries: the first, and the longest; chance shortens each, so that many don't come at once."""
TRY, TRY_MOST = 5.0, 60.0
"""Seconds that one try may take: the first, and the longest."""
AT_ONCE = 256
"""Tries of one coordinator at the same time: more would only wait in the kernel, and for each other's handshakes."""

_PASSING = (
    ConnectionRefusedError,
    ConnectionResetError,
    BrokenPipeError,
    FileNotFoundError,
    BlockingIOError,
    TimeoutError,
)
_PASSING_NUMBERS = {errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH}


class Refusal(RussulaError):
    """The worker answered, and won't have this conversation."""


class Reach:
    """Tries to connect one worker. ``tries``: how many there were; ``last``: what the last one met.

    ``pause``: seconds before the next, longer each time; 0 once a connection was good for something.
    """

    def __init__(self, address: str, securing: Securing | None, dial: Dial, slots: asyncio.Semaphore) -> None:
        self._address, self._securing, self._dial, self._slots = address, securing, dial, slots
        self.tries = 0
        self.pause = 0.0
        self.last = ""
        self.greeted: asyncio.Future[None] | None = None

    async def reach(self, link: Callable[[], Link], *, refused_is_gone: bool) -> None:
        """Connect until the worker has said hello; ``link`` makes the next connection's.

        ``refused_is_gone``: on one machine, a conversation can't be where nobody listens any more.

        :raises OSError: if there is no use in trying again.
        :raises Refusal: if the worker won't have this conversation.
        """
        while True:
            if self.pause:
                await asyncio.sleep(self.pause * random.uniform(0.5, 1))  # noqa: S311  jitter, not a secret
            self.pause = min(max(PAUSE, 2 * self.pause), PAUSE_MOST)
            try:
                await self._try(link())
            except OSError as error:
                self.last = str(error) or "it didn't answer in time"
                if not is_passing(error) or (refused_is_gone and self._nobody(error)):
                    raise
            else:
                return

    async def _try(self, link: Link) -> None:
        async with self._slots:
            limit = min(TRY * 2 ** min(self.tries, 8), TRY_MOST)
            self.tries += 1
            self.greeted = greeted = asyncio.get_running_loop().create_future()
            wire: asyncio.BaseTransport | None = None
            try:
                async with asyncio.timeout(limit):
                    wire = await self._dial(self._address, link, self._securing)
                    await greeted
            except BaseException as error:
                if (
                    isinstance(error, TimeoutError)
                    and not greeted.cancelled()
                    and greeted.done()
                    and not greeted.exception()
                ):
                    return  # the worker's hello and the limit came in one turn of a loop that was held up
                link.abort()
                if isinstance(wire, asyncio.WriteTransport):
                    wire.abort()  # a handshake that isn't done has no link yet
                raise

    def _nobody(self, error: OSError) -> bool:
        return self._address.startswith("unix:") and isinstance(error, ConnectionRefusedError | FileNotFoundError)

    def met(self, error: Exception | None) -> None:
        """The connection ended, or was refused, before the worker said hello."""
        if self.greeted is not None and not self.greeted.done():
            self.greeted.set_exception(error or ConnectionResetError("it ended the connection before it said hello"))

    def welcome(self) -> None:
        """The worker said hello."""
        if self.greeted is not None and not self.greeted.done():
            self.greeted.set_result(None)


def is_passing(error: OSError) -> bool:
    """Whether it may be over at the next try."""
    return isinstance(error, _PASSING) or error.errno in _PASSING_NUMBERS
