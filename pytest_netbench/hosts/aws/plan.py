"""Which hosts must be launched for a test, and how? From what it needs and what is there to launches; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws.settings import AwsSettings
from pytest_netbench.hosts.model import Hosts, Need
from pytest_netbench.roles import Role


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a test: a role and an index, and the kind of host that it wants."""

    role: Role
    index: int
    kind: Hosts

    @property
    def name(self) -> str:
        """As hosts are named everywhere."""
        return f"{self.role.value}-{self.index}"


@dataclass(frozen=True, slots=True)
class Launch:
    """Identical hosts: one RunInstances. ``placement``: a strategy, or empty."""

    type: str
    zone: str
    placement: str
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """What AWS says of an instance type. ``machine`` is ``x86_64`` or ``arm64``; ``network`` in its own words."""

    name: str
    machine: str
    network: str
    strategies: frozenset[str]
    vcpus: int = 0


def slots(need: Need) -> tuple[Slot, ...]:
    """The places of a test: servers, then clients."""
    counts = {Role.SERVER: need.servers, Role.CLIENT: need.clients}
    return tuple(
        Slot(role, index, need.kinds.get(role, Hosts())) for role, count in counts.items() for index in range(count)
    )


def fits(kind: Hosts, have: Hosts) -> bool:
    """Whether a host of one kind is what another asks for; what is empty there doesn't matter."""
    pairs = ((kind.type, have.type), (kind.placement, have.placement), (kind.zone, have.zone))
    return all(wanted in {"", found} for wanted, found in pairs)


def attempts(
    wanted: Sequence[Slot],
    settings: AwsSettings,
    zones: Sequence[str],
    offered: Mapping[str, frozenset[str]],
    types: Mapping[str, TypeInfo],
    *,
    beside: str = "",
) -> Iterator[tuple[Launch, ...]]:
    """Ways to launch all of these hosts, the best first: all in one zone, of one type where the marker leaves it open.

    ``zones``: those that have a subnet; ``offered``: type to the zones that have it; ``beside``: the zone where other
    hosts of this test are already, the only one that then counts.

    :raises HostError: if there is no way; says which type no zone has.
    """
    fixed = {slot.kind.zone for slot in wanted} - {""}
    first = [beside] if beside else [one for one in settings.zones if one in zones] or list(zones)
    found = False
    for type_, zone in product(settings.types, first):
        launches = _launches(wanted, settings, types, type_, zone)
        if all(one.zone in offered.get(one.type, ()) and one.zone in zones for one in launches):
            found = True
            yield launches
    if not found:
        names = ", ".join(sorted({slot.kind.type or one for slot in wanted for one in settings.types}))
        where = ", ".join(sorted(fixed) or first) or "none"
        raise HostError(f"no zone with a subnet ({where}) has all of the types that are asked for: {names}")


def _launches(
    wanted: Sequence[Slot], settings: AwsSettings, types: Mapping[str, TypeInfo], type_: str, zone: str
) -> tuple[Launch, ...]:
    groups: dict[tuple[str, str, str], list[Slot]] = {}
    for slot in wanted:
        kind = slot.kind.type or type_
        groups.setdefault((kind, slot.kind.zone or zone, _placement(slot.kind, settings, types.get(kind))), []).append(
            slot
        )
    return tuple(Launch(*key, tuple(members)) for key, members in groups.items())


def _placement(kind: Hosts, settings: AwsSettings, info: TypeInfo | None) -> str:
    """The strategy that the marker asks for; else the settings' where the type can have it."""
    if kind.placement:
        return "" if kind.placement == "none" else kind.placement
    able = info is None or settings.placement in info.strategies
    return settings.placement if able and settings.placement != "none" else ""
