"""How does a section of level command or interop become a row? Lines by kind, the rule for output, checked by key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_netbench.drivers.adapter.output import GROUPS, PARSERS, UNITS
from pytest_netbench.drivers.driver import Arming, Command, Level, OutputFormat, Transport
from pytest_netbench.drivers.foreign import (
    COMMAND_PLACEHOLDERS,
    FOLDERS,
    INTEROP_PLACEHOLDERS,
    Foreign,
    Output,
    needs_certificates,
    placeholders,
)
from pytest_netbench.drivers.section import (
    Check,
    boolean,
    command_line,
    integer,
    known,
    table,
    text,
)
from pytest_netbench.errors import UsageError, nearest
from pytest_netbench.roles import Role
from pytest_netbench.scenario.shape import Kind

_KNOWN = {Level.COMMAND: COMMAND_PLACEHOLDERS, Level.INTEROP: INTEROP_PLACEHOLDERS}
_INTEROP_KINDS = (Kind.DOWNLOAD, Kind.CONNECT)
INTEROP_PORT = 443
"""Where the servers of the runner's contract listen."""

Line = tuple[str, ...]


def foreign_fields(where: str, level: Level, values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a row of these levels."""
    env = values.pop("env", {})
    lines = {role: values.pop(role.value) for role in Role if role.value in values}
    for role, of_role in lines.items():
        for word in placeholders(*(word for line in of_role.values() for word in line), *env.values()):
            if word not in _KNOWN[level]:
                raise UsageError(
                    f"{where} {role.value}: unknown placeholder {word!r}: {nearest(word, _KNOWN[level])}; "
                    f"{{{{{word}}}}} stands for {{{word}}} itself"
                )
    output, units = values.pop("output", {}), values.pop("units", {})
    made = Foreign(
        lines=lines,
        output={role: Output(one.parser, one.pattern, _used(where, units, one)) for role, one in output.items()},
        one_at_a_time=values.pop("one_at_a_time", False),
        ends=values.pop("ends", ()),
    )
    if level is Level.INTEROP:
        values.setdefault("transport", Transport.UDP)
        values.setdefault("qlogs", True)  # the contract has it
        values.setdefault("port", 0 if "port" in _server_words(made, env) else INTEROP_PORT)
    return {
        **values,
        "foreign": made,
        "commands": {role: Command(next(iter(of_role.values())), env) for role, of_role in lines.items()},
        "arming": Arming.PIPE,
        "output": OutputFormat.REPORT,
        "secure": level is Level.INTEROP or needs_certificates(made),
    }


def _server_words(made: Foreign, env: Mapping[str, str]) -> set[str]:
    lines = made.lines.get(Role.SERVER, {}).values()
    return set(placeholders(*(word for line in lines for word in line), *env.values()))


def _lines(where: str, value: object) -> dict[Kind, Line]:
    """A line for each kind of transfer."""
    by_name = {kind.value: kind for kind in Kind}
    given = table(where, value)
    known(where, given, by_name)
    if not given:
        raise UsageError(f"{where}: expected a command line for one at least of {', '.join(by_name)}")
    return {by_name[name]: command_line(f"{where}.{name}", one) for name, one in given.items()}


def _server_lines(where: str, value: object) -> dict[Kind, Line]:
    """One line for every kind, or a line for each."""
    return _lines(where, value) if isinstance(value, Mapping) else dict.fromkeys(Kind, command_line(where, value))


def _client_lines(where: str, value: object) -> dict[Kind, Line]:
    if not isinstance(value, Mapping):
        names = ", ".join(f"client.{kind.value}" for kind in Kind)
        raise UsageError(f"{where}: expected a line for each kind of transfer that it can do: {names}; got {value!r}")
    return _lines(where, value)


def _interop_lines(where: str, value: object) -> dict[Kind, Line]:
    return dict.fromkeys(_INTEROP_KINDS, command_line(where, value))


def _output(where: str, value: object) -> dict[Role, Output]:
    """A parser's name or a regular expression, for both roles or for each."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(Role, _rule(where, value))
    by_name = {role.value: role for role in Role}
    known(where, value, by_name)
    return {by_name[name]: _rule(f"{where}.{name}", one) for name, one in value.items()}


def _rule(where: str, value: object) -> Output:
    rule = text(where, value)
    if rule in PARSERS:
        return Output(parser=rule)
    if "(?P<" not in rule:
        raise UsageError(
            f"{where}: {rule!r} is no parser, and no regular expression with groups as (?P<bytes>[0-9]+): "
            f"{nearest(rule, PARSERS)}"
        )
    try:
        groups = re.compile(rule).groupindex
    except re.error as error:
        raise UsageError(f"{where}: {rule!r} isn't a regular expression: {error}") from error
    for group in groups:
        if group.removesuffix("_unit") not in GROUPS:
            raise UsageError(f"{where}: unknown group {group!r}: {nearest(group, GROUPS)}")
    return Output(pattern=rule)


def _units(where: str, value: object) -> dict[str, str]:
    given = {name: text(f"{where}.{name}", one) for name, one in table(where, value).items()}
    known(where, given, dict.fromkeys(GROUPS))
    for name, unit in given.items():
        if unit not in UNITS[GROUPS[name]]:
            raise UsageError(f"{where}.{name}: unknown unit {unit!r}: {nearest(unit, UNITS[GROUPS[name]])}")
    return given


def _used(where: str, units: Mapping[str, str], rule: Output) -> dict[str, str]:
    """The units that a rule needs."""
    if units and not rule.pattern:
        raise UsageError(f"{where} units: the parser {rule.parser!r} knows its own units")
    return {name: unit for name, unit in units.items() if name in re.compile(rule.pattern).groupindex}


def _statuses(where: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or any(type(one) is not int or not 0 <= one < 256 for one in value):  # noqa: PLR2004
        raise UsageError(f"{where}: expected a list of exit statuses, as [1], got {value!r}")
    return tuple(value)


def _port(where: str, value: object) -> int:
    number = integer(where, value)
    if not 0 < number < 1 << 16:
        raise UsageError(f"{where}: expected a port, got {number}")
    return number


FOREIGN_KEYS: Mapping[Level, Mapping[str, Check]] = {
    Level.COMMAND: {
        "server": _server_lines,
        "client": _client_lines,
        "output": _output,
        "units": _units,
        "one_at_a_time": boolean,
        "ends": _statuses,
        "port": _port,
    },
    Level.INTEROP: {
        "server": _interop_lines,
        "client": _interop_lines,
        "ends": _statuses,
        "port": _port,
    },
}
"""What may stand in a section of each level, beside what may stand in any."""

assert set(FOLDERS) <= set(INTEROP_PLACEHOLDERS)
