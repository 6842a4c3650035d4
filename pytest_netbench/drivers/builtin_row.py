"""Which drivers are always there? The rows of the built-in ones; their program is beside this file, in ``builtin``.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

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
    return Command(("{python}", "-I", "-S", program, transport, role.value))


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


def _row(name: str, options: Mapping[str, OptionSpec], *, secure: bool) -> Driver:
    return Driver(
        name=name,
        commands={role: _command(name, role) for role in Role},
        arming=Arming.PIPE,
        output=OutputFormat.REPORT,
        ends=dict.fromkeys(Role, (End.EXIT_0,)),
        transport=Transport.TCP,
        options=options,
        configures=True,
        secure=secure,
        features=frozenset({"streams", "send_streams", "server_streams"}),
        multiplexes=True,
        dumps_stacks=True,
        meets={"s2n-tls": {"tls.connection_id": "sni"}} if secure else {},
    )


ROWS: Mapping[str, Driver] = {
    "tcp": _row("tcp", _OPTIONS, secure=False),
    "tls": _row("tls", {**_OPTIONS, **_TLS}, secure=True),
}
