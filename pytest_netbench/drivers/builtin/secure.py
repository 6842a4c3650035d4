"""How do bytes go through TLS? The two kinds of sockets of this driver, over ``ssl``'s own, which is never waited for.

A record is at most 16 KiB. One that the socket didn't take whole must be tried again before anything else, with no less
than it had. An end without a notice is an end: the real drivers give none. Before Python 3.13, ``ssl`` calls a reset an
unexpected end; so those of the first kind must be no errors to OpenSSL (``lenient``), and what is left is a reset.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from pytest_netbench.drivers.builtin.carrier import LANDING, Channel
from pytest_netbench.drivers.builtin.duplex import PAYLOAD, Duplex
from pytest_netbench.drivers.builtin.thread import END, ProtocolError

RECORD = 16_384
_LENIENT: int = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # OpenSSL 3


def lenient(context: ssl.SSLContext) -> bool:
    """Let an end without a notice be an end; False if this OpenSSL can't tell it from a reset."""
    context.options |= _LENIENT
    return bool(_LENIENT)


class SecureDuplex(Duplex):
    """A duplex connection in TLS; a plain socket until the handshake begins."""

    __slots__ = ("_pending", "_read")

    socket: Any

    def secured(self, connected: ssl.SSLSocket) -> None:
        """From now on it goes through this socket, which has taken the plain one's place."""
        self.socket = connected
        self._read: Callable[[int, memoryview], int] = connected.read  # type: ignore[assignment]  # as with a buffer
        self._pending = 0

    def send(self, limit: int) -> int:
        """Send up to so many payload bytes: how many were, 0 if it must be waited for."""
        preamble = self._preamble
        size = max(min(limit, RECORD - len(preamble)), self._pending)
        try:
            self.socket.send(preamble + PAYLOAD[:size] if preamble else PAYLOAD[:size])
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._pending = size
            self.full = True
            return 0
        except ssl.SSLError as error:
            raise _broken(error) from None
        self._preamble = b""
        self._pending = 0
        self.full = False
        self.sent += size
        if size >= limit:  # there is somebody who may look at it next
            self.idle = not self.socket.pending()  # what TLS has decoded already makes no socket readable
        return min(size, limit)

    def flush(self) -> None:
        """Send the preamble by itself: a new connection always takes these few bytes."""
        if self._preamble:
            self.socket.send(self._preamble)
            self._preamble = b""

    def receive(self, limit: int, wait: bool) -> int:  # noqa: ARG002, FBT001 - a stream's form; not patient
        """Take up to so many payload bytes: how many came, 0 and ``idle`` to wait, ``END`` if none will come."""
        try:
            came: int = self._read(min(limit, RECORD), LANDING)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self.idle = True
            return 0
        except ssl.SSLError as error:
            raise _broken(error) from None
        if not came:
            return END
        self.idle = came < min(limit, RECORD)  # a whole record is rarely the last one
        self.received += came
        self.last_ns = now = self._clock()
        if self.first_ns is None:
            self.first_ns = now
        return came

    def left(self) -> tuple[int, int] | None:
        """What has come and wasn't received, of one record."""
        try:
            came = self.socket.recv_into(LANDING, RECORD)
        except OSError:  # nothing more, or it is closed
            return None
        return (self.number or 0, came) if came else None

    def raw(self, landing: memoryview) -> int:
        """Take bytes from before the payload."""
        return _receive(self.socket, landing)


class SecureChannel(Channel):
    """A channel in TLS; a plain socket until the handshake begins."""

    __slots__ = ()

    whole = False

    def secured(self, connected: ssl.SSLSocket) -> None:
        """From now on it goes through this socket, which has taken the plain one's place."""
        self.socket = connected

    def receive(self, landing: memoryview) -> int:
        """Take what is there."""
        return _receive(self.socket, landing)

    def send(self, parts: Sequence[bytes | memoryview]) -> int:
        """Send a record of these; what is there stays there, so the same is tried again."""
        size, taken = 0, []
        for part in parts:
            taken.append(part)
            size += len(part)
            if size >= RECORD:
                break
        record = memoryview(b"".join(taken))[:RECORD]
        try:
            sent: int = self.socket.send(record)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            raise BlockingIOError from None
        except ssl.SSLError as error:
            raise _broken(error) from None
        return sent

    def half_close(self) -> None:
        """Give notice of the end; what comes can still be read."""
        with contextlib.suppress(ssl.SSLError):  # the peer has given none yet
            self.socket.unwrap()
        socket.socket.shutdown(self.socket, socket.SHUT_WR)  # ssl's own would end TLS in both directions


def _receive(connected: Any, landing: memoryview) -> int:  # noqa: ANN401 - a socket
    try:
        came: int = connected.recv_into(landing)
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        raise BlockingIOError from None
    except ssl.SSLError as error:
        raise _broken(error) from None
    return came


def _broken(error: ssl.SSLError) -> OSError:
    """What has happened to a connection on which TLS says that."""
    if isinstance(error, ssl.SSLEOFError):
        return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    if isinstance(error, ssl.SSLZeroReturnError):  # it has given notice, and takes no more
        return BrokenPipeError(errno.EPIPE, reason(error))
    return ProtocolError(f"TLS: {reason(error)}")


def reason(error: Exception) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.lower()
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "the peer closed"
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).lower().replace("_", " ")
    return (getattr(error, "strerror", None) or str(error)).lower()
