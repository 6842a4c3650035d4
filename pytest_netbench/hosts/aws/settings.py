"""What may be set for AWS? The section ``[providers.aws]`` as one frozen value; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from pytest_netbench.errors import UsageError, nearest
from pytest_netbench.units import seconds


@dataclass(frozen=True, slots=True)
class Image:
    """An image by name: the public SSM parameter that says which it is today, and what is in it."""

    parameter: str
    glibc: tuple[int, int]
    python: tuple[int, int]


IMAGES: Mapping[str, Image] = MappingProxyType(
    {
        "ubuntu-24.04": Image(
            "/aws/service/canonical/ubuntu/server/24.04/stable/current/{debian}/hvm/ebs-gp3/ami-id", (2, 39), (3, 12)
        ),
        "al2023": Image("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{machine}", (2, 34), (3, 11)),
    }
)
LARGEST, SMALLEST = 16, 24
"""Bits of the stack's network: a VPC has 16 at least; a zone's subnet has four more, and 28 at most."""
SHORTEST_LIFE, LONGEST_LIFE = 300.0, 24 * 3600.0
"""Seconds: a test doesn't begin on hosts that have less than two minutes to live."""


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """Where hosts are made, of what kind, and what they may cost.

    ``accounts``: the only accounts in which anything is ever made. ``types``: instance types where the marker doesn't
    say, in the order in which they are tried; ``zones``: likewise, all of the stack's if empty. ``image``: a name of
    ``IMAGES``, an ``ami-...``, or an SSM parameter; ``glibc``, ``python``: of an image without a name; ``programs``:
    those that are on it, by name, and where. ``life``: seconds after which a host ends itself, whatever happens.
    ``control``: at which of its addresses a worker is reached; ``allow``: the network from which it may be, this
    machine's public address if empty. ``max_cost``: dollars that all hosts of a run may cost at most. ``price``:
    dollars an hour of types that the table doesn't have. ``poll``: seconds between two questions of one kind.
    ``boot``, ``agent``: seconds for a host to run, and for SSM to hear of it. ``network``: the addresses of the network
    that the stack makes. ``subnet_tag``, ``bucket``,
    ``instance_profile``, ``log_group``: an existing network, in the place of the stack's.
    """

    region: str = ""
    profile: str = ""
    endpoint: str = ""
    accounts: tuple[str, ...] = ()
    stack: str = "netbench"
    network: str = "10.77.0.0/16"
    owner: str = "netbench"
    types: tuple[str, ...] = ("c5n.large",)
    zones: tuple[str, ...] = ()
    placement: str = "cluster"
    image: str = "ubuntu-24.04"
    glibc: tuple[int, int] | None = None
    python: tuple[int, int] | None = None
    programs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    spot: bool = False
    life: float = 2 * 3600.0
    control: str = "public"
    allow: str = ""
    port: int = 9000
    max_cost: float = 5.0
    price: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    poll: float = 1.0
    boot: float = 300.0
    agent: float = 300.0
    timeout: float = 15.0
    max_hosts: int = 250
    emulate: bool = False
    publish: bool = False
    subnet_tag: str = ""
    bucket: str = ""
    instance_profile: str = ""
    log_group: str = ""

    @property
    def emulated(self) -> bool:
        """Whether this is no real AWS: what listens on this machine only."""
        return self.emulate or self.endpoint.startswith(("http://127.", "http://localhost"))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected a text, found {value!r}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"expected a text or a list of texts, found {value!r}")
    return tuple(_text(one) for one in value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, found {value!r}")
    return value


def _dollars(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise ValueError(f"expected dollars, found {value!r}")
    return float(value)


def _whole(least: int, most: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"expected a whole number from {least} to {most}, found {value!r}")
        return value

    return parse


def _one_of(*known: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in known:
            raise ValueError(f"unknown value {value!r}: {nearest(str(value), known)}")
        return str(value)

    return parse


def _life(value: object) -> float:
    found = seconds(value)
    if not SHORTEST_LIFE <= found <= LONGEST_LIFE:
        raise ValueError(f"expected five minutes to one day, found {value!r}")
    return found


def _network(value: object) -> str:
    try:
        found = ipaddress.IPv4Network(_text(value))
    except ValueError as error:
        raise ValueError(f'expected a network as "10.77.0.0/16": {error}') from None
    if not LARGEST <= found.prefixlen <= SMALLEST:
        raise ValueError(f"expected a network from /{LARGEST} to /{SMALLEST}, found {value!r}")
    return str(found)


def _version(value: object) -> tuple[int, int]:
    major, _, minor = _text(value).partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise ValueError(f'expected a version as "2.39", found {value!r}')
    return int(major), int(minor)


def _places(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or not all(str(path).startswith("/") for path in value.values()):
        raise ValueError(f'expected paths on the image by program, as {{iperf3 = "/usr/bin/iperf3"}}, found {value!r}')
    return MappingProxyType({name: _text(path) for name, path in value.items()})


def _prices(value: object) -> Mapping[str, float]:
    if not isinstance(value, Mapping):
        raise ValueError(f'expected dollars an hour by type, as {{"c9.large" = 0.1}}, found {value!r}')
    return MappingProxyType({_text(name): _dollars(price) for name, price in value.items()})


_PARSERS: Mapping[str, Callable[[object], Any]] = {
    **dict.fromkeys(("region", "profile", "endpoint", "stack", "owner", "image", "allow"), _text),
    **dict.fromkeys(("subnet_tag", "bucket", "instance_profile", "log_group"), _text),
    **dict.fromkeys(("accounts", "types", "zones"), _texts),
    **dict.fromkeys(("spot", "emulate", "publish"), _flag),
    **dict.fromkeys(("poll", "boot", "agent", "timeout"), seconds),
    "placement": _one_of("cluster", "spread", "none"),
    **dict.fromkeys(("glibc", "python"), _version),
    "network": _network,
    "programs": _places,
    "life": _life,
    "control": _one_of("public", "private"),
    "port": _whole(1024, 65535),
    "max_cost": _dollars,
    "price": _prices,
    "max_hosts": _whole(1, 5000),
}
assert set(_PARSERS) == {one.name for one in fields(AwsSettings)}


def settings_from(section: Mapping[str, object]) -> AwsSettings:
    """The section, checked.

    :raises UsageError: names the key, and what was expected or is known.
    """
    checked: dict[str, Any] = {}
    for key, value in section.items():
        if key not in _PARSERS:
            raise UsageError(f"[providers.aws] unknown key {key!r}: {nearest(key, _PARSERS)}")
        try:
            checked[key] = _PARSERS[key](value)
        except ValueError as error:
            raise UsageError(f"[providers.aws] {key}: {error}") from error
    return AwsSettings(**checked)
