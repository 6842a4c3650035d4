"""How does a section of the configuration become a driver? ``[drivers.NAME]``, checked key by key.

Its contract is that of the netbench drivers: the environment says what to do (``SCENARIO``, ``SERVER_ID`` or
``CLIENT_ID``, ``IP``, ``PORT``, ``SERVER_n``, ``LOCAL_IP``, ``MULTIPLEX``), a server listens until SIGTERM, exit status
127 says that the scenario is unsupported, and what was done is told by lines of ``TRACE=stdio`` or by a report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_netbench.drivers.driver import (
    PLACEHOLDERS,
    Arming,
    Command,
    CpuBy,
    Driver,
    Level,
    OptionKind,
    OptionSpec,
    OutputFormat,
    Transport,
    unknown_placeholders,
)
from pytest_netbench.drivers.own_foreign import FOREIGN_KEYS, foreign_fields
from pytest_netbench.drivers.section import (
    Check,
    boolean,
    checked,
    choice,
    command_line,
    environment,
    folders,
    integer,
    seconds,
    table,
    text,
    texts,
)
from pytest_netbench.errors import UsageError, nearest
from pytest_netbench.roles import Role
from pytest_netbench.scenario.features import Feature


def own(name: str, section: object) -> Driver:
    """The row that a section describes.

    :raises UsageError: names the key, what was expected there, and the nearest known one.
    """
    where = f"[drivers.{name}]"
    given = dict(table(where, section))
    level = choice(Level)(f"{where} level", given.pop("level", Level.NETBENCH.value))
    values = checked(where, given, KEYS[level])
    if not any(role.value in values for role in Role):
        raise UsageError(f"{where}: expected `server`, `client` or both: the command line of each role")
    fields = _netbench_fields(where, values) if level is Level.NETBENCH else foreign_fields(where, level, values)
    made = Driver(name=name, level=level, **{_FIELDS.get(key, key): value for key, value in fields.items()})
    if made.build == "" and any("$OUT" in word for command in made.commands.values() for word in command.argv):
        raise UsageError(f"{where}: its commands want $OUT, the products of its `build`, and it has none")
    return made


def _netbench_fields(where: str, values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a row of level netbench."""
    env = values.pop("env", {})
    commands = {role: Command(values.pop(role.value), env) for role in Role if role.value in values}
    for role, command in commands.items():
        if unknown := unknown_placeholders(command):
            raise UsageError(
                f"{where} {role.value}: unknown placeholder {unknown[0]!r}: {nearest(unknown[0], PLACEHOLDERS)}"
            )
    return {**values, "commands": commands, "multiplexes": values.get("transport") is not Transport.UDP}


def amended(row: Driver, section: object) -> Driver:
    """A row that is there already, as a section amends it: where the driver is, and how its CPU time is had.

    :raises UsageError: for any other key.
    """
    where = f"[drivers.{row.name}]"
    given = table(where, section)
    unknown = sorted(set(given) - {"path", "cpu"})
    if unknown:
        may = "only `path` and `cpu` may be set here"
        raise UsageError(f"{where}: this driver has its row already, {may}, got {unknown[0]!r}")
    values = checked(where, given, _EVERY)
    return replace(row, paths=(*values.get("path", ()), *row.paths), cpu=values.get("cpu", row.cpu))


def _features(where: str, value: object) -> frozenset[str]:
    features = texts(where, value)
    known = [one.name.lower() for one in Feature]
    for one in features:
        if one not in known:
            raise UsageError(f"{where}: unknown value {one!r}: {nearest(one, known)}")
    return frozenset(features)


def _option(where: str, value: object) -> OptionSpec:
    given = table(where, value)
    values = checked(where, given, _OPTION_KEYS)
    if "type" not in values:
        raise UsageError(f"{where}: expected `type`, one of {', '.join(kind.value for kind in OptionKind)}")
    return OptionSpec(kind=values.pop("type"), **values)


def _options(where: str, value: object) -> dict[str, OptionSpec]:
    return {name: _option(f"{where}.{name}", one) for name, one in table(where, value).items()}


_OPTION_KEYS: Mapping[str, Check] = {
    "type": choice(OptionKind),
    "meaning": text,
    "on": texts,
    "off": texts,
    "choices": texts,
    "least": integer,
}

_EVERY: Mapping[str, Check] = {
    "build": text,
    "cpu": choice(CpuBy),
    "env": environment,
    "install": text,
    "library": text,
    "one_thread": boolean,
    "options": _options,
    "path": folders,
    "qlogs": boolean,
    "timeout": seconds,
    "toolchain": texts,
    "transport": choice(Transport),
    "version": command_line,
}
"""What may stand in a section of any level."""

KEYS: Mapping[Level, Mapping[str, Check]] = {
    Level.NETBENCH: {
        **_EVERY,
        "server": command_line,
        "client": command_line,
        "arming": choice(Arming),
        "output": choice(OutputFormat),
        "secure": boolean,
        "features": _features,
        "profiles": boolean,
    },
    **{level: {**_EVERY, **keys} for level, keys in FOREIGN_KEYS.items()},
}
"""What may stand in a section, beside its ``level``: command lines are a list or one text."""

_FIELDS = {"timeout": "timeout_s", "path": "paths", "version": "tells_version"}
