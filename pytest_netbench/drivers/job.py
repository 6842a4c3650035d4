"""What is a host asked to run in one round? A driver by its name, typed options, addresses; never a command line.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

from pytest_netbench.errors import RunError
from pytest_netbench.roles import Role

STATUS_UNSUPPORTED = 127
"""With which status a driver exits that can't do a scenario."""


class Reason(StrEnum):
    """Why a worker can't go on: the ``reason`` of the failure that its coordinator is told."""

    UNSUPPORTED = "unsupported"
    """The driver exited with status 127."""
    MISSING = "missing"
    """The driver isn't on the host, or can't be executed."""
    ENDED = "ended"
    """The driver ended otherwise, or at another time, than its row expects."""
    DEADLINE = "deadline"
    """The driver didn't listen, arm or end in time."""
    PORT = "port"
    """Another process has the port."""
    STORAGE = "storage"
    """The host's disk is full or read-only."""
    ORDER = "order"
    """The order makes no sense: a driver without a row, an option of a wrong type."""


class Watch(StrEnum):
    """What a driver is watched by in a round that isn't measured, since watching costs time."""

    PROFILE = "profile"
    """Where its CPU time goes."""
    QLOG = "qlog"
    """What its QUIC connections do, in files that it writes itself."""


@dataclass(frozen=True, slots=True)
class Job:
    """One driver's share of a round.

    ``driver``: the name of a row of the table that the worker got at its start. ``peers``: ``HOST:PORT`` of each
    server, in the scenario's order (clients). ``bind``: IP address to listen at, or to dial from. ``port``: to listen
    at, 0 for a free one. ``timeout_s``: seconds from the start instant after which a client hangs. ``start_s``,
    ``stop_s``: seconds to come up and to go down. ``multiplex``: None leaves it to the scenario. ``half``: of its
    host's processors, on which it is to run, 0 or 1, None for all. ``watch``: None in a round that is measured.
    """

    role: Role
    index: int
    driver: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    peers: tuple[str, ...] = ()
    bind: str = "::"
    timeout_s: float = 60.0
    port: int = 0
    start_s: float = 20.0
    stop_s: float = 10.0
    multiplex: bool | None = None
    half: int | None = None
    watch: Watch | None = None

    def to_order(self) -> dict[str, Any]:
        """The job as JSON values, as it travels with the coordinator's START."""
        return {
            "role": self.role.value,
            "index": self.index,
            "driver": self.driver,
            "options": dict(self.options),
            "peers": list(self.peers),
            "bind": self.bind,
            "timeout_s": self.timeout_s,
            "port": self.port,
            "start_s": self.start_s,
            "stop_s": self.stop_s,
            "multiplex": self.multiplex,
            "half": self.half,
            "watch": self.watch,
        }

    @classmethod
    def from_order(cls, order: Mapping[str, Any]) -> Job:
        """The job from what travelled.

        :raises RunError: names the field that is missing or wrong.
        """
        known = cls.__dataclass_fields__
        if unknown := set(order) - set(known):
            raise RunError(f"order: unknown fields {sorted(unknown)}")
        values = {name: _checked(name, order[name]) for name in known if name in order}
        if missing := {"role", "index", "driver"} - set(values):
            raise RunError(f"order: missing fields {sorted(missing)}")
        return cls(**values)


def _checked(name: str, value: object) -> Any:  # noqa: ANN401 - each field has its own type
    """One field of an order; everything in it comes over the wire, so nothing is taken on trust."""
    fits, expected = _FIELDS[name]
    if not fits(value):
        raise RunError(f"order: {name} must be {expected}, got {value!r}")
    if name == "role":
        return Role(value)
    if isinstance(value, str) and name == "watch":
        return Watch(value)
    return tuple(value) if isinstance(value, list) else value


def _integer(low: int, high: int) -> Any:  # noqa: ANN401
    return lambda value: type(value) is int and low <= value <= high


_LONGEST = 1e7  # seconds: some months


def _seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < _LONGEST


def _text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _address(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(ip_address(value))
    except ValueError:
        return False


_FIELDS: Mapping[str, Any] = {
    "role": (lambda value: value in [role.value for role in Role], "'server' or 'client'"),
    "index": (_integer(0, 2**31), "an index"),
    "driver": (_text, "a driver's name"),
    "options": (lambda value: isinstance(value, Mapping), "a map of options"),
    "peers": (lambda value: isinstance(value, list) and all(map(_text, value)), "a list of HOST:PORT"),
    "bind": (_address, "an IP address"),
    "timeout_s": (_seconds, "seconds"),
    "port": (_integer(0, 65535), "a port"),
    "start_s": (_seconds, "seconds"),
    "stop_s": (_seconds, "seconds"),
    "half": (lambda value: value in (None, 0, 1) and not isinstance(value, (bool, float)), "0, 1 or null"),
    "watch": (lambda value: value in (None, *Watch), f"null or one of {', '.join(Watch)}"),
    "multiplex": (lambda value: value is None or isinstance(value, bool), "true, false or null"),
}
