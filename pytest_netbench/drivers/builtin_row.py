"""Which driver is always there? The row of the built-in one; its program is beside this file, in ``builtin``.

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

_OPTIONS: Mapping[str, OptionSpec] = {
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


ROWS: Mapping[str, Driver] = {
    "tcp": Driver(
        name="tcp",
        commands={role: _command("tcp", role) for role in Role},
        arming=Arming.PIPE,
        output=OutputFormat.REPORT,
        ends=dict.fromkeys(Role, (End.EXIT_0,)),
        transport=Transport.TCP,
        options=_OPTIONS,
        configures=True,
        features=frozenset({"streams", "send_streams", "server_streams"}),
        multiplexes=True,
        dumps_stacks=True,
    )
}
