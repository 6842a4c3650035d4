"""What did the user choose for this driver? The scenario's ``configuration`` of an endpoint, read by a table of keys.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pytest_netbench.drivers.builtin.ending import Misused
from pytest_netbench.errors import nearest

Reader: TypeAlias = Callable[[str, str], object]
"""From the key and its text to the value; raises ``Misused``."""

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_MOST_SIZE = (1 << 31) - 1


def chosen(configuration: Mapping[str, str], prefix: str, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """The keys that begin with ``prefix``, without it; others are somebody else's.

    :raises Misused: if one isn't known, or its value can't be read.
    """
    found: dict[str, Any] = {}
    for key, text in configuration.items():
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            if name not in readers:
                known = nearest(key, [f"{prefix}{one}" for one in readers])
                raise Misused(f"configuration: {key!r} is not an option; {known}")
            found[name] = readers[name](f"configuration: {key}", text)
    return found


def flag(key: str, text: str) -> bool:
    """True or false."""
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise Misused(f"{key}: expected true or false, found {text!r}")


def size(key: str, text: str) -> int:
    """A number of bytes."""
    if text.isascii() and text.isdigit() and 0 < int(text) <= _MOST_SIZE:
        return int(text)
    raise Misused(f"{key}: expected bytes, 1 to {_MOST_SIZE}, found {text!r}")


def name(most: int) -> Reader:
    """A name of at most so many characters."""

    def read(key: str, text: str) -> str:
        if text.isascii() and text.isprintable() and 0 < len(text) <= most:
            return text
        raise Misused(f"{key}: expected a name of at most {most} characters, found {text!r}")

    return read


def one_of(*choices: str) -> Reader:
    """One of these texts."""

    def read(key: str, text: str) -> str:
        if text in choices:
            return text
        raise Misused(f"{key}: expected {' or '.join(choices)}, found {text!r}")

    return read
