"""Which command repeats a test? A line for pytest, as it is run where pytest's configuration stands."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.gate.mode import Choice
from pytest_netbench.settings.options import OPTIONS, Option, given

if TYPE_CHECKING:
    import pytest

_ONCE = frozenset({"save", "reason", "accept", "keep-hosts"})
"""Options that a command which repeats one test doesn't carry on."""

_NO_NUMBERS = _ONCE | {"baseline", "gate", "out", "max-cost"}
"""Those on which a test's numbers don't depend."""

_PATHS = frozenset({"out", "config"})
_PATH_ARM = "path:"


def repeat(config: pytest.Config, nodeid: str) -> str:
    """The command that runs one test again, with what this run was given by options and variables of ours."""
    return _line(config, nodeid, _ONCE)


def measure(config: pytest.Config, nodeid: str, *, given_length: bool = False) -> str:
    """The same with what its numbers depend on, and nothing else.

    ``given_length``: rounds are as the scenario says, though two arms would look for their length.
    """
    if given_length:
        return f"{_line(config, nodeid, _NO_NUMBERS | {'length'})} --netbench-length={Choice.GIVEN.value}"
    return _line(config, nodeid, _NO_NUMBERS)


def _line(config: pytest.Config, nodeid: str, without: frozenset[str]) -> str:
    start, root = config.invocation_params.dir, config.rootpath
    chosen = list(_chosen(given(config.option), os.environ, without))
    words = ["pytest", nodeid]
    for option, value in chosen:
        if option.command_line:
            flag = f"--netbench-{option.flag}"
            words.append(flag if option.metavar is None else f"{flag}={_relative(option, value, start, root)}")
    variables = [f"{option.variable}={shlex.quote(value)}" for option, value in chosen if not option.command_line]
    return " ".join([*variables, shlex.join(words)])


def _chosen(
    given_here: Mapping[str, object], environment: Mapping[str, str], without: frozenset[str]
) -> Iterator[tuple[Option, str]]:
    """What was set, and to which texts; the command line goes before the environment."""
    for option in OPTIONS:
        if option.flag in without:
            continue
        value = given_here.get(option.flag) or environment.get(option.variable)
        if option.metavar is None and not option.parse(value or ""):
            continue
        for one in value if isinstance(value, list) else [value]:
            if one:
                yield option, str(one)


def _relative(option: Option, value: str, start: Path, root: Path) -> str:
    """Paths as they are from pytest's root, so that the line holds on other machines, too."""
    if option.flag in _PATHS:
        return _from(root, start, value)
    if option.flag == "ab":
        arms = [one.strip() for one in value.split(",")]
        return ",".join(
            _PATH_ARM + _from(root, start, one.removeprefix(_PATH_ARM)) if one.startswith(_PATH_ARM) else one
            for one in arms
        )
    return value


def _from(root: Path, start: Path, path: str) -> str:
    return os.path.relpath(start / Path(path).expanduser(), root)
