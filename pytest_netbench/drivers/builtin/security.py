"""How is a connection made secure? Certificates of the scenario, names, versions and ciphers, and the handshake.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_netbench.drivers.builtin import configuration, tcp
from pytest_netbench.drivers.builtin.connection import Connection, receive_preamble
from pytest_netbench.drivers.builtin.ending import Failed, Misused, Unsupported
from pytest_netbench.drivers.builtin.engine import READ, WRITE, Waits
from pytest_netbench.drivers.builtin.secure import SecureChannel, SecureDuplex, Session, reason
from pytest_netbench.drivers.builtin.wire import Wire
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.features import Feature

PREAMBLE, SNI = "preamble", "sni"
"""Where a client says which program it wants: in its first 8 bytes, as over TCP, or in the server's name alone."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_OF_1_3 = "TLS_"


@dataclass(frozen=True, slots=True)
class Options:
    """What users compare; None leaves it to both ends."""

    version: str | None = None
    cipher: str | None = None
    alpn: str | None = None
    connection_id: str = PREAMBLE


_READERS: Mapping[str, configuration.Reader] = {
    "version": configuration.one_of(*_VERSIONS),
    "cipher": configuration.name(63),
    "alpn": configuration.name(255),
    "connection_id": configuration.one_of(PREAMBLE, SNI),
}


def options(said: Mapping[str, str]) -> Options:
    """The keys ``tls.*`` of an endpoint's configuration.

    :raises Misused: if one isn't known, or its value can't be read.
    """
    return Options(**configuration.chosen(said, "tls.", _READERS))


class SecureWire(Wire):
    """What all connections in TLS have in common."""

    duplex = SecureDuplex
    channel = SecureChannel
    greets = True

    def __init__(
        self,
        context: ssl.SSLContext,
        said: Mapping[str, str],
        *,
        multiplex: bool,
        alone: bool = True,
        remembers: bool = False,
    ) -> None:
        super().__init__(tcp.options(said), multiplex=multiplex, alone=alone)
        chosen = options(said)
        self.remembers = remembers
        self._sessions: dict[tuple[int, str], ssl.SSLSession] = {}
        self.preamble = chosen.connection_id != SNI
        self._context = context
        self._chosen = chosen
        _restrict(context, chosen)

    def greet(self, connection: Connection, name: str | None, dial: m.Connect | None = None) -> Waits:
        """Carry out the handshake on a connection's socket, as a client if the server's ``name`` is given.

        To resume, the session of an earlier connection to that server and that name is offered.

        :raises Failed: if the ends don't agree, or don't trust each other.
        """
        link: Any = connection.carrier.link
        resume = dial is not None and dial.resume
        earlier = self._sessions.get((connection.server, name or "")) if resume else None
        try:
            session = Session(link.socket, self._context, name, earlier)
            link.secured(session)
            yield from _handshake(session)
            tls = session.tls
            if name is not None and not self._context.check_hostname:
                _check_name(tls, name)
        except (OSError, ValueError) as error:
            raise Failed(f"{connection.title}, TLS handshake: {reason(error)}") from None
        if (wanted := self._chosen.alpn) is not None and (found := tls.selected_alpn_protocol()) != wanted:
            other = f"chose {found!r}" if found is not None else "has none of that name"
            raise Failed(f"{connection.title}, TLS handshake: ALPN {wanted!r} is asked for, the peer {other}")
        if resume:
            connection.resumed = bool(tls.session_reused)

    def remember(self, connection: Connection, name: str) -> None:
        """Keep the session; an end without notice would make it one that can't be resumed."""
        link: Any = connection.carrier.link
        if (session := link.session.tls.session) is not None:
            self._sessions[connection.server, name] = session
        if not self._multiplex:  # which gives notice itself
            with contextlib.suppress(OSError):  # the peer is gone
                link.session.notify()

    def program(self, connection: Connection, ahead: int) -> Generator[int, None, int]:  # noqa: ARG002 - a wire's form
        """Carry out the handshake, then read the program's number, or take it from the server's name.

        :raises Failed: as for ``greet``, or if the name has no number.
        """
        yield from self.greet(connection, None)
        if self.preamble:
            return (yield from receive_preamble(connection))
        link: Any = connection.carrier.link
        return number(connection, getattr(link.session.tls, _ASKED, None))


def number(connection: Connection, asked: str | None) -> int:
    """The number of the program that a client wants who calls this server by that name.

    :raises Failed: if there is none.
    """
    label = (asked or "").partition(".")[0]
    if not (label.isascii() and label.isdigit()):
        raise Failed(f"{connection.title}: the client asks for the name {asked!r}, expected NUMBER.ID.net")
    return int(label)


_ASKED = "netbench_name"


