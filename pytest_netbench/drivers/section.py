"""Is what stands in a configuration's table of the right kind? Small checks; each names the place and what it wants."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar

from pytest_netbench.errors import UsageError, nearest

_E = TypeVar("_E", bound=Enum)

Check = Callable[[str, object], Any]
"""Takes the place and the value, gives the value as the program has it, raises ``UsageError``."""


def known(where: str, table: Mapping[str, Any], keys: Mapping[str, object]) -> None:
    """Refuse keys that nothing reads."""
    for key in table:
        if key not in keys:
            raise UsageError(f"{where}: unknown key {key!r}: {nearest(key, keys)}")


def checked(where: str, table: Mapping[str, Any], keys: Mapping[str, Check]) -> dict[str, Any]:
    """All values of a table, each by the check of its key."""
    known(where, table, keys)
    return {key: keys[key](f"{where} {key}", value) for key, value in table.items()}


def table(where: str, value: object) -> Mapping[str, Any]:
    """A table."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: expected a table, got {value!r}")
    return value


def text(where: str, value: object) -> str:
    """A text."""
    if not isinstance(value, str) or "\0" in value:
        raise UsageError(f"{where}: expected a text, got {value!r}")
    return value


def boolean(where: str, value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise UsageError(f"{where}: expected true or false, got {value!r}")
    return value


def seconds(where: str, value: object) -> float:
    """A number of seconds above zero."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise UsageError(f"{where}: expected seconds above 0, got {value!r}")
    return float(value)


def integer(where: str, value: object) -> int:
    """A whole number."""
    if type(value) is not int:
        raise UsageError(f"{where}: expected an integer, got {value!r}")
    return value


def texts(where: str, value: object) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list):
        raise UsageError(f"{where}: expected a list of texts, got {value!r}")
    return tuple(text(f"{where}[{index}]", one) for index, one in enumerate(value))


def command_line(where: str, value: object) -> tuple[str, ...]:
    """A program and its arguments, as a list or as one text."""
    try:
        words = tuple(shlex.split(value)) if isinstance(value, str) else texts(where, value)
    except ValueError as error:
        raise UsageError(f"{where}: {value!r} can't be split into words: {error}") from error
    if not words or not words[0]:
        raise UsageError(f"{where}: expected a program and its arguments, got nothing")
    return words


def folders(where: str, value: object) -> tuple[str, ...]:
    """One folder or several."""
    return (value,) if isinstance(value, str) else texts(where, value)


def environment(where: str, value: object) -> dict[str, str]:
    """A table of texts."""
    return {name: text(f"{where}.{name}", one) for name, one in table(where, value).items()}


def choice(kind: type[_E]) -> Callable[[str, object], _E]:
    """The check for one of an enumeration's values."""

    def chosen(where: str, value: object) -> _E:
        for one in kind:
            if one.value == value:
                return one
        raise UsageError(f"{where}: unknown value {value!r}: {nearest(str(value), [one.value for one in kind])}")

    return chosen
