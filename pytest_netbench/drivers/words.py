"""How are a row's command lines rewritten? All of them, wherever they stand in it; and from where relative paths count.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pytest_netbench.drivers.driver import Command, Driver

Line = tuple[str, ...]


def rewritten(driver: Driver, line: Callable[[Line], Line], text: Callable[[str], str] = str) -> Driver:
    """A row with each of its command lines changed, and each text of their environment."""
    foreign = driver.foreign
    if foreign is not None:
        lines = {role: {kind: line(one) for kind, one in of.items()} for role, of in foreign.lines.items()}
        foreign = replace(foreign, lines=lines)
    commands = {
        role: Command(line(one.argv), {name: text(value) for name, value in one.env.items()})
        for role, one in driver.commands.items()
    }
    return replace(driver, commands=commands, foreign=foreign, tells_version=line(driver.tells_version))


def placed(driver: Driver, home: Path) -> Driver:
    """A row whose programs, scripts and folders a worker finds, which stands in another folder than its section.

    Relative to ``home`` are ``path``, a program with a slash in it, and arguments that name a file there, as
    ``driver.py`` in ``python3 driver.py``.
    """

    def line(words: Line) -> Line:
        return tuple(_absolute(word, home) if _is_path(word, home, index) else word for index, word in enumerate(words))

    return replace(rewritten(driver, line), paths=tuple(_absolute(one, home) for one in driver.paths))


def _is_path(word: str, home: Path, index: int) -> bool:
    if index == 0:
        return os.sep in word and not word.startswith("$")
    with contextlib.suppress(OSError, ValueError):  # a word that no file could have as its name
        return (os.sep in word or "." in word) and (home / word).is_file()
    return False


def _absolute(path: str, home: Path) -> str:
    return str((home / Path(path).expanduser()).absolute())
