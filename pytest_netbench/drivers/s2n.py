"""Which real netbench drivers are there? The four of s2n-netbench, as one table.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from pytest_netbench.drivers.driver import (
    Arming,
    Command,
    Driver,
    End,
    OptionKind,
    OptionSpec,
    OutputFormat,
    Transport,
)
from pytest_netbench.roles import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "0.1.0"
"""Of all four crates. With ``--locked`` only: with newer dependencies they don't compile."""

_COMMON: dict[str, OptionSpec] = {
    "multithreaded": OptionSpec(
        OptionKind.BOOLEAN,
        "run on one thread a core (false: on one; default: on one, unless streams go in frames)",
        on=("--multithreaded=true",),
        off=("--multithreaded=false",),
    ),
}
_STREAM: dict[str, OptionSpec] = {
    "tcp.nodelay": OptionSpec(
        OptionKind.BOOLEAN, "send small segments at once (false: Nagle's algorithm)", off=("--nagle",)
    ),
    "multiplex": OptionSpec(
        OptionKind.BOOLEAN,
        "carry streams in frames (default: where the scenario has more than one stream a connection)",
    ),
}
_BUFFERED: dict[str, OptionSpec] = {
    "rx_buffer": OptionSpec(
        OptionKind.INTEGER, "bytes of the read buffer in user space", on=("--rx-buffer", "{value}B"), least=1
    ),
    "tx_buffer": OptionSpec(
        OptionKind.INTEGER, "bytes of the write buffer in user space", on=("--tx-buffer", "{value}B"), least=1
    ),
}
_QUIC: dict[str, OptionSpec] = {
    "quic.max_mtu": OptionSpec(
        OptionKind.INTEGER, "bytes of the largest packet", on=("--max-mtu", "{value}"), least=1228
    ),
    "quic.alpn": OptionSpec(
        OptionKind.TEXT,
        "the application protocol that both ends must agree on (default: netbench)",
        on=("--application-protocols", "{value}"),
    ),
    "quic.gso": OptionSpec(OptionKind.BOOLEAN, "hand several packets to the kernel at once", off=("--disable-gso",)),
}


_MULTIPLEXED: Mapping[str, str] = MappingProxyType({"MULTITHREADED": "true"})
"""With one thread it spins for ever as soon as a socket takes no more, which small packets make certain."""


class _Real(NamedTuple):
    """What differs between the four."""

    crate: str
    library: str
    transport: Transport
    secure: bool
    options: Mapping[str, OptionSpec]


_TABLE: Mapping[str, _Real] = {
    "s2n-tcp": _Real("tcp", "tokio", Transport.TCP, secure=False, options=_COMMON | _STREAM | _BUFFERED),
    "s2n-native-tls": _Real("native-tls", "openssl", Transport.TCP, secure=True, options=_COMMON | _STREAM | _BUFFERED),
    "s2n-tls": _Real("s2n-tls", "s2n-tls", Transport.TCP, secure=True, options=_COMMON | _STREAM),
    "s2n-quic": _Real("s2n-quic", "s2n-quic", Transport.UDP, secure=True, options=_COMMON | _QUIC),
}


def crate(name: str) -> str:
    """The crate of a row, as ``cargo install`` takes it."""
    return f"s2n-netbench-driver-{_TABLE[name].crate}"


def _row(name: str, real: _Real) -> Driver:
    program = "s2n-netbench-driver-{role}-" + real.crate
    trace = MappingProxyType({"TRACE": "stdio"})  # without it neither bytes nor traces are known
    return Driver(
        name=name,
        commands={
            Role.SERVER: Command((program.replace("{role}", "server"), "--ip", "{ip}"), trace),
            Role.CLIENT: Command((program.replace("{role}", "client"),), trace),
        },
        arming=Arming.EXECUTED,
        output=OutputFormat.STDIO,
        ends={Role.SERVER: (End.SIGTERM,), Role.CLIENT: (End.EXIT_0,)},  # a server never exits by itself
        transport=real.transport,
        options=real.options,
        install=f"cargo install --locked {crate(name)}@{VERSION}",
        secure=real.secure,
        family=name,
        multiplexes=real.transport is Transport.TCP,
        multiplex_env=_MULTIPLEXED if real.transport is Transport.TCP else {},
        library=real.library,
        one_thread=True,
    )


ROWS: Mapping[str, Driver] = {name: _row(name, real) for name, real in _TABLE.items()}
