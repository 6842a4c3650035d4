"""Is a JSON text what its reader expects? Elements that know their path; every error names it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from enum import Enum
from typing import NoReturn, TypeVar

from pytest_netbench.errors import ResultsError
from pytest_netbench.result.model import Interval

T = TypeVar("T")
E = TypeVar("E", bound=Enum)
_ABSENT = object()
_LONGEST = 60  # characters of an element that an error quotes


class Wrong(Exception):
    """What is wrong with an element, and where."""

    def __init__(self, path: str, expected: str, found: object) -> None:
        super().__init__(f"{path or 'the top'}: expected {expected}, found {_brief(found)}")


def parse(source: str | bytes, name: str, schema: int, read: Callable[[Element], T]) -> T:
    """Read a text whose top is an object with this ``schema``; ``name`` is what errors call it.

    :raises ResultsError: if the text isn't JSON (truncated, NaN), is of another schema, or an element is missing or of
        another kind; names the element's path and what was expected.
    """
    try:
        top = json.loads(source.decode() if isinstance(source, bytes) else source, parse_constant=_no_constant)
        whole = Element("", top)
        found = whole.get("schema", whole_number)
        if found != schema:
            raise ResultsError(
                f"{name} has schema {found}, this version reads schema {schema}: "
                + ("use a newer pytest-netbench" if found > schema else "write it again with this version")
            )
        return read(whole)
    except UnicodeDecodeError as error:
        raise ResultsError(f"{name} isn't UTF-8 text: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        cut = ", where the text ends: was it truncated?" if error.pos >= len(error.doc.rstrip()) else ""
        place = f"line {error.lineno}, column {error.colno}"
        raise ResultsError(f"{name} isn't JSON: {error.msg} in {place}{cut}") from error
    except RecursionError as error:
        raise ResultsError(f"{name} is nested too deeply for results") from error
    except Wrong as error:
        raise ResultsError(f"{name}: {error}") from error


def _no_constant(word: str) -> NoReturn:
    raise Wrong("", "finite numbers only", word)


def _brief(value: object) -> str:
    if value is _ABSENT:
        return "nothing"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    shown = json.dumps(value) if not isinstance(value, float) or math.isfinite(value) else str(value)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 3] + "..."


class Element:
    """An element of the text and its path; reading checks the kind."""

    __slots__ = ("path", "value")

    def __init__(self, path: str, value: object) -> None:
        self.path, self.value = path, value

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def get(self, key: str, read: Callable[[Element], T], default: T | None = None) -> T:
        """A member of this object; without a default it has to be there."""
        if not isinstance(self.value, dict):
            raise Wrong(self.path, "an object", self.value)
        path = f"{self.path}.{key}".lstrip(".")
        if key not in self.value:
            if default is not None:
                return default
            raise Wrong(path, "it to be there", _ABSENT)
        return read(Element(path, self.value[key]))

    def each(self, read: Callable[[Element], T]) -> tuple[T, ...]:
        """The elements of this list."""
        if not isinstance(self.value, list):
            raise Wrong(self.path, "a list", self.value)
        return tuple(read(Element(f"{self.path}[{place}]", one)) for place, one in enumerate(self.value))

    def members(self, read: Callable[[Element], T]) -> dict[str, T]:
        """The members of this object by name."""
        if not isinstance(self.value, dict):
            raise Wrong(self.path, "an object", self.value)
        return {key: read(Element(f"{self.path}.{key}", one)) for key, one in self.value.items()}


def text(element: Element) -> str:
    """A text."""
    if not isinstance(element.value, str):
        raise Wrong(element.path, "a text", element.value)
    return element.value


def flag(element: Element) -> bool:
    """True or false."""
    if not isinstance(element.value, bool):
        raise Wrong(element.path, "true or false", element.value)
    return element.value


def whole_number(element: Element) -> int:
    """A whole number."""
    if not isinstance(element.value, int) or isinstance(element.value, bool):
        raise Wrong(element.path, "a whole number", element.value)
    return element.value


def number(element: Element) -> float:
    """A finite number."""
    value = element.value
    try:
        found = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise Wrong(element.path, "a finite number", value)
    return found


def anything(element: Element) -> object:
    """Whatever it is."""
    return element.value


def plain_object(element: Element) -> dict[str, object]:
    """An object of anything."""
    return element.members(anything)


def optional_text(element: Element) -> str | None:
    """A text or null."""
    return None if element.value is None else text(element)


def enum(kind: type[E], element: Element) -> E:
    """A member of an enumeration by its value."""
    words = [one.value for one in kind]
    if element.value not in words:
        raise Wrong(element.path, f"one of {', '.join(words)}", element.value)
    return kind(element.value)


def optional_number(element: Element) -> float | None:
    """A finite number or null."""
    return None if element.value is None else number(element)


def interval(element: Element) -> Interval | None:
    """``[LOW, HIGH]`` or null."""
    if element.value is None:
        return None
    match element.each(number):
        case (low, high) if low <= high:
            return Interval(low, high)
    raise Wrong(element.path, "null or [LOW, HIGH]", element.value)
