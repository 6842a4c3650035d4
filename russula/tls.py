"""How is a stream made secret and certain of its other end? Mutual TLS 1.3 over any stream, in buffers of our own.

asyncio's TLS holds 256 KiB for each connection; here a connection holds what is under way, a record or two.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from russula.credentials import COORDINATOR, Credentials
from russula.errors import CredentialsError
from russula.stream import READ, Stream
from russula.transport import Securing

RECORD = 1 << 14
"""Bytes of plain text in one record of TLS."""


class TlsStream:
    """A stream inside another; made by :func:`secured`."""

    def __init__(self, wire: Stream, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, tls: ssl.SSLObject) -> None:
        self._wire, self._incoming, self._outgoing, self._tls = wire, incoming, outgoing, tls

    async def handshake(self) -> None:
        """Agree on keys.

        :raises ssl.SSLError: if the other side isn't of this run (an ``OSError``).
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    raise ConnectionResetError("the connection ended in the middle of the handshake") from None
            except ssl.SSLError:
                with suppress(OSError):  # the other side is told why, if it still listens
                    await self._flush()
                raise
            else:
                await self._flush()
                return

    async def read(self) -> bytes:
        """Some bytes; none at the end, which must be said in TLS."""
        while True:
            try:
                return self._tls.read(READ)
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    raise ConnectionResetError("the connection was cut") from None
            except ssl.SSLZeroReturnError:
                return b""

    async def write(self, data: bytes) -> None:
        """Give bytes away, a record at a time, so that no more than that is held here."""
        view = memoryview(data)
        for start in range(0, len(view), RECORD):
            self._tls.write(view[start : start + RECORD])
            await self._flush()

    async def aclose(self) -> None:
        """Say the end in TLS, and end the connection."""
        with suppress(OSError):  # SSLWantRead among them: the other side's own word for it isn't awaited
            self._tls.unwrap()
        with suppress(OSError):
            await self._flush()
        await self._wire.aclose()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._wire.write(self._outgoing.read())

    async def _fill(self) -> bool:
        data = await self._wire.read()
        if data:
            self._incoming.write(data)
        return bool(data)


def context(mine: Credentials) -> ssl.SSLContext:
    """What one side needs for all its connections of a run: TLS 1.3, its leaf, and the run's authority alone.

    :raises CredentialsError: if chain and key don't belong together.
    """
    side = ssl.PROTOCOL_TLS_CLIENT if mine.name == COORDINATOR else ssl.PROTOCOL_TLS_SERVER
    made = ssl.SSLContext(side)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_mode = ssl.CERT_REQUIRED
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
    return partial(secured, tls=context(mine))


def for_coordinators(mine: Credentials) -> Callable[[str, str], Securing]:
    """How a coordinator secures its connections: from a worker's name, and its pin, to the way to secure one."""
    made = context(mine)
    return lambda peer, pin: partial(secured, tls=made, peer=peer, pin=pin)


async def secured(wire: Stream, *, tls: ssl.SSLContext, peer: str = "", pin: str = "") -> Stream:
    """TLS over a stream; ``peer``: the worker's name, at the coordinator; ``pin``: the fingerprint of its leaf.

    :raises OSError: if the other side isn't of this run, isn't who it should be, or ends.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    inner = tls.wrap_bio(incoming, outgoing, server_side=not peer, server_hostname=peer or None)
    stream = TlsStream(wire, incoming, outgoing, inner)
    await stream.handshake()
    if pin:
        leaf = hashlib.sha256(inner.getpeercert(binary_form=True) or b"").hexdigest()
        if leaf != pin:
            raise ConnectionAbortedError(f"{peer} has another certificate than was issued to it")
    return stream
