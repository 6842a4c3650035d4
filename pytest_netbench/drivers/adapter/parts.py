"""Which commands does a side of a round run? Lines of level command, their placeholders filled; pure but for files.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.drivers.driver import fill
from pytest_netbench.errors import RunError
from pytest_netbench.roles import Role

if TYPE_CHECKING:
    from pytest_netbench.drivers.adapter.work import Work


@dataclass(frozen=True, slots=True)
class Part:
    """One command. ``port``: where it listens, or dials. ``connections``: how many it makes.

    ``root``: what is called in its process before the program, None for nothing. ``downloads``: numbers of the files
    that it fetches, and where it puts them (level interop).
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    output: Path
    port: int
    server: int
    connections: int
    root: Callable[[], None] | None = None
    downloads: tuple[tuple[int, str], ...] = ()


def parts(work: Work) -> list[Part]:
    """All commands of this side, in their order."""
    made: list[Part] = []
    each = work.commands_a_client
    if work.role is Role.SERVER:
        count = each * work.plain.clients if work.foreign.one_at_a_time else 1
        return [_part(work, number, work.bind, work.port + number, work.index) for number in range(count)]
    for server, peer in enumerate(work.peers):
        for number in range(each):
            offset = work.index * each + number if work.foreign.one_at_a_time else 0
            made.append(_part(work, len(made), peer.host, peer.port + offset, server))
    return made


def _part(work: Work, number: int, host: str, port: int, server: int) -> Part:
    connections = work.plain.connections // work.commands_a_client
    values = {
        "host": host,
        "port": str(port),
        "local": work.bind,
        "bytes": str(work.plain.bytes),
        "total_bytes": str(work.plain.bytes * work.plain.streams * connections),
        "connections": str(connections),
        "streams": str(work.plain.streams),
        "seconds": "" if work.plain.seconds is None else f"{work.plain.seconds:g}",
        "name": work.name,
        "python": sys.executable,
        **certificates(work, server),
    }
    line = work.foreign.line(work.role, work.plain.kind)
    together = work.plain.parallel or work.role is Role.SERVER
    return Part(
        argv=(str(work.driver.find(line[0])), *(fill(word, values) for word in line[1:]), *work.arguments),
        env={**work.env, **{key: fill(text, values) for key, text in work.driver.commands[work.role].env.items()}},
        output=work.outbox / f"command-{number if together else 0}.out",
        port=port,
        server=server,
        connections=connections,
    )


def certificates(work: Work, server: int) -> dict[str, str]:
    """Files with the certificate chain, the key, and the authority of a server, by their placeholders.

    A client gets the authority only.

    :raises RunError: if the scenario points to a certificate that it doesn't have.
    """
    known = work.scenario.certificates
    if not known or server >= len(work.scenario.servers):
        return {}
    one = work.scenario.servers[server]
    wanted = {"ca": one.certificate_authority}
    if work.role is Role.SERVER:
        wanted |= {"cert": one.certificate, "key": one.private_key}
    folder = work.folder / "certs"  # not in the outbox, which is fetched: a key stays where it is
    folder.mkdir(mode=0o700, exist_ok=True)
    found: dict[str, str] = {}
    for key, place in wanted.items():
        if place >= len(known):
            raise RunError(f"server {server} points to certificate {place}, the scenario has {len(known)}")
        path = folder / f"{key}.pem"
        path.touch(mode=0o600)
        path.write_text(known[place].pem)
        found[key] = str(path)
    return found
