"""What does each arm run? The arms of a test on its drivers' rows: programs, options and link of both sides."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pytest_netbench.drivers.build import OUT, at
from pytest_netbench.drivers.choice import bare, check_options, of_side
from pytest_netbench.drivers.driver import Driver, OptionKind, OptionSpec
from pytest_netbench.drivers.fingerprint import artifacts, programs
from pytest_netbench.errors import DriverMissing, UsageError, nearest
from pytest_netbench.gate.arms import CAND, MARK, REF, Arm, Arms
from pytest_netbench.gate.environment import PATH, Meant
from pytest_netbench.roles import Role
from pytest_netbench.telemetry.surroundings import PROGRAM

if TYPE_CHECKING:
    from pytest_netbench.hosts.model import Link


class Rows(Protocol):
    """Where rows and builds come from."""

    def ready(self, name: str) -> Driver:
        """A row that can be run; what it needs is built."""

    def raw(self, name: str) -> Driver:
        """The row as it stands in the table."""

    def build(self, row: Driver, ref: str, again: int) -> Path:
        """The folder with what a row's build command makes of a git ref; ``again``: which other build of it."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One arm, ready to be run: the rows of both sides (one for all hosts or one each), their options, the link.

    ``named``: its programs were asked for, and aren't just those that the test has.
    """

    name: str
    label: str
    drivers: Mapping[Role, tuple[Driver, ...]]
    options: Mapping[Role, Mapping[str, Any]]
    link: Link | None
    named: bool = False

    def same_as(self, other: Contender) -> bool:
        """Whether both run the same, so that any difference is noise."""
        return (self.link, self.options) == (other.link, other.options) and all(
            [programs(row, role) for row in self.drivers[role]] == [programs(row, role) for row in other.drivers[role]]
            for role in Role
        )

    def means(self, other: Contender) -> Meant:
        """What these arms are meant to change of their environment: it may differ between their rounds."""
        facts = PATH if self.link != other.link else frozenset()
        if (self.drivers, self.options) != (other.drivers, other.options):
            facts |= {PROGRAM}
        return Meant(facts, _set_by(self, other), _set_by(other, self))

    def rebuilds(self, other: Contender) -> bool:
        """Whether the same row's programs are others there, so that building alone may have made a difference."""
        return any(
            row.name.partition(MARK)[0] == far.name.partition(MARK)[0] and programs(row, role) != programs(far, role)
            for role in Role
            for row, far in zip(self.drivers[role], other.drivers[role], strict=False)
        )


def _set_by(one: Contender, other: Contender) -> frozenset[str]:
    """The values of options that one arm has and the other hasn't, as text."""
    return frozenset(
        str(value)
        for role, options in one.options.items()
        for name, value in options.items()
        if not isinstance(value, bool) and other.options.get(role, {}).get(name) != value
    )


def contenders(
    wanted: Arms, own: Mapping[Role, tuple[str, ...]], options: Mapping[str, Any], link: Link | None, rows: Rows
) -> tuple[Contender, Contender]:
    """Reference and candidate of a test with drivers of these names, options and link of its own.

    :raises UsageError: for an unknown driver or option, or a path where a driver's programs can't be.
    :raises DriverMissing: if they aren't there.
    :raises BuildError: if a build fails.
    """
    ref = _contender(REF, wanted.ref, own, options, link, rows)
    cand = _contender(CAND, wanted.cand, own, options, link, rows)
    if wanted.role is not None:
        other = Role.CLIENT if wanted.role is Role.SERVER else Role.SERVER
        cand = replace(
            cand,
            drivers={wanted.role: cand.drivers[wanted.role], other: ref.drivers[other]},
            options={wanted.role: cand.options[wanted.role], other: ref.options[other]},
        )
    return ref, cand


def _contender(
    name: str,
    one: Arm,
    own: Mapping[Role, tuple[str, ...]],
    options: Mapping[str, Any],
    link: Link | None,
    rows: Rows,
) -> Contender:
    drivers: dict[Role, tuple[Driver, ...]] = {}
    chosen: dict[Role, Mapping[str, Any]] = {}
    for role in Role:
        names = own[role] if one.driver is None else (one.driver,)
        raw = [rows.raw(each) for each in names]
        for row in raw:
            texts = {key: typed(row, key, value) for key, value in one.texts.items()}
            chosen[role] = check_options(row, of_side({**options, **one.options, **texts}, row, role))
        if one.path is not None:
            drivers[role] = tuple(placed(row, one.path) for row in raw)
        elif one.build is not None:
            drivers[role] = tuple(placed(row, rows.build(row, one.build, one.again)) for row in raw)
        else:
            drivers[role] = tuple(rows.ready(each) for each in names)
    named = any(given is not None for given in (one.driver, one.build, one.path))
    return Contender(name, str(one), drivers, chosen, link if one.link is None else one.link, named)


def typed(row: Driver, name: str, text: str) -> object:
    """The value of an option from its text.

    :raises UsageError: if the driver has no such option, or the text isn't of its kind.
    """
    spec = row.options.get(bare(name))
    if spec is None:
        raise UsageError(f"driver {row.name} has no option {name!r}: {nearest(name, row.options)}")
    value = _value(spec, text)
    if value is None:
        raise UsageError(f"driver {row.name}, option {name!r}: expected {spec.kind.value}, got {text!r}")
    return value


def _value(spec: OptionSpec, text: str) -> bool | int | str | None:
    match spec.kind:
        case OptionKind.BOOLEAN:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower())
        case OptionKind.INTEGER:
            return int(text) if text.lstrip("-").isdecimal() else None
        case OptionKind.TEXT:
            return text


def placed(row: Driver, folder: Path) -> Driver:
    """The row with its programs in a folder, under a name of its own.

    :raises UsageError: if its programs can't be there, since it is built in or says where they are.
    :raises DriverMissing: if they aren't there.
    """
    built = any(OUT in word for command in row.commands.values() for word in command.argv)
    made = at(row, folder)
    for role, command in made.commands.items():
        program = Path(command.argv[0])
        if not built and (str(program).startswith("{") or os.sep in str(program)):
            raise UsageError(f"driver {row.name}: its {role.value} is {program}, wherever the arm says that it is")
        if (program.is_relative_to(folder) or not built) and not (folder / program).is_file():
            raise DriverMissing(f"driver {row.name}: no {role.value} {program.name} in {folder}")
    mark = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    return replace(made, name=f"{row.name}{MARK}{mark}", paths=(str(folder), *made.paths), build="")


def used(drivers: Mapping[Role, Sequence[Driver]], elsewhere: Container[str] = ()) -> dict[str, str]:
    """The SHA-256 of what both sides run, by side, driver and program: ``server: mine/nb-server``.

    ``elsewhere``: names of programs that aren't this machine's.
    """
    return {
        f"{role.value}: {row.name.partition(MARK)[0]}/{name}": fingerprint
        for role, rows in drivers.items()
        for row in rows
        for name, fingerprint in artifacts(row, role).items()
        if name not in elsewhere
    }
