"""What was said in a conversation, what was heard of it, and what must be said again? Pure.

All that one side says stands in a log, numbered by its place. A connection carries the log from where the other side
stopped hearing, so that each message is taken once and in order however often connections break.
"""

from __future__ import annotations

from russula.bulk import Piece
from russula.codec import encode
from russula.errors import RemoteProtocolError
from russula.messages import Frame, Message


class Dialogue:
    """One side's log. ``heard``: messages of the other side that were taken."""

    __slots__ = ("_next", "_said", "heard")

    def __init__(self) -> None:
        self._said: list[bytes | Piece] = []
        self._next = 0
        self.heard = 0

    @property
    def count(self) -> int:
        """How many messages this side has said."""
        return len(self._said)

    def say(self, message: Message | Piece) -> None:
        """Say something after all else that was said.

        :raises LocalProtocolError: if it is larger than the other side will take.
        :raises TypeError: if its data isn't JSON.
        """
        self._said.append(message if isinstance(message, Piece) else encode(Frame(len(self._said), message)))

    def next(self) -> bytes | None:
        """What is to be sent next on this connection; None while there is nothing.

        :raises LocalProtocolError: if it is a piece of a file that became shorter.
        :raises OSError: if it is a piece of a file that can't be read.
        """
        at = self._next
        if at == len(self._said):
            return None
        said = self._said[at]
        self._next = at + 1
        return encode(Frame(at, said.load())) if isinstance(said, Piece) else said

    def resume(self, heard: int) -> None:
        """A new connection begins: the other side has heard so many.

        :raises RemoteProtocolError: if it says that it heard what wasn't said.
        """
        if heard > len(self._said):
            raise RemoteProtocolError(f"it says that it heard {heard} messages, {len(self._said)} were said")
        self._next = heard

    def take(self, seq: int | None) -> None:
        """The other side's next message was heard.

        :raises RemoteProtocolError: if it isn't the one that is due.
        """
        if seq != self.heard:
            raise RemoteProtocolError(f"message {seq} came where {self.heard} was due")
        self.heard += 1
