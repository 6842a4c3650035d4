"""What is a host, and what may a test ask of one? Values only; providers make them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_netbench.roles import Role

if TYPE_CHECKING:
    from russula.credentials import Credentials


@dataclass(frozen=True, slots=True)
class Hosts:
    """Of what kind the hosts of one role must be; empty fields leave the choice to the provider.

    ``type``: instance type or machine label. ``placement``: placement strategy, as ``cluster``. ``zone``: where.
    """

    type: str = ""
    placement: str = ""
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """The path between hosts: seconds, bytes per second, a probability, a queue like ``1bdp``."""

    rtt: float = 0.0
    rate: float | None = None
    loss: float = 0.0
    queue: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """What one test needs of a provider.

    ``drivers``: those whose programs must be on the hosts. ``volume``: bytes that all its rounds move between hosts, as
    far as the scenario tells; ``seconds``: that they take at least, likewise.
    """

    servers: int
    clients: int
    kinds: Mapping[Role, Hosts] = field(default_factory=lambda: MappingProxyType({}))
    link: Link | None = None
    mtu: int | None = None
    drivers: frozenset[str] = frozenset()
    volume: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Host:
    """A host with a worker that listens.

    ``control``: where its worker listens, a russula address (``unix:PATH`` or ``tcp://HOST:PORT``).
    ``data``: the IP address at which drivers meet. ``facts``: what is known of the machine, shown with the result
    (``kernel``, ``cpu``, ``cores``, ``mtu``, ``namespace`` ...). ``pin``: over TCP, the fingerprint of the only
    certificate that its worker may show.
    """

    name: str
    role: Role
    index: int
    control: str
    data: str
    facts: Mapping[str, str | int | float] = field(default_factory=lambda: MappingProxyType({}))
    worker_log: Path | None = None
    pin: str = ""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The hosts of one test, and what a reader of its result must know about them.

    ``credentials``: the coordinator's, where workers listen on TCP.
    """

    servers: tuple[Host, ...]
    clients: tuple[Host, ...]
    note: str = ""
    credentials: Credentials | None = None

    @property
    def all(self) -> tuple[Host, ...]:
        """Servers, then clients."""
        return self.servers + self.clients
