"""How is a connection made secret and certain of its other end? Mutual TLS 1.3 between transport and protocol.

In buffers of our own: asyncio's TLS holds 256 KiB for each connection, here a connection holds what is under way.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from collections.abc import Callable
from contextlib import suppress

from russula.buffered import Buffered
from russula.credentials import COORDINATOR, Credentials
from russula.errors import CredentialsError
from russula.transport import Securing

RECORD = 1 << 14
"""Bytes of plain text in one record of TLS."""


class Tls(asyncio.Transport, Buffered):
    """TLS between a transport, to which it is a protocol, and a protocol, to which it is a transport.

    ``peer``: the worker's name, at the coordinator; ``pin``: the fingerprint of its certificate. An end that isn't of
    this run, or isn't who it should be, is a ``connection_lost`` of the inner protocol that never saw a
    ``connection_made``.
    """

    def __init__(self, inner: asyncio.Protocol, tls: ssl.SSLContext, peer: str = "", pin: str = "") -> None:
        super().__init__()
        self._inner, self._context, self._peer, self._pin = inner, tls, peer, pin
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._wire: asyncio.Transport | None = None
        self._agreed = self._closing = self._ended = False
        self._error: Exception | None = None
        self._chunk = 0

    # --- a protocol, to the wire -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The wire is there; the coordinator's side begins."""
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        if self._peer:
            self._handshake()

    def data_received(self, data: bytes) -> None:
        """Take what came, a record at a time, so that no more than that is held here."""
        self._chunk = len(data)
        view = memoryview(data)
        for start in range(0, len(view), RECORD):
            self._incoming.write(view[start : start + RECORD])
            if not self._agreed:
                self._handshake()
            if self._agreed:
                self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        """The wire is gone; without an end said in TLS it was cut."""
        self._wire = None
        if exc is None and not self._closing and not self._ended:
            exc = ConnectionResetError("the connection was cut" if self._agreed else "it ended in the handshake")
        self._inner.connection_lost(self._error or exc)

    def pause_writing(self) -> None:
        """Passed on."""
        if self._agreed:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Passed on."""
        if self._agreed:
            self._inner.resume_writing()

    # --- a transport, to the protocol ------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Give bytes away."""
        if self._tls is None or self._wire is None or self._closing:
            return
        view = memoryview(data)
        for start in range(0, len(view), RECORD):
            self._tls.write(view[start : start + RECORD])
        self._flush()

    def close(self) -> None:
        """Say the end in TLS, and end the connection when all is sent."""
        if self._wire is None or self._closing:
            return
        self._closing = True
        if self._agreed and self._tls is not None:
            with suppress(ssl.SSLError):  # the other side's own word for it isn't awaited
                self._tls.unwrap()
        self._flush()
        if self._wire is not None:
            self._wire.close()

    def abort(self) -> None:
        """End the connection now."""
        self._closing = True
        if self._wire is not None:
            self._wire.abort()

    def is_closing(self) -> bool:
        """Whether no more can be written."""
        return self._closing or self._wire is None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As of the wire."""
        if self._wire is not None:
            self._wire.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        """As of the wire."""
        if self._wire is not None:
            self._wire.pause_reading()

    def resume_reading(self) -> None:
        """As of the wire."""
        if self._wire is not None:
            self._wire.resume_reading()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """As of the wire; ``chunk``: bytes that the last read took from it."""
        if name == "chunk":
            return self._chunk
        return default if self._wire is None else self._wire.get_extra_info(name, default)

    # --- between them ------------------------------------------------------------------------------

    def _handshake(self) -> None:
        if self._closing:
            return
        if self._tls is None:  # at a worker only now: who connects and says nothing costs nothing
            self._tls = self._context.wrap_bio(
                self._incoming, self._outgoing, server_side=not self._peer, server_hostname=self._peer or None
            )
        try:
            self._tls.do_handshake()
            self._check_pin(self._tls)
        except ssl.SSLWantReadError:
            self._flush()
        except OSError as error:
            self._flush()  # the other side is told why, if it still listens
            self._fail(error)
        else:
            self._agreed = True
            self._inner.connection_made(self)
            self._flush()  # if it didn't say anything that took the end of the handshake along

    def _check_pin(self, tls: ssl.SSLObject) -> None:
        if self._pin and hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest() != self._pin:
            raise ConnectionAbortedError(f"{self._peer} has another certificate than its own")

    def _read(self) -> None:
        assert self._tls is not None
        try:
            while not self._closing:
                data = self._tls.read(RECORD)
                if not data:
                    break
                self._inner.data_received(data)
                if not self._incoming.pending and not self._tls.pending():
                    return
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLZeroReturnError:
            pass
        except ssl.SSLError as error:
            self._fail(error)
            return
        self._ended = True
        self.close()

    def _flush(self) -> None:
        if self._outgoing.pending and self._wire is not None:
            self._wire.write(self._outgoing.read())

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._closing = True
        if self._wire is not None:
            self._wire.close()


def context(mine: Credentials, *, pinned: bool = False) -> ssl.SSLContext:
    """What one side needs for all its connections of a run: TLS 1.3, its leaf, and the run's authority alone.

    ``pinned``: the very certificate of each worker is known, so that no authority is asked about it: a worker may have
    made its key and its certificate itself.

    :raises CredentialsError: if chain and key don't belong together.
    """
    side = ssl.PROTOCOL_TLS_CLIENT if mine.name == COORDINATOR else ssl.PROTOCOL_TLS_SERVER
    made = ssl.SSLContext(side)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = side is ssl.PROTOCOL_TLS_CLIENT and not pinned
    made.verify_mode = ssl.CERT_NONE if pinned else ssl.CERT_REQUIRED
    if side is ssl.PROTOCOL_TLS_SERVER:
        made.num_tickets = 0  # a ticket would be a byte too many after the handshake, and nobody resumes
    try:
        made.load_verify_locations(cadata=mine.authority)
        _load(made, mine)
    except ssl.SSLError as error:
        raise CredentialsError(f"the credentials of {mine.name} can't be used: {error.reason}") from error
    return made


def _load(made: ssl.SSLContext, mine: Credentials) -> None:
    """``load_cert_chain`` wants a file: one in memory, so that a key never touches a disk."""
    descriptor = os.memfd_create("russula", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, (mine.key + mine.chain).encode())
        made.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def for_workers(mine: Credentials) -> Securing:
    """How a worker secures what it accepts: from the coordinator of its run only."""
    made = context(mine)
    return lambda inner: Tls(inner, made)


def for_coordinators(mine: Credentials) -> Callable[[str, str], Securing]:
    """How a coordinator secures its connections: from a worker's name, and its pin, to the way to secure one."""
    made = {pinned: context(mine, pinned=pinned) for pinned in (False, True)}
    return lambda peer, pin: lambda inner: Tls(inner, made[bool(pin)], peer, pin)