def for_client(scenario: m.Scenario, client: m.Client, *, multiplex: bool) -> SecureWire:
    """What a client needs: the authorities that it trusts.

    :raises Misused: if the scenario has none for it, or they can't be read.
    :raises Unsupported: if this Python can't do what is chosen.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = not scenario.id.startswith("-")  # OpenSSL takes no such label for a name
    if not client.certificate_authorities:
        raise Misused("the client trusts no certificate authority: the scenario needs certificates for TLS")
    for index in client.certificate_authorities:
        with reading("certificate_authorities", index):
            context.load_verify_locations(cadata=certificate(scenario, "certificate_authorities", index))
    remembers = Feature.RESUMPTION.word in scenario.requires
    return SecureWire(context, client.configuration, multiplex=multiplex, remembers=remembers)


def for_server(scenario: m.Scenario, server: m.Server, *, multiplex: bool, alone: bool) -> SecureWire:
    """What a server needs: its key and chain; ``alone``: it has one connection at a time.

    :raises Misused: if the scenario has none for it, or they can't be read.
    :raises Unsupported: if this Python can't do what is chosen.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key = certificate(scenario, "private_key", server.private_key)
    chain = certificate(scenario, "certificate", server.certificate)
    with in_memory(key) as key_file, in_memory(chain) as chain_file, reading("certificate", server.certificate):
        context.load_cert_chain(chain_file, key_file)
    context.sni_callback = lambda connected, name, _context: setattr(connected, _ASKED, name)
    return SecureWire(context, server.configuration, multiplex=multiplex, alone=alone)


def certificate(scenario: m.Scenario, field: str, index: int) -> str:
    """One of the scenario's texts in PEM.

    :raises Misused: if there is none of that index.
    """
    if index >= len(scenario.certificates) or not scenario.certificates[index].pem:
        have = len(scenario.certificates)
        raise Misused(f"{field}: TLS needs certificate {index}, the scenario has {have} with a text in PEM")
    return scenario.certificates[index].pem


@contextlib.contextmanager
def reading(field: str, index: int) -> Iterator[None]:
    """Turn what goes wrong with a certificate into ``Misused``."""
    try:
        yield
    except (ssl.SSLError, ValueError, OSError) as error:
        if not isinstance(error, ssl.SSLError) and getattr(error, "errno", None) in tcp.NO_DESCRIPTOR:
            raise
        raise Misused(f"{field}: certificate {index} can't be read: {reason(error)}") from None


@contextlib.contextmanager
def in_memory(text: str) -> Iterator[str]:
    """A path from which a text can be read, on no disk."""
    descriptor = os.memfd_create("netbench")
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _restrict(context: ssl.SSLContext, chosen: Options) -> None:
    """Allow what is chosen, and nothing else."""
    version, cipher = chosen.version, chosen.cipher
    if cipher is not None:
        older = "1.3" if cipher.startswith(_OF_1_3) else "1.2"
        if version not in {None, older}:
            raise Misused(f"tls.cipher: {cipher} is one of TLS {older}, tls.version is {version}")
        version = older
        _restrict_cipher(context, cipher, version)
    if version is not None:
        context.minimum_version = context.maximum_version = _VERSIONS[version]
    if chosen.alpn is not None:
        context.set_alpn_protocols([chosen.alpn])


def _restrict_cipher(context: Any, cipher: str, version: str) -> None:  # noqa: ANN401 - newer than what mypy knows
    if version == "1.3" and not hasattr(context, "set_ciphersuites"):
        raise Unsupported(f"tls.cipher={cipher}: this Python's ssl chooses no ciphers of TLS 1.3, only of 1.2")
    try:
        (context.set_ciphersuites if version == "1.3" else context.set_ciphers)(cipher)
    except ssl.SSLError:
        raise Unsupported(f"tls.cipher={cipher}: {ssl.OPENSSL_VERSION} has none of that name") from None


def _check_name(connected: ssl.SSLObject, name: str) -> None:
    """Whether a certificate, which is trusted already, is for that name, or for all beside it.

    :raises ValueError: if not.
    """
    certificate: Any = connected.getpeercert() or {}
    names = [text.lower() for kind, text in certificate.get("subjectAltName", ()) if kind == "DNS"]
    if not {name.lower(), f"*.{name.lower().partition('.')[2]}"} & set(names):
        raise ValueError(f"hostname mismatch, certificate is not valid for {name!r}")


def _handshake(session: Session) -> Generator[int, None, None]:
    done = False
    while not done:
        try:
            session.tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            with contextlib.suppress(OSError):  # it is gone
                session.flush()  # the peer is told
            raise
        while not session.flush():
            yield WRITE
        if not done:
            yield from _fetch(session)


def _fetch(session: Session) -> Generator[int, None, None]:
    while True:
        try:
            if session.fetch():
                return
        except BlockingIOError:
            yield READ
        else:
            raise ConnectionError("the peer closed")
