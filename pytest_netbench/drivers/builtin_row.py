"""Which drivers are always there? The rows of the built-in ones; their program is beside this file, in ``builtin``.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

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
from pytest_netbench.scenario.features import PLAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE: Mapping[str, OptionSpec] = {
    "cpus": OptionSpec(OptionKind.TEXT, "the processors that it is kept to, as 0,2-3"),
    "processes": OptionSpec(
        OptionKind.INTEGER,
        "processes that serve one address, each with a socket (SO_REUSEPORT)",
        least=1,
        role=Role.SERVER,
    ),
}
_OPTIONS: Mapping[str, OptionSpec] = {
    **_PLACE,
    "multiplex": OptionSpec(
        OptionKind.BOOLEAN,
        "carry streams in frames (default: where the scenario has more than one stream a connection)",
    ),
    "tcp.nodelay": OptionSpec(OptionKind.BOOLEAN, "send small segments at once (false: Nagle's algorithm)"),
    "tcp.congestion_control": OptionSpec(OptionKind.TEXT, "the kernel's algorithm, as cubic or bbr"),
    "tcp.send_buffer": OptionSpec(OptionKind.INTEGER, "bytes of the socket's send buffer (SO_SNDBUF)", least=1),
    "tcp.receive_buffer": OptionSpec(OptionKind.INTEGER, "bytes of the socket's receive buffer (SO_RCVBUF)", least=1),
}


def _command(transport: str, role: Role) -> Command:
    program = "{package}/drivers/builtin/__main__.py"
    alone = () if transport == "quic" else ("-S",)  # only aioquic is looked for among what is installed
    return Command(("{python}", "-I", *alone, program, transport, role.value))


_TLS: Mapping[str, OptionSpec] = {
    "tls.version": OptionSpec(OptionKind.TEXT, "the only version that is spoken", choices=("1.2", "1.3")),
    "tls.cipher": OptionSpec(OptionKind.TEXT, "the only cipher suite, by OpenSSL's name; those of TLS 1.2 imply it"),
    "tls.alpn": OptionSpec(OptionKind.TEXT, "the application protocol that both ends must agree on (default: none)"),
    "tls.connection_id": OptionSpec(
        OptionKind.TEXT,
        "how a client says which program it wants: in its first 8 bytes, or by the server's name alone",
        choices=("preamble", "sni"),
    ),
}


_QUIC: Mapping[str, OptionSpec] = {
    **_PLACE,
    "quic.alpn": OptionSpec(OptionKind.TEXT, "the application protocol that both ends must agree on"),
    "quic.max_mtu": OptionSpec(OptionKind.INTEGER, "bytes of the largest packet", least=1228),
    "quic.gso": OptionSpec(OptionKind.BOOLEAN, "hand several packets to the kernel at once"),
    "quic.congestion_control": OptionSpec(OptionKind.TEXT, "aioquic's algorithm", choices=("reno", "cubic")),
    "quic.send_buffer": OptionSpec(OptionKind.INTEGER, "bytes of the socket's send buffer (SO_SNDBUF)", least=1),
    "quic.receive_buffer": OptionSpec(OptionKind.INTEGER, "bytes of the socket's receive buffer (SO_RCVBUF)", least=1),
    "tls.cipher": OptionSpec(
        OptionKind.TEXT,
        "the only cipher suite",
        choices=("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"),
    ),
}

_SLOW: Mapping[str, OptionSpec] = {
    "slow.ns_per_byte": OptionSpec(OptionKind.TEXT, "CPU time spent on each byte received, to try a gate, as 0.05"),
}

_FEATURES = frozenset(one.word for one in PLAIN) | {"repeat", "schedule", "fresh_streams", "hold"}

_TCP = Driver(
    name="tcp",
    commands={role: _command("tcp", role) for role in Role},
    arming=Arming.PIPE,
    output=OutputFormat.REPORT,
    ends=dict.fromkeys(Role, (End.EXIT_0,)),
    transport=Transport.TCP,
    options={**_OPTIONS, **_SLOW},
    configures=True,
    features=_FEATURES,
    multiplexes=True,
    dumps_stacks=True,
    one_thread=True,
    profiles=True,
)

ROWS: Mapping[str, Driver] = {
    "tcp": _TCP,
    "tls": replace(
        _TCP,
        name="tls",
        commands={role: _command("tls", role) for role in Role},
        options={**_OPTIONS, **_TLS},
        secure=True,
        features=_FEATURES | {"resumption"},
        library="openssl",
        meets={"s2n-tls": {"tls.connection_id": "sni"}},
    ),
    "quic": replace(
        _TCP,
        name="quic",
        commands={role: _command("quic", role) for role in Role},
        transport=Transport.UDP,
        options=_QUIC,
        secure=True,
        features=_FEATURES | {"resumption", "early_data", "datagrams"},
        multiplexes=False,
        modules=("aioquic",),
        qlogs=True,
        install="pip install 'pytest-netbench[quic]'",
    ),
}
