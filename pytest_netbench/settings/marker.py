"""What does a test ask for? The marker ``@pytest.mark.netbench(...)`` as one frozen, checked value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_netbench.errors import UsageError, nearest
from pytest_netbench.gate.arms import Arms
from pytest_netbench.gate.mode import Choice, word
from pytest_netbench.hosts.model import Hosts, Link, Need
from pytest_netbench.roles import Role
from pytest_netbench.units import seconds

if TYPE_CHECKING:
    from pytest_netbench.gate import Gate
    from pytest_netbench.scenario.model import Scenario

_NOTHING: Mapping[str, Any] = MappingProxyType({})

Cast: TypeAlias = "str | tuple[str, ...] | Mapping[int, str]"
"""The driver of one side: of all its hosts, of each in their order, or of some by their index."""

EACH = "+"
"""Between the names of drivers where each host of a side has its own."""


@dataclass(frozen=True, slots=True)
class Spec:
    """The arguments of the marker, checked; None where it is silent.

    ``provider``, ``hosts``, ``link``, ``mtu``, ``server_driver`` and ``client_driver`` are requirements, which options
    can't change; ``drivers``, ``rounds``, ``warmup``, ``timeout``, ``budget``, ``length`` and ``ab`` are defaults,
    which options replace.
    """

    scenario: Scenario | None = None
    drivers: tuple[str, ...] | None = None
    server_driver: Cast | None = None
    client_driver: Cast | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    hosts: Mapping[Role, Hosts] = field(default_factory=lambda: MappingProxyType({}))
    servers: int | None = None
    clients: int | None = None
    provider: str | None = None
    link: Link | None = None
    mtu: int | None = None
    rounds: int | None = None
    warmup: int | None = None
    timeout: float | None = None
    budget: float | None = None
    seed: int | None = None
    length: Choice | None = None
    ab: Arms | None = None
    gate: Mapping[str, Gate] = field(default_factory=lambda: _NOTHING)

    def need(self) -> Need:
        """The hosts that the test needs.

        :raises UsageError: if neither the marker's scenario nor ``servers=`` and ``clients=`` tell how many.
        """
        counts = {
            "servers": self.servers if self.servers is not None else self.scenario and len(self.scenario.servers),
            "clients": self.clients if self.clients is not None else self.scenario and len(self.scenario.clients),
        }
        for name, count in counts.items():
            if count is None:
                raise UsageError(f"a test that makes its scenario itself needs {name}= in @pytest.mark.netbench(...)")
        return Need(counts["servers"] or 0, counts["clients"] or 0, self.hosts, self.link, self.mtu)

    def check_fits(self, scenario: Scenario) -> None:
        """Refuse a scenario that needs more hosts than the marker asked for.

        :raises UsageError: names the argument to raise.
        """
        need = self.need()
        for name, have, wanted in (
            ("servers", need.servers, len(scenario.servers)),
            ("clients", need.clients, len(scenario.clients)),
        ):
            if wanted > have:
                raise UsageError(
                    f"scenario {scenario} needs {wanted} {name}, the marker gives {have}: set {name}={wanted}"
                )

    def check_gates(self) -> None:
        """Refuse a gate that could never show what the transport does.

        :raises UsageError: for a goodput that the scenario itself limits, as far as the link tells.
        """
        if self.scenario is None or self.link is None or not self.link.rate or not self.gate:
            return
        from pytest_netbench.gate.sender import refusal

        for name in self.gate:
            if (why := refusal(name, self.scenario, self.link.rate)) is not None:
                raise UsageError(why)

    def pairs(self, drivers: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """The drivers of server and client for each parameter of the test, without repeats.

        Where each host of a side has its own, their names are joined by ``+``.

        :raises UsageError: if there are more or fewer names than hosts.
        """
        pairs = (
            (self._names(Role.SERVER, self.server_driver, name), self._names(Role.CLIENT, self.client_driver, name))
            for name in drivers
        )
        return tuple(dict.fromkeys(pairs))

    def _names(self, role: Role, cast: Cast | None, default: str) -> str:
        if cast is None or isinstance(cast, str):
            return cast or default
        need, argument, noun = self.need(), f"{role.value}_driver=", f"{role.value}s"
        hosts = need.servers if role is Role.SERVER else need.clients
        if isinstance(cast, Mapping):
            if wrong := sorted(index for index in cast if not 0 <= index < hosts):
                raise UsageError(
                    f"{argument} names a driver for number {wrong[0]}, there are {hosts} {noun}, from 0 on"
                )
            names = tuple(cast.get(index, default) for index in range(hosts))
        else:
            names = cast
            if len(names) != hosts:
                raise UsageError(f"{argument} names {len(names)} drivers, there are {hosts} {noun}: name one for each")
        return names[0] if len(set(names)) == 1 else EACH.join(names)


def _cast(value: object) -> Cast:
    expected = f'expected a driver\'s name, a list with one for each host, or {{INDEX: "NAME"}}, found {value!r}'
    if isinstance(value, Mapping):
        if not value or not all(type(key) is int and isinstance(name, str) for key, name in value.items()):
            raise ValueError(expected)
        return MappingProxyType(dict(value))
    if isinstance(value, str):
        return value
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(name, str) and name for name in value):
        raise ValueError(expected)
    return tuple(value)


def _is(kind: type | tuple[type, ...], words: str) -> Callable[[object], Any]:
    def check(value: object) -> object:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"expected {words}, found {value!r}")
        return value

    return check


def _at_least(least: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"expected a whole number of at least {least}, found {value!r}")
        return value

    return check


def _scenario(value: object) -> object:
    from pytest_netbench.scenario.model import Scenario

    return _is(Scenario, "a scenario, as ping() or Scenario.read(path)")(value)


def _names(value: object) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, (list, tuple)) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f'expected a list of names, as ["tcp"], found {value!r}')
    return names


def _options(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"expected a mapping of option names to values, found {value!r}")
    return MappingProxyType(dict(value))


def _kinds(value: object) -> Mapping[Role, Hosts]:
    words = {role.value + "s": role for role in Role}
    if not isinstance(value, Mapping) or not all(isinstance(one, Hosts) for one in value.values()):
        raise ValueError(f'expected {{"servers": Hosts(...), "clients": Hosts(...)}}, found {value!r}')
    for key in value:
        if key not in words:
            raise ValueError(f"unknown role {key!r}: {nearest(str(key), words)}")
    return MappingProxyType({words[key]: one for key, one in value.items()})


def _gates(value: object) -> Mapping[str, Gate]:
    from pytest_netbench.gate.limits import Gate, limits
    from pytest_netbench.result.catalogue import gateable

    if not isinstance(value, Mapping) or not all(isinstance(one, Gate) for one in value.values()):
        raise ValueError(f"expected a mapping of metric names to Gate(...), found {value!r}")
    for name, gate in value.items():
        if (complaint := gateable(str(name))) is not None:
            raise ValueError(complaint)
        limits(str(name), gate)
    return MappingProxyType(dict(value))


_CHECKS: Mapping[str, Callable[[object], Any]] = {
    "scenario": _scenario,
    "drivers": _names,
    "server_driver": _cast,
    "client_driver": _cast,
    "options": _options,
    "hosts": _kinds,
    "servers": _at_least(0),
    "clients": _at_least(1),
    "provider": _is(str, "a provider's name"),
    "link": _is(Link, "a Link(...)"),
    "mtu": _at_least(68),
    "rounds": _at_least(1),
    "warmup": _at_least(0),
    "timeout": seconds,
    "budget": seconds,
    "seed": _at_least(0),
    "length": word(Choice),
    "ab": _is(Arms, "arms(ref=..., cand=...)"),
    "gate": _gates,
}
assert set(_CHECKS) == {one.name for one in fields(Spec)}


def spec_of(marks: Iterable[tuple[tuple[Any, ...], Mapping[str, Any]]]) -> Spec:
    """Merge the markers of a test, the closest first; an argument of a closer one wins.

    :raises UsageError: for a positional, an unknown or a malformed argument; names it, and the nearest known name.
    """
    merged: dict[str, Any] = {}
    for positional, named in marks:
        if positional:
            raise UsageError(f"@pytest.mark.netbench takes named arguments only, found {positional[0]!r}")
        for name, value in named.items():
            if name not in _CHECKS:
                raise UsageError(
                    f"@pytest.mark.netbench({name}=...): unknown argument {name!r}: {nearest(name, _CHECKS)}"
                )
            merged.setdefault(name, value)
    checked: dict[str, Any] = {}
    for name, value in merged.items():
        try:
            checked[name] = None if value is None else _CHECKS[name](value)
        except (ValueError, UsageError) as error:
            raise UsageError(f"@pytest.mark.netbench({name}=...): {error}") from error
    return Spec(**{name: value for name, value in checked.items() if value is not None})
