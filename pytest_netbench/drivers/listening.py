"""Does a driver listen? Read from the kernel's socket tables, never by connecting: that would be a connection too many.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import random
import socket
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.drivers import sock_diag
from pytest_netbench.drivers.driver import Transport
from pytest_netbench.drivers.environment import endpoint
from pytest_netbench.drivers.sock_diag import Entry, IPAddress
from pytest_netbench.telemetry import proc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_TABLES = {
    Transport.TCP: {"tcp": socket.IPPROTO_TCP, "tcp6": socket.IPPROTO_TCP},
    Transport.UDP: {"udp": socket.IPPROTO_UDP, "udp6": socket.IPPROTO_UDP},
}


class State(Enum):
    """The states that matter here, with the kernel's numbers; a bound UDP socket shows ``CLOSE``."""

    ESTABLISHED = 1
    CLOSE = 7
    CLOSE_WAIT = 8
    LISTEN = 10


WAITING = (State.LISTEN, State.CLOSE)
OPEN = (State.ESTABLISHED, State.CLOSE_WAIT)


class PortTaken(Exception):
    """Another process has the port already; the text says which."""


def entries(transport: Transport, states: Iterable[State]) -> list[Entry]:
    """The sockets of a transport in this process's network namespace that are in one of the states."""
    kinds = (Transport.TCP, Transport.UDP) if transport is Transport.ANY else (transport,)
    wanted = frozenset(state.value for state in states)
    mask = sum(1 << number for number in wanted)
    found: list[Entry] = []
    for kind in kinds:
        try:
            for protocol in set(_TABLES[kind].values()):
                found += sock_diag.sockets(protocol, mask)
        except OSError:  # a kernel that can't be asked this way has the tables as text
            found += [one for name in _TABLES[kind] for one in parse(_table(name)) if one.state in wanted]
    return found


def _table(name: str) -> str:
    try:
        return Path("/proc/net", name).read_text()
    except FileNotFoundError:  # a kernel without IPv6
        return ""


def parse(text: str) -> Iterator[Entry]:
    """The entries of one of ``/proc/net/{tcp,tcp6,udp,udp6}``."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        address, _, port = fields[1].partition(":")
        unread = fields[4].partition(":")[2]
        yield Entry(_address(address), int(port, 16), int(fields[3], 16), int(unread, 16), int(fields[9]))


def _address(text: str) -> IPAddress:
    """An address as the kernel prints it: 32-bit words in the machine's own order."""
    words = [int(text[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8)]
    return ipaddress.ip_address(b"".join(words))


def at(address: str, port: int, transport: Transport) -> list[Entry]:
    """The sockets to which something sent to this address and port would go, as listener or UDP receiver."""
    return reached(address, port, entries(transport, WAITING))


def reached(address: str, port: int, known: Iterable[Entry]) -> list[Entry]:
    """Those of some sockets that wait at an address and port, directly or by a wildcard."""
    wanted = _plain(ipaddress.ip_address(address))
    return [
        one
        for one in known
        if one.port == port
        and one.state in {state.value for state in WAITING}
        and (_plain(one.address) == wanted or one.address.is_unspecified or wanted.is_unspecified)
    ]


def _plain(address: IPAddress) -> IPAddress:
    """An IPv4 address that is dressed as IPv6, undressed."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


_TRIES, _LOWEST = 64, 10_000


def check_free(address: str, port: int, transport: Transport) -> None:
    """Whether a driver may listen there.

    :raises PortTaken: if another process does already.
    """
    taken = at(address, port, transport)
    if taken:
        raise PortTaken(f"port {port} at {address} is taken by {_owner(taken[0].inode)}")


def _owner(inode: int) -> str:
    for pid in proc.processes():
        if inode in proc.sockets(pid):
            return f"{proc.name(pid)} (process {pid})"
    return "another process"


def free_port(address: str, transport: Transport) -> int:
    """A port that nobody has at this address; for ``ANY``, for both transports.

    From below the range that the kernel gives to those who dial, so that nobody is given it before the driver binds.
    """
    kinds = {Transport.TCP: (socket.SOCK_STREAM,), Transport.UDP: (socket.SOCK_DGRAM,)}.get(
        transport, (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    )
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _ in range(_TRIES):
        port = random.randrange(_LOWEST, _first_ephemeral())  # noqa: S311  to keep apart, not to hide
        with contextlib.ExitStack() as stack:
            try:
                for kind in kinds:
                    stack.enter_context(socket.socket(family, kind)).bind((address, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                raise
            return port
    raise OSError(errno.EADDRINUSE, f"no free port found at {address}")


def _first_ephemeral() -> int:
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        first = 0
    return first if first > 2 * _LOWEST else 65536


async def until_listening(address: str, port: int, transport: Transport, tree: Callable[[], Iterable[int]]) -> None:
    """Return when a process of the driver's tree listens; ``tree`` says which these are at each look.

    :raises PortTaken: if another process does.
    """
    pause = 0.001
    while True:
        found = at(address, port, transport)
        if found:
            own = {inode for pid in tree() for inode in proc.sockets(pid)}
            if any(one.inode in own for one in found):
                return
            if all(one.inode for one in found):
                raise PortTaken(f"port {port} at {address} is taken by {_owner(found[0].inode)}")
        await asyncio.sleep(pause)
        pause = min(1.5 * pause, 0.005)


def waiting(pids: Iterable[int]) -> list[str]:
    """Where these processes listen, over any transport: ``ADDRESS:PORT``, for people."""
    own = {inode for pid in pids for inode in proc.sockets(pid)}
    found = (one for one in entries(Transport.ANY, WAITING) if one.inode in own and one.port)
    return sorted({endpoint(str(_plain(one.address)), one.port) for one in found})


def busy(port: int) -> tuple[Entry, ...]:
    """The TCP connections of a listener's port that its process hasn't closed yet."""
    return tuple(one for one in entries(Transport.TCP, OPEN) if one.port == port and one.inode)


def unread(port: int) -> tuple[Entry, ...]:
    """The UDP sockets of a port in which something waits to be read."""
    states = (State.CLOSE, State.ESTABLISHED)
    return tuple(one for one in entries(Transport.UDP, states) if one.port == port and one.unread)
