"""What did the user set, and where? One table of options; command line, environment and file become one frozen value.

Order: command line > ``NETBENCH_*`` > marker > file > default. Each setting is therefore kept in two layers, with room
for the marker between them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pytest_netbench.errors import UsageError, nearest
from pytest_netbench.gate.mode import Choice, Mode, word
from pytest_netbench.units import parse_bytes, seconds

if TYPE_CHECKING:
    import argparse

    import pytest

    from pytest_netbench.gate.arms import Arms

T = TypeVar("T")

FILE = "netbench.toml"


@dataclass(frozen=True, slots=True)
class Layered(Generic[T]):
    """A setting: what was forced (command line, environment), and what holds if the marker is silent too."""

    forced: T | None
    fallback: T

    def over(self, marker: T | None) -> T:
        """The value that holds for a test whose marker says this (None: nothing)."""
        if self.forced is not None:
            return self.forced
        return self.fallback if marker is None else marker


@dataclass(frozen=True, slots=True)
class Option:
    """One setting: ``flag`` is its word on the command line, ``NETBENCH_FLAG`` in the environment, ``key`` in the file.

    ``parse`` takes text, or what TOML gives, and raises ``ValueError`` with what was expected. ``provider``: its key
    stands in this provider's own section of the file.
    """

    flag: str
    key: str
    parse: Callable[[object], Any]
    default: Any
    help: str
    metavar: str | None = None
    repeat: bool = False
    command_line: bool = True
    provider: str = ""

    @property
    def dest(self) -> str:
        """Its name in pytest's namespace."""
        return "netbench_" + self.flag.replace("-", "_")

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return self.dest.upper()


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected a text, found {value!r}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not parts:
        raise ValueError(f"expected one name or several, found {value!r}")
    return tuple(_text(part.strip() if isinstance(part, str) else part) for part in parts)


def _list(value: object) -> tuple[str, ...]:
    parts = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(_text(part) for part in parts)


