"""Is it read from the kernel's tables whether a driver listens, and whose a port is?"""

from __future__ import annotations

import asyncio
import os
import socket
from ipaddress import ip_address

import pytest

from pytest_netbench.drivers.driver import Transport
from pytest_netbench.drivers.listening import (
    PortTaken,
    at,
    busy,
    check_free,
    free_port,
    parse,
    reached,
    unread,
    until_listening,
)
from pytest_netbench.drivers.sock_diag import Entry
from tests.ipv6 import needs_ipv6

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0901007F:1539 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000 100 0 0 10 0
   1: 0901007F:1539 0100007F:D431 08 00000000:0000A410 00:00000000 00000000     0        0 4712 1 0000 20 4 30 10 -1
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:1539 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 0 99 1
   1: 0000000000000000FFFF00000901007F:1539 0000000000000000FFFF00000100007F:0001 01 00000000:00000000 00:0 0 0 0 98 1
"""


def test_the_kernels_lines_are_read() -> None:
    """Address, port, state, unread bytes and inode of IPv4 and IPv6 sockets."""
    listener, connection = parse(TCP)
    assert (listener.address, listener.port) == (ip_address("127.0.1.9"), 5433)
    assert (listener.state, listener.inode) == (10, 4711)
    assert (connection.state, connection.unread) == (8, 0xA410)
    wildcard, mapped = parse(TCP6)
    assert wildcard.address == ip_address("::")
    assert mapped.address == ip_address("::ffff:127.0.1.9")


@pytest.mark.parametrize(("address", "found"), [("127.0.1.9", 2), ("127.0.0.1", 1), ("0.0.0.0", 2), ("::", 2)])
def test_a_wildcard_is_at_every_address(address: str, found: int) -> None:
    """A listener counts where something sent there would reach it."""
    known = [*parse(TCP), *parse(TCP6)]
    assert len(reached(address, 5433, known)) == found
    assert reached(address, 5434, known) == []


@pytest.fixture(params=["sock_diag", "proc"])
def asked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to ask the kernel."""
    if request.param == "proc":

        def refuses(*_: int) -> list[Entry]:
            raise PermissionError

        monkeypatch.setattr("pytest_netbench.drivers.sock_diag.sockets", refuses)


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("address", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
def test_connections_that_are_not_closed_here_are_busy(address: str) -> None:
    """Until the server's process closes them; what it hasn't read is counted. The client's end isn't."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection((address, port)) as client:
            server, _ = listener.accept()
            client.sendall(b"12345")
            server.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL)  # now it is there
            (one,) = busy(port)
            assert (str(one.address), one.port, one.unread) == (address, port, 5)
            server.close()
            assert busy(port) == ()


@pytest.mark.usefixtures("asked")
def test_datagrams_that_wait_are_unread() -> None:
    """Until the server's process takes them."""
    kind = (socket.AF_INET, socket.SOCK_DGRAM)
    with socket.socket(*kind) as server, socket.socket(*kind) as client:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert unread(port) == ()
        client.sendto(b"12345", ("127.0.0.1", port))
        server.recv(5, socket.MSG_PEEK)  # now it is there
        assert [one.port for one in unread(port)] == [port]
        server.recv(5)
        assert unread(port) == ()


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("transport", [Transport.TCP, Transport.UDP])
async def test_a_listening_driver_is_seen(transport: Transport) -> None:
    """Found as soon as a process of its tree listens, without a connection to it."""
    kind = socket.SOCK_STREAM if transport is Transport.TCP else socket.SOCK_DGRAM
    port = free_port("127.0.0.1", transport)
    looking = asyncio.ensure_future(until_listening("127.0.0.1", port, transport, lambda: [os.getpid()]))
    with socket.socket(socket.AF_INET, kind) as sock:
        await asyncio.sleep(0)
        assert not looking.done()
        sock.bind(("127.0.0.1", port))
        if transport is Transport.TCP:
            sock.listen()
        await asyncio.wait_for(looking, 30)


async def test_somebody_else_is_not_the_driver() -> None:
    """A listener outside of the driver's tree is told, with its name."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} at 127.0.0.1 is taken by .*process {os.getpid()}"):
            check_free("127.0.0.1", port, Transport.TCP)
        with pytest.raises(PortTaken):
            await until_listening("127.0.0.1", port, Transport.TCP, list)


def test_a_free_port_is_free_for_both() -> None:
    """Where the transport isn't known, neither table has the port."""
    port = free_port("127.0.0.1", Transport.ANY)
    assert at("127.0.0.1", port, Transport.ANY) == []


@needs_ipv6
def test_ipv6_has_free_ports() -> None:
    """An address decides the family."""
    assert free_port("::1", Transport.TCP) > 0
