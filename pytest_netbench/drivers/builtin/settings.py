"""What was the driver asked to do? The environment that the contract of netbench drivers names, read and checked.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pytest_netbench.drivers.builtin.ending import Misused
from pytest_netbench.roles import Role

_MOST_PORT = 65535
_FLAGS = {"true": True, "false": False, "": None}


class Transport(StrEnum):
    """Over what connections are made."""

    TCP = "tcp"
    TLS = "tls"
    QUIC = "quic"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is run. ``index``: which endpoint of its role. ``arm``: the instant comes there, readiness goes there.

    ``multiplex``: whether streams go in frames, None if the scenario decides. ``profile``: where its own stacks go,
    ``qlogs``: the folder for what connections of QUIC do; None for neither.
    """

    transport: Transport
    role: Role
    scenario: Path
    index: int
    ip: str
    port: int
    peers: Mapping[int, tuple[str, int]]
    local_ip: str
    report: Path | None
    arm: tuple[int, int] | None
    multiplex: bool | None
    profile: Path | None = None
    qlogs: Path | None = None


_USAGE = f"usage: {{{','.join(Transport)}}} {{server,client}} [SCENARIO]"


def read(arguments: list[str], environment: Mapping[str, str]) -> Settings:
    """Read the command line and the environment.

    :raises Misused: if something is missing or can't be read.
    """
    if len(arguments) not in {2, 3} or arguments[1] not in {role.value for role in Role}:
        raise Misused(_USAGE)
    if arguments[0] not in set(Transport):
        raise Misused(f"there is no transport {arguments[0]!r}; {_USAGE}")
    transport, role = Transport(arguments[0]), Role(arguments[1])
    scenario = arguments[2] if arguments[2:] else environment.get("SCENARIO", "")
    if not scenario:
        raise Misused(f"no scenario: name a file in SCENARIO; {_USAGE}")
    asked = environment.get("MULTIPLEX", "")
    if asked not in _FLAGS:
        raise Misused(f"MULTIPLEX: expected true or false, found {asked!r}")
    return Settings(
        transport=transport,
        role=role,
        scenario=Path(scenario),
        index=_number(environment, f"{role.name}_ID", 0),
        ip=environment.get("IP") or "::",
        port=_port("PORT", environment.get("PORT") or "4433"),
        peers=_peers(environment),
        local_ip=environment.get("LOCAL_IP", ""),
        report=_path(environment, "NETBENCH_REPORT"),
        arm=_arm(environment.get("NETBENCH_ARM")),
        multiplex=_FLAGS[asked],
        profile=_path(environment, "NETBENCH_PROFILE"),
        qlogs=_path(environment, "QLOGDIR"),
    )


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(text) if (text := environment.get(name)) else None


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not _digits(text):
        raise Misused(f"{name}: expected a number, found {text!r}")
    return int(text)


def _port(name: str, text: str) -> int:
    if not _digits(text) or int(text) > _MOST_PORT:
        raise Misused(f"{name}: expected a port, 0 to {_MOST_PORT}, found {text!r}")
    return int(text)


def _peers(environment: Mapping[str, str]) -> dict[int, tuple[str, int]]:
    """The servers' addresses, from ``SERVER_0=HOST:PORT`` and so on; ``SERVER_ID`` isn't one of them."""
    found = {}
    for name, text in environment.items():
        kind, _, index = name.partition("_")
        if kind == "SERVER" and _digits(index):
            host, separator, port = text.rpartition(":")
            if not separator or not host:
                raise Misused(f"{name}: expected HOST:PORT, found {text!r}")
            found[int(index)] = (host.removeprefix("[").removesuffix("]"), _port(name, port))
    return found


def _arm(text: str | None) -> tuple[int, int] | None:
    if not text:
        return None
    reader, _, writer = text.partition(",")
    if not _digits(reader) or not _digits(writer):
        raise Misused(f"NETBENCH_ARM: expected READFD,WRITEFD, found {text!r}")
    return int(reader), int(writer)
