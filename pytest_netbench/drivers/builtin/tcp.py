"""How are TCP sockets made? Options, dialling, listening, what the kernel says of a connection.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from pytest_netbench.drivers.builtin import configuration
from pytest_netbench.drivers.builtin.ending import Failed
from pytest_netbench.drivers.builtin.engine import PATIENCE_NS

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
Address: TypeAlias = tuple[int, SocketAddress]
"""A socket family, and an address in its form."""

_IP_BIND_ADDRESS_NO_PORT = 24
ANY = frozenset({"", "::", "0.0.0.0"})  # noqa: S104 - what no own address is chosen by
_MAPPED = "::ffff:"


@dataclass(frozen=True, slots=True)
class Options:
    """What users compare. Sizes in bytes; None leaves it to the kernel."""

    nodelay: bool = True
    congestion_control: str | None = None
    send_buffer: int | None = None
    receive_buffer: int | None = None

    def settle(self, one: socket.SocketType) -> None:
        """Set what matters from the second segment of payload on."""
        if self.nodelay:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def prepare(self, one: socket.SocketType) -> None:
        """Set what matters from the first segment on.

        :raises Failed: if this kernel doesn't take one.
        """
        if not (self.congestion_control or self.send_buffer or self.receive_buffer):
            return
        for name, level, number, value in (
            (
                "tcp.congestion_control",
                socket.IPPROTO_TCP,
                socket.TCP_CONGESTION,
                self.congestion_control and self.congestion_control.encode(),
            ),
            ("tcp.send_buffer", socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer),
            ("tcp.receive_buffer", socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer),
        ):
            if value:
                try:
                    one.setsockopt(level, number, value)
                except OSError as error:
                    raise Failed(f"{name}={getattr(self, name[4:])}: {error.strerror}") from None


def options(said: Mapping[str, str]) -> Options:
    """The keys ``tcp.*`` of an endpoint's configuration.

    :raises Misused: if one isn't known, or its value can't be read.
    """
    return Options(**configuration.chosen(said, "tcp.", _READERS))


_READERS: Mapping[str, configuration.Reader] = {
    "nodelay": configuration.flag,
    "congestion_control": configuration.name(15),  # TCP_CA_NAME_MAX
    "send_buffer": configuration.size,
    "receive_buffer": configuration.size,
}


# --- addresses ---------------------------------------------------------------------------------


def resolve(host: str, port: int) -> Address:
    """The first address of a host.

    :raises Failed: if it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Failed(f"{host!r} can't be resolved: {error.strerror}") from None
    return found[0][0], found[0][4]  # type: ignore[return-value]  # TCP over IP has no others


def text(address: SocketAddress) -> str:
    """``HOST:PORT``; an IPv4 address that a dual-stack socket sees is written as what it is."""
    host, port = str(address[0]), address[1]
    host = host.removeprefix(_MAPPED) if "." in host else host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_PATIENCE = struct.pack("@ll", 0, PATIENCE_NS // 1000)


def dialler(target: Address, local_ip: str, chosen: Options, *, patient: bool = False) -> socket.SocketType:
    """A socket that can dial the target, from ``local_ip`` if one is chosen.

    It never waits, unless it is ``patient``. What doesn't matter yet is left to ``settle``.

    :raises OSError: if there is no descriptor left, or the address isn't this host's.
    """
    family = target[0]
    kind = socket.SOCK_STREAM if patient else socket.SOCK_STREAM | socket.SOCK_NONBLOCK
    one = socket.SocketType(family, kind, 0)  # the interpreter's own, quicker to make than ``socket.socket``
    try:
        chosen.prepare(one)
        if local_ip not in ANY:
            if family == socket.AF_INET:
                one.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            one.bind((local_ip, 0))
    except BaseException:
        one.close()
        raise
    return one


def settle(one: socket.SocketType, chosen: Options, *, patient: bool) -> None:
    """Set what a connected socket still needs, while the server takes it: nobody waits for these calls.

    A ``patient`` one waits to receive or to accept, as long as the engine has patience.
    """
    chosen.settle(one)
    if patient:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)


def listeners(ip: str, port: int, chosen: Options, count: int, *, patient: bool = False) -> list[socket.socket]:
    """Sockets that share an address; the kernel gives each connection to one of them.

    :raises Failed: as for ``listener``.
    """
    first = listener(ip, port, chosen, shared=count > 1, patient=patient)
    made = [first]
    try:
        while len(made) < count:
            made.append(listener(ip, first.getsockname()[1], chosen, shared=True, patient=patient))
    except BaseException:
        for one in made:
            one.close()
        raise
    return made


def listener(ip: str, port: int, chosen: Options, *, shared: bool = False, patient: bool = False) -> socket.socket:
    """A socket that listens; ``::`` is both families, or IPv4 alone where there is no IPv6.

    It never waits, unless it is ``patient``; then so are the connections that it accepts.

    :raises Failed: if the address is taken or isn't this host's.
    """
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    if ip == "::" and not has_ipv6():
        ip, family = "0.0.0.0", socket.AF_INET  # noqa: S104 - asked for by the environment
    try:
        one = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if ip == "::":
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            chosen.prepare(one)  # the connections that it accepts inherit all
            settle(one, chosen, patient=patient)
            one.setblocking(patient)
            one.bind((ip, port))
            one.listen(65535)
        except BaseException:
            one.close()
            raise
    except OSError as error:
        raise Failed(f"can't listen on {text((ip, port))}: {(error.strerror or str(error)).lower()}") from None
    return one


def accept(listening: socket.socket, family: int) -> tuple[socket.SocketType, SocketAddress]:
    """As the listening socket's own, which looks up its family and kind by name at each call, for microseconds.

    :raises OSError: if there is none, or no descriptor for it.
    """
    descriptor, peer = listening._accept()  # type: ignore[attr-defined]  # noqa: SLF001
    return socket.SocketType(family, socket.SOCK_STREAM, 0, descriptor), peer


def has_ipv6() -> bool:
    """Whether this machine's loopback has it; containers often haven't."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


# --- what the kernel says ----------------------------------------------------------------------


class Said(NamedTuple):
    """What the kernel says of a connection so far.

    Segments that aren't acknowledged, segments that were sent again, bytes that wait to be sent; microseconds in which
    there was any of the first or the last.
    """

    unacknowledged: int
    retransmits: int
    unsent: int
    busy_us: int


_INFO = struct.Struct("=24xI72xI40xI20xQ")
"""From linux/tcp.h: the offsets of unacked, total_retrans, notsent_bytes and busy_time are 24, 100, 144 and 168."""


def kernel_says(one: socket.SocketType) -> Said | None:
    """What it does; None where it doesn't tell."""
    try:
        return Said(*_INFO.unpack(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)))
    except (OSError, struct.error):
        return None


_COUNT = struct.Struct("@i")
_NONE = bytes(_COUNT.size)


def unread(fd: int) -> int:
    """Bytes that have come and weren't received; 0 where the kernel doesn't tell."""
    try:
        size: int = _COUNT.unpack(fcntl.ioctl(fd, termios.FIONREAD, _NONE))[0]
    except OSError:
        return 0
    return size


NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})


def reason(error: OSError) -> str:
    """What went wrong, in a few words; for a lack of descriptors also what helps."""
    said = (error.strerror or str(error)).lower()
    if error.errno in NO_DESCRIPTOR:
        return f"{said}: raise the limit (`ulimit -n`)"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{said}: no free port is left on this address, or it isn't this host's"
    return said
