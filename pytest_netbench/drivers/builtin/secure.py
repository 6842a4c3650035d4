"""How do bytes go through TLS? OpenSSL works in memory; what it makes and takes goes over the socket in large parts.

A record is at most 16 KiB, and a call of the kernel for each costs more than to copy it once more. What the socket
doesn't take whole must be sent before anything else. An end without a notice is an end: the real drivers give none.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence

from pytest_netbench.drivers.builtin.carrier import LANDING, Channel
from pytest_netbench.drivers.builtin.duplex import PAYLOAD, Duplex
from pytest_netbench.drivers.builtin.thread import END, ProtocolError

_AT_ONCE = 256 * 1024
_RAW = memoryview(bytearray(_AT_ONCE))
"""Where what is read lands before it is decrypted."""

_NOW = socket.MSG_DONTWAIT
_LANDING_SIZE = len(LANDING)


class Session:
    """TLS over a connected socket; a client's if the server's ``name`` is given."""

    __slots__ = ("_incoming", "_left", "_outgoing", "_socket", "ended", "read", "tls", "write")

    def __init__(
        self, connected: socket.SocketType, context: ssl.SSLContext, name: str | None, earlier: ssl.SSLSession | None
    ) -> None:
        self._socket = connected
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._left: bytes | memoryview = b""
        self.ended = False
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=name is None, server_hostname=name, session=earlier
        )
        self.read: Callable[[int, memoryview], int] = self.tls.read  # type: ignore[assignment]  # as with a buffer
        self.write = self.tls.write

    @property
    def holds(self) -> bool:
        """Whether something is known that makes no socket readable any more: what was read, or that it has ended."""
        return bool(self.ended or self._incoming.pending or self.tls.pending())

    def fetch(self, wait: bool = False) -> bool:  # noqa: FBT001, FBT002 - a keyword would cost each call
        """Read what has come; False at the end. With ``wait`` it waits for that, if the socket is patient.

        :raises BlockingIOError: if there is nothing yet.
        :raises OSError: if the network fails.
        """
        came = self._socket.recv_into(_RAW, 0, 0 if wait else _NOW)
        self._incoming.write(_RAW[:came])
        return came > 0

    def flush(self) -> bool:
        """Send what is to be sent: whether the socket has taken all.

        :raises OSError: if the network fails.
        """
        try:
            while part := self._left or self._outgoing.read():
                sent = self._socket.send(part, _NOW)
                self._left = memoryview(part)[sent:] if sent < len(part) else b""
        except BlockingIOError:
            self._left = part
            return False
        return True

    def receive(self, landing: memoryview) -> int:
        """Take decrypted bytes, of one record: how many, 0 at the end.

        :raises BlockingIOError: if there is nothing yet.
        :raises OSError: if the network fails, or the peer doesn't keep to TLS.
        """
        while True:
            try:
                return self.read(len(landing), landing)
            except ssl.SSLWantReadError:
                if not self.fetch():
                    return 0
            except ssl.SSLError as error:
                raise self.broken(error) from None

    def broken(self, error: ssl.SSLError) -> OSError:
        """What has happened to a connection on which TLS says that; the peer is told."""
        with contextlib.suppress(OSError):  # it is gone
            self.flush()
        return ProtocolError(f"TLS: {reason(error)}")

    def notify(self) -> None:
        """Give notice of the end; what comes can still be read.

        :raises OSError: if the network fails.
        """
        with contextlib.suppress(ssl.SSLError):  # the peer has given none yet
            self.tls.unwrap()
        self.flush()


class SecureDuplex(Duplex):
    """A duplex connection in TLS; a plain socket until the handshake begins."""

    __slots__ = ("_pending", "session")

    session: Session

    def secured(self, session: Session) -> None:
        """From now on it speaks TLS."""
        self.session = session
        self._pending = 0

    def send(self, limit: int) -> int:
        """Send up to so many payload bytes: how many were, 0 if it must be waited for."""
        session = self.session
        if not self._pending:
            self._pending = size = min(limit, _AT_ONCE)
            payload, self._preamble = self._preamble + PAYLOAD[:size] if self._preamble else PAYLOAD[:size], b""
            try:
                session.write(payload)
            except ssl.SSLError as error:
                raise session.broken(error) from None
            self.sent += size
        if not session.flush():
            self.full = True
            return 0
        size, self._pending = self._pending, 0
        self.full = False
        if size >= limit:  # there is somebody who may look at it next
            self.idle = not session.holds
        return min(size, limit)

    def flush(self) -> None:
        """Send the preamble by itself: a new connection always takes these few bytes."""
        if self._preamble:
            self.session.write(self._preamble)
            self.session.flush()
            self._preamble = b""

    def receive(self, limit: int, wait: bool) -> int:  # noqa: FBT001 - a stream's form
        """Take up to so many payload bytes: how many came, 0 and ``idle`` to wait, ``END`` if none will come."""
        session, read = self.session, self.session.read
        left = limit = min(limit, _LANDING_SIZE)
        try:
            there = session.holds or session.fetch(wait)
            while left and there:
                try:
                    came = read(left, LANDING)  # always to its beginning, which stays in the processor's cache
                except ssl.SSLWantReadError:  # a part of a record is there at most
                    if left < limit:
                        break
                    there = session.fetch(wait)
                else:
                    left -= came
                    there = came > 0
        except BlockingIOError:
            self.idle = True
            return 0
        except ssl.SSLError as error:
            raise session.broken(error) from None
        session.ended = not there
        came = limit - left
        if not came:
            return END
        self.idle = not session.holds
        self.received += came
        self.last_ns = now = self._clock()
        if self.first_ns is None:
            self.first_ns = now
        return came

    def left(self) -> tuple[int, int] | None:
        """What has come and wasn't received, of one record."""
        try:
            came = self.session.receive(LANDING)
        except OSError:  # nothing more, or it is closed
            return None
        return (self.number or 0, came) if came else None

    def _is_brief(self) -> bool:
        """Never: a handshake has several segments each way."""
        return False

    def raw(self, landing: memoryview) -> int:
        """Take bytes from before the payload."""
        return self.session.receive(landing)


class SecureChannel(Channel):
    """A channel in TLS; a plain socket until the handshake begins."""

    __slots__ = ("_pending", "session")

    whole = False

    session: Session

    def secured(self, session: Session) -> None:
        """From now on it speaks TLS."""
        self.session = session
        self._pending = 0

    def receive(self, landing: memoryview) -> int:
        """Take what is there."""
        return self.session.receive(landing)

    def send(self, parts: Sequence[bytes | memoryview]) -> int:
        """Send of these so much as goes at once; until the socket has taken that, nothing of it counts as sent."""
        if not self._pending:
            data = memoryview(b"".join(parts))[:_AT_ONCE]
            try:
                self._pending = self.session.write(data)
            except ssl.SSLError as error:
                raise self.session.broken(error) from None
        if not self.session.flush():
            raise BlockingIOError
        sent, self._pending = self._pending, 0
        return sent

    def half_close(self) -> None:
        """Give notice of the end; what comes can still be read."""
        self.session.notify()
        self.socket.shutdown(socket.SHUT_WR)


def reason(error: Exception) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.lower()
    if isinstance(error, ssl.SSLZeroReturnError):
        return "the peer closed"
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).lower().replace("_", " ")
    return (getattr(error, "strerror", None) or str(error)).lower()