def _count(least: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        try:
            number = int(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else least - 1
        except ValueError:
            number = least - 1
        if number < least:
            raise ValueError(f"expected a whole number of at least {least}, found {value!r}")
        return number

    return parse


def _size(value: object) -> int:
    return _count(1)(value) if isinstance(value, int) else parse_bytes(_text(value))


def _flag(value: object) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
    found = value if isinstance(value, bool) else words.get(str(value).lower())
    if found is None:
        raise ValueError(f"expected true or false, found {value!r}")
    return found


def _dollars(value: object) -> float:
    try:
        found = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else -1.0
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise ValueError(f"expected dollars, found {value!r}")
    return found


def _path(value: object) -> Path:
    return Path(_text(str(value) if isinstance(value, Path) else value)).expanduser()


def _arms(value: object) -> Arms:
    from pytest_netbench.gate.arms import arms, two

    ref, cand = two(_text(value))
    return arms(ref=ref, cand=cand)


OPTIONS: tuple[Option, ...] = (
    Option("provider", "provider", _text, "local", "where hosts come from", "NAME"),
    Option(
        "driver",
        "driver",
        _texts,
        ("tcp",),
        "driver to run with, instead of the markers' (repeatable)",
        "NAME",
        repeat=True,
    ),
    Option("rounds", "rounds", _count(1), 3, "rounds of each test", "N"),
    Option("warmup", "warmup", _count(0), 0, "rounds thrown away first", "N", command_line=False),
    Option("timeout", "timeout", seconds, None, "longest time of one round", "TIME", command_line=False),
    Option(
        "budget",
        "budget",
        seconds,
        None,
        "time that all rounds together may take, shared out over the tests, as 8m",
        "TIME",
    ),
    Option(
        "ab", "", _arms, None, "two arms to run interleaved: git refs, driver:NAME, path:DIR, option:K=V", "REF,CAND"
    ),
    Option("save", "", _text, None, "store this session's numbers as a baseline of that name", "NAME"),
    Option("reason", "", _text, None, "why a baseline is stored anew", "TEXT"),
    Option(
        "baseline",
        "baseline",
        _list,
        (),
        "stored numbers to be held against, a tripwire (repeatable; NAME=20%% sets its tolerance)",
        "NAME",
        repeat=True,
    ),
    Option(
        "accept", "", _list, (), "a regression to let pass: TEST METRIC <=8%% REASON (repeatable)", "TEXT", repeat=True
    ),
    Option("gate", "gate", word(Mode), Mode.WARN, "what an open verdict does: off, warn (default), strict", "MODE"),
    Option(
        "length",
        "length",
        word(Choice),
        Choice.AUTO,
        "how long a gated round is: auto (default: the shortest that leaves its start out), given (by the scenario)",
        "WORD",
    ),
    Option("out", "out", _path, Path("netbench-results"), "folder for results.json, report.html and logs", "DIR"),
    Option(
        "config", "", _path, None, f"configuration file (default: {FILE}, or [tool.netbench] in pyproject.toml)", "FILE"
    ),
    Option(
        "keep-hosts",
        "keep_hosts",
        _flag,
        default=False,
        help="leave the hosts running at the end; `netbench reap` removes them",
    ),
    Option(
        "max-cost", "max_cost", _dollars, None, "dollars that hosts may cost at most (5)", "DOLLARS", provider="aws"
    ),
    Option(
        "aws-emulate",
        "emulate",
        _flag,
        default=None,
        help="with provider aws: an emulated AWS on this machine, in the place of the real one",
        provider="aws",
    ),
    Option(
        "scenario-limit",
        "scenario_limit",
        _size,
        64 << 20,
        "largest scenario file that is read",
        "BYTES",
        command_line=False,
    ),
)

_SECTIONS = ("drivers", "providers")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that was set for this session. Times in seconds, sizes in bytes."""

    provider: str
    provider_forced: bool
    drivers: Layered[tuple[str, ...]]
    rounds: Layered[int]
    warmup: Layered[int]
    timeout: Layered[float | None]
    budget: float | None
    ab: Arms | None
    save: str | None
    reason: str | None
    baselines: tuple[str, ...]
    accept: tuple[str, ...]
    gate: Mode
    length: Layered[Choice]
    out: Path
    file: Path | None
    keep_hosts: bool
    scenario_limit: int
    driver_rows: Mapping[str, Any]
    providers: Mapping[str, Mapping[str, Any]]

    @property
    def home(self) -> Path:
        """The folder of the configuration, from which repositories are found; where one stands, without one."""
        return self.file.absolute().parent if self.file is not None else Path.cwd()


def find_file(start: Path) -> Path | None:
    """The configuration file of a project: ``netbench.toml``, else a ``pyproject.toml`` with our table, upwards."""
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder / FILE
        project = folder / "pyproject.toml"
        if project.is_file():
            return project if _load(project) else None
    return None


def _load(path: Path) -> dict[str, Any]:
    """Our table of a configuration file.

    :raises UsageError: if the file can't be read or isn't TOML.
    """
    import tomli

    try:
        with path.open("rb") as file:
            whole = tomli.load(file)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: isn't TOML: {error}") from error
    if path.name == "pyproject.toml":
        whole = whole.get("tool", {}).get("netbench", {})
    return whole


def settings(*, start: Path, command_line: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """Merge the layers. ``command_line`` maps option flags to values, absent or None where not given.

    :raises UsageError: for an unknown key or a bad value; names where it stands and what was expected.
    """
    named = command_line.get("config") or environment.get("NETBENCH_CONFIG")
    path = Path(named) if named else find_file(start)
    table = _load(path) if path else {}
    known = [option.key for option in OPTIONS if option.key and not option.provider] + list(_SECTIONS)
    for key in table:
        if key not in known:
            raise UsageError(f"{path}: unknown key {key!r}: {nearest(key, known)}")
    sections = {name: table.get(name, {}) for name in _SECTIONS}
    for name, section in sections.items():
        if not isinstance(section, dict) or not all(isinstance(row, dict) for row in section.values()):
            raise UsageError(
                f"{path}: [{name}] must hold tables, as [{name}.NAME]; for a default use `{name[:-1]} = ...`"
            )
    layers = {option.flag: _layers(option, command_line, environment, table, path) for option in OPTIONS}
    return Settings(
        provider=layers["provider"].over(None),
        provider_forced=layers["provider"].forced is not None,
        drivers=layers["driver"],
        rounds=layers["rounds"],
        warmup=layers["warmup"],
        timeout=layers["timeout"],
        budget=layers["budget"].over(None),
        ab=layers["ab"].over(None),
        save=layers["save"].over(None),
        reason=layers["reason"].over(None),
        baselines=layers["baseline"].over(None),
        accept=layers["accept"].over(None),
        gate=layers["gate"].over(None),
        length=layers["length"],
        out=layers["out"].over(None),
        file=path,
        keep_hosts=layers["keep-hosts"].over(None),
        scenario_limit=layers["scenario-limit"].over(None),
        driver_rows=sections["drivers"],
        providers=_with_forced(sections["providers"], layers),
    )


def _with_forced(sections: Mapping[str, Mapping[str, Any]], layers: Mapping[str, Layered[Any]]) -> Mapping[str, Any]:
    """The providers' sections, with what command line and environment set in their place."""
    found = {name: dict(section) for name, section in sections.items()}
    for option in OPTIONS:
        if option.provider and (value := layers[option.flag].forced) is not None:
            found.setdefault(option.provider, {})[option.key] = value
    return found


def _layers(
    option: Option,
    command_line: Mapping[str, Any],
    environment: Mapping[str, str],
    table: Mapping[str, Any],
    path: Path | None,
) -> Layered[Any]:
    forced, fallback = None, option.default
    if option.key in table and not option.provider:
        fallback = _parsed(option, table[option.key], f"{path}: {option.key}")
    if environment.get(option.variable):
        forced = _parsed(option, environment[option.variable], option.variable)
    given_here = command_line.get(option.flag)
    if given_here is not None and given_here is not False:
        forced = _parsed(option, given_here, f"--netbench-{option.flag}")
    return Layered(forced, fallback)


def _parsed(option: Option, value: object, where: str) -> Any:  # noqa: ANN401  the table's parsers differ in type
    try:
        return option.parse(value)
    except (ValueError, UsageError) as error:
        raise UsageError(f"{where}: {error}") from error


def add_to(group: pytest.OptionGroup | argparse.ArgumentParser, *, prefix: str, only: tuple[str, ...] = ()) -> None:
    """Offer the options on a command line, pytest's (``--netbench-``) or our own (``--``)."""
    add = group.addoption if hasattr(group, "addoption") else group.add_argument
    for option in OPTIONS:
        if not option.command_line or (only and option.flag not in only):
            continue
        keywords: dict[str, Any] = {"dest": option.dest, "default": None, "help": option.help}
        if option.metavar is None:
            keywords |= {"action": "store_true"}
        else:
            keywords |= {"metavar": option.metavar, "action": "append" if option.repeat else "store"}
        add(f"--{prefix}{option.flag}", **keywords)


def given(namespace: object) -> dict[str, Any]:
    """What of the table was given on a command line: flag to value, None where it wasn't."""
    return {option.flag: getattr(namespace, option.dest, None) for option in OPTIONS if option.command_line}
