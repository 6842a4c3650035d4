"""How does a section of the configuration become a driver? ``[drivers.NAME]``, checked key by key.

Its contract is that of the netbench drivers: the environment says what to do (``SCENARIO``, ``SERVER_ID`` or
``CLIENT_ID``, ``IP``, ``PORT``, ``SERVER_n``, ``LOCAL_IP``, ``MULTIPLEX``), a server listens until SIGTERM, exit status
127 says that the scenario is unsupported, and what was done is told by lines of ``TRACE=stdio`` or by a report.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from pytest_netbench.drivers.driver import (
    PLACEHOLDERS,
    Arming,
    Command,
    Driver,
    Level,
    OptionKind,
    OptionSpec,
    OutputFormat,
    Transport,
    unknown_placeholders,
)
from pytest_netbench.errors import UsageError, nearest
from pytest_netbench.roles import Role
from pytest_netbench.scenario.analysis import Feature

_E = TypeVar("_E", bound=Enum)


def own(name: str, section: object) -> Driver:
    """The row that a section describes.

    :raises UsageError: names the key, what was expected there, and the nearest known one.
    """
    where = f"[drivers.{name}]"
    table = _table(where, section)
    _known(where, table, _KEYS)
    values = {key: _KEYS[key](f"{where} {key}", value) for key, value in table.items()}
    env = values.pop("env", {})
    commands = {role: Command(values.pop(role.value), env) for role in Role if role.value in values}
    if not commands:
        raise UsageError(f"{where}: expected `server`, `client` or both: the command line of each role")
    for role, command in commands.items():
        if unknown := unknown_placeholders(command):
            raise UsageError(
                f"{where} {role.value}: unknown placeholder {unknown[0]!r}: {nearest(unknown[0], PLACEHOLDERS)}"
            )
    fields = {_FIELDS.get(key, key): value for key, value in values.items()}
    multiplexes = fields.get("transport") is not Transport.UDP
    return Driver(name=name, commands=commands, multiplexes=multiplexes, **fields)


def path_only(name: str, section: object) -> tuple[str, ...]:
    """The folders of a section for a driver that has a row already: it may only say where that is.

    :raises UsageError: for any other key.
    """
    where = f"[drivers.{name}]"
    table = _table(where, section)
    unknown = sorted(set(table) - {"path"})
    if unknown:
        raise UsageError(f"{where}: this driver has its row already, only `path` may be set here, got {unknown[0]!r}")
    return _folders(f"{where} path", table["path"]) if table else ()


def _known(where: str, table: Mapping[str, Any], keys: Mapping[str, object]) -> None:
    for key in table:
        if key not in keys:
            raise UsageError(f"{where}: unknown key {key!r}: {nearest(key, keys)}")


def _table(where: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: expected a table, got {value!r}")
    return value


def _text(where: str, value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise UsageError(f"{where}: expected a text, got {value!r}")
    return value


def _boolean(where: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{where}: expected true or false, got {value!r}")
    return value


def _seconds(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise UsageError(f"{where}: expected seconds above 0, got {value!r}")
    return float(value)


def _texts(where: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UsageError(f"{where}: expected a list of texts, got {value!r}")
    return tuple(_text(f"{where}[{index}]", one) for index, one in enumerate(value))


def _command_line(where: str, value: object) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(value)) if isinstance(value, str) else _texts(where, value)
    except ValueError as error:
        raise UsageError(f"{where}: {value!r} can't be split into words: {error}") from error
    if not words or not words[0]:
        raise UsageError(f"{where}: expected a program and its arguments, got nothing")
    return (_from_here(words[0]), *words[1:]) if os.sep in words[0] else words


def _folders(where: str, value: object) -> tuple[str, ...]:
    folders = (value,) if isinstance(value, str) else _texts(where, value)
    return tuple(_from_here(one) for one in folders)


def _from_here(path: str) -> str:
    """A path as a worker finds it, which stands in another folder."""
    return str(Path(path).expanduser().absolute())


def _env(where: str, value: object) -> dict[str, str]:
    table = _table(where, value)
    return {name: _text(f"{where}.{name}", one) for name, one in table.items()}


def _choice(kind: type[_E]) -> Callable[[str, object], _E]:
    def chosen(where: str, value: object) -> _E:
        for one in kind:
            if one.value == value:
                return one
        raise UsageError(f"{where}: unknown value {value!r}: {nearest(str(value), [one.value for one in kind])}")

    return chosen


def _features(where: str, value: object) -> frozenset[str]:
    features = _texts(where, value)
    known = [one.name.lower() for one in Feature]
    for one in features:
        if one not in known:
            raise UsageError(f"{where}: unknown value {one!r}: {nearest(one, known)}")
    return frozenset(features)


def _least(where: str, value: object) -> int:
    if type(value) is not int:
        raise UsageError(f"{where}: expected an integer, got {value!r}")
    return value


def _option(where: str, value: object) -> OptionSpec:
    table = _table(where, value)
    _known(where, table, _OPTION_KEYS)
    if "type" not in table:
        raise UsageError(f"{where}: expected `type`, one of {', '.join(kind.value for kind in OptionKind)}")
    values = {key: _OPTION_KEYS[key](f"{where} {key}", one) for key, one in table.items()}
    return OptionSpec(kind=values.pop("type"), **values)


def _options(where: str, value: object) -> dict[str, OptionSpec]:
    return {name: _option(f"{where}.{name}", one) for name, one in _table(where, value).items()}


_OPTION_KEYS: Mapping[str, Callable[[str, object], Any]] = {
    "type": _choice(OptionKind),
    "meaning": _text,
    "on": _texts,
    "off": _texts,
    "choices": _texts,
    "least": _least,
}

_KEYS: Mapping[str, Callable[[str, object], Any]] = {
    "level": _choice(Level),
    "server": _command_line,
    "client": _command_line,
    "env": _env,
    "timeout": _seconds,
    "path": _folders,
    "install": _text,
    "arming": _choice(Arming),
    "output": _choice(OutputFormat),
    "transport": _choice(Transport),
    "options": _options,
    "secure": _boolean,
    "features": _features,
    "library": _text,
}
"""What may stand in a section: ``server`` and ``client`` are command lines, a list or one text."""

_FIELDS = {"timeout": "timeout_s", "path": "paths"}
