"""How is a program run that knows nothing of scenarios? Its command lines, and how its output is read; pure.

Beside this file, ``adapter`` holds the program that stands in for a netbench driver: it maps the scenario down to one
of these lines. This file runs on hosts: standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pytest_netbench.roles import Role
from pytest_netbench.scenario.shape import Kind

COMMAND_PLACEHOLDERS = (
    "host", "port", "local", "bytes", "total_bytes", "connections", "streams", "seconds", "cert", "key", "ca", "name",
    "python",
)  # fmt: skip
"""What may stand in braces in a line of level command."""

INTEROP_PLACEHOLDERS = (
    "host", "port", "local", "www", "downloads", "certs", "logs", "requests", "testcase", "name", "python",
)  # fmt: skip
"""What may stand in braces in a line, or in ``env``, of level interop."""

FOLDERS = ("www", "downloads", "certs", "logs")
"""The folders of the interop runner's contract, directly under the root of its containers."""

SECURE = ("cert", "key", "ca")
"""Placeholders for which the scenario must have certificates."""

PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")
"""A word in double braces, which stands for itself in single ones, or a placeholder."""


@dataclass(frozen=True, slots=True)
class Output:
    """How standard output is read: by the parser of that name, or by a regular expression with named groups.

    ``units``: what the number of a group is counted in, where it isn't bytes, seconds, or bytes per second.
    """

    parser: str = ""
    pattern: str = ""
    units: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Foreign:
    """The command lines of each role for each kind of transfer, and how what they print is read.

    ``one_at_a_time``: a server process serves one client command, so there is one process for each, at ports one after
    another. ``ends``: exit statuses of a server that was sent SIGTERM, beside 0 and the signal itself.
    """

    lines: Mapping[Role, Mapping[Kind, tuple[str, ...]]]
    output: Mapping[Role, Output] = field(default_factory=lambda: MappingProxyType({}))
    one_at_a_time: bool = False
    ends: tuple[int, ...] = ()

    def line(self, role: Role, kind: Kind) -> tuple[str, ...]:
        """The line of a role for a kind."""
        return self.lines[role][kind]


def placeholders(*texts: str) -> Iterator[str]:
    """What stands in braces."""
    for text in texts:
        yield from (word for _, word in PLACEHOLDER.findall(text) if word)


def needs_certificates(foreign: Foreign) -> bool:
    """Whether any of its lines names a certificate, a key or an authority."""
    lines = (line for of_role in foreign.lines.values() for line in of_role.values())
    return any(one in SECURE for line in lines for one in placeholders(*line))


def to_json(foreign: Foreign) -> dict[str, Any]:
    """As it travels to a host."""
    return {
        "lines": {
            role.value: {kind.value: list(line) for kind, line in lines.items()}
            for role, lines in foreign.lines.items()
        },
        "output": {
            role.value: {"parser": one.parser, "pattern": one.pattern, "units": dict(one.units)}
            for role, one in foreign.output.items()
        },
        "one_at_a_time": foreign.one_at_a_time,
        "ends": list(foreign.ends),
    }


def from_json(value: Mapping[str, Any]) -> Foreign:
    """From what travelled; the inverse of ``to_json``."""
    return Foreign(
        lines={
            Role(role): {Kind(kind): tuple(line) for kind, line in lines.items()}
            for role, lines in value["lines"].items()
        },
        output={Role(role): Output(**one) for role, one in value["output"].items()},
        one_at_a_time=value["one_at_a_time"],
        ends=tuple(value["ends"]),
    )
