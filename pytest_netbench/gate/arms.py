"""In what do two arms differ? A build, a driver, an option or a link, of one role or of both; as values and as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pytest_netbench.errors import UsageError, nearest
from pytest_netbench.roles import Role

if TYPE_CHECKING:
    from pytest_netbench.hosts.model import Link

REF, CAND = "ref", "cand"
"""The arms' names in results: the reference, and the candidate that is compared with it."""

AS_IS = "as-is"
"""The text of an arm that changes nothing."""

MARK = "@"
"""Between the name of a driver's row and that of one arm's programs for it."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_AGAIN = re.compile(r"again(?:-([1-9]\d*))?")


@dataclass(frozen=True, slots=True)
class Arm:
    """One of two ways to run a test; what is left out is as the test has it.

    ``driver``: a row by its name. ``build``: a git ref from which that row's ``build`` command makes it, or
    ``merge-base`` (where this branch left the main one) or ``worktree`` (what lies in the working tree). ``again``:
    which other build of the same source, 0 for the first. ``path``: a folder with its programs. ``options``: of the
    driver, by name. ``link``: between the hosts.

    :raises UsageError: if both a build and a path are given.
    """

    driver: str | None = None
    build: str | None = None
    path: Path | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    link: Link | None = None
    texts: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    again: int = 0

    def __post_init__(self) -> None:
        if self.build is not None and self.path is not None:
            raise UsageError(f"{self}: an arm's programs come from a build or from a path, not from both")

    def __str__(self) -> str:
        options = {**self.options, **self.texts}
        parts = [
            self.driver or "",
            (f"{self.build} built again" if self.again else self.build) or "",
            str(self.path or ""),
            *(f"{name}={value}" for name, value in options.items()),
            "" if self.link is None else str(self.link),
        ]
        return " ".join(part for part in parts if part) or "the test as it is"


@dataclass(frozen=True, slots=True)
class Arms:
    """The reference and the candidate; ``role``: the only one that the candidate changes, None for both."""

    ref: Arm
    cand: Arm
    role: Role | None = None


def arms(driver: str | None = None, *, ref: Arm | str, cand: Arm | str, role: str | None = None) -> Arms:
    """Two arms of a test, for ``@pytest.mark.netbench(ab=arms(...))``.

    ``ref`` and ``cand`` are arms, or texts as on the command line: a git ref, ``again:REF`` (another build of it),
    ``driver:NAME``, ``path:DIR``, ``option:KEY=VALUE``. ``driver``: of both, where they name none. ``role``:
    ``"server"`` or ``"client"``, if only that side differs; the other is the reference's in both arms.

    :raises UsageError: for a malformed text, or an unknown role.
    """
    words = {one.value: one for one in Role}
    if role is not None and role not in words:
        raise UsageError(f"arms(role={role!r}): {nearest(role, words)}")
    both = (one if isinstance(one, Arm) else arm(one) for one in (ref, cand))
    first, second = (one if one.driver is not None else replace(one, driver=driver) for one in both)
    return Arms(first, second, None if role is None else words[role])


def arm(text: str) -> Arm:
    """An arm from its text.

    :raises UsageError: if it is malformed; says what was expected.
    """
    if text.strip() == AS_IS:
        return Arm()
    kind, colon, value = text.strip().partition(":")
    if not colon:
        if not kind:
            raise UsageError("an arm is a git ref, driver:NAME, path:DIR or option:KEY=VALUE, found nothing")
        return Arm(build=kind)
    match kind:
        case "driver" if value:
            return Arm(driver=value)
        case "path" if value:
            return Arm(path=Path(value).expanduser().absolute())
        case "option":
            name, equals, setting = value.partition("=")
            if name and equals:
                return Arm(texts=MappingProxyType({name: setting}))
    if value and (match := _AGAIN.fullmatch(kind)):
        return Arm(build=value, again=int(match[1] or 1))
    raise UsageError(f"arm {text!r}: expected a git ref, again:REF, driver:NAME, path:DIR or option:KEY=VALUE")


def two(text: str) -> tuple[str, str]:
    """``REF,CAND`` as two texts.

    :raises ValueError: if there aren't two.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(parts):  # noqa: PLR2004 - a pair
        raise ValueError(
            f"expected two arms as REF,CAND (git refs, driver:NAME, path:DIR, option:KEY=VALUE), found {text!r}"
        )
    return parts[0], parts[1]
