"""What can be chosen of a gate? What its verdicts do to tests, and who says how long a round is."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from pytest_netbench.errors import nearest

E = TypeVar("E", bound=Enum)


class Mode(Enum):
    """What verdicts do to tests (``--netbench-gate``)."""

    OFF = "off"
    """They are shown, none fails."""
    WARN = "warn"
    """A regression fails; what stays open passes with a warning."""
    STRICT = "strict"
    """What stays open fails, too."""


class Choice(Enum):
    """Who says how long a round is (``--netbench-length``)."""

    AUTO = "auto"
    """A pilot, before the first pair of a gated test."""
    GIVEN = "given"
    """The scenario."""


def word(kind: type[E]) -> Callable[[object], E]:
    """What reads one of an enumeration's values; it raises ``ValueError`` with the nearest one."""

    def parse(value: object) -> E:
        words = {one.value: one for one in kind}
        if isinstance(value, kind) or value in words:
            return value if isinstance(value, kind) else words[str(value)]
        raise ValueError(nearest(str(value), words))

    return parse
