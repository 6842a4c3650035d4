"""Which drivers are there? Built in, the real ones, the configuration's, other plugins', as one table.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.drivers import builtin_row, s2n
from pytest_netbench.drivers.driver import Driver
from pytest_netbench.drivers.own import amended, own
from pytest_netbench.drivers.row_json import from_json, to_json
from pytest_netbench.drivers.words import placed
from pytest_netbench.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

RESERVED = ("/", "+")
"""What stands between the names of drivers that run together."""

KNOWN: Mapping[str, Driver] = {**builtin_row.ROWS, **s2n.ROWS}
"""The rows that are always there, installed or not."""


def table(
    config_rows: Mapping[str, object] | None = None,
    hook_rows: Mapping[str, object] | None = None,
    home: Path | None = None,
) -> Mapping[str, Driver]:
    """All rows by name: ``config_rows`` are the sections ``[drivers.NAME]``, ``hook_rows`` what plugins add.

    ``home``: the folder from which the sections' relative paths count, that of their file; None for where one stands.

    A section for a driver that has its row already may only say where it is (``path``), and how its CPU time is had
    (``cpu``).

    :raises UsageError: if a row is malformed; names its table, the key, and what was expected or is known.
    """
    rows, home = dict(KNOWN), home or Path.cwd()
    for name, row in (hook_rows or {}).items():
        if name in KNOWN:
            raise UsageError(f"a plugin offers a driver {name!r}, but that is the name of one that is always there")
        rows[name] = replace(row, name=name) if isinstance(row, Driver) else placed(own(name, row), home)
    for name, section in (config_rows or {}).items():
        if any(mark in name for mark in RESERVED):
            raise UsageError(f"[drivers.{name}]: a name without {' and '.join(RESERVED)} is expected: they join names")
        if name in rows:
            rows[name] = placed(amended(rows[name], section), home)
        else:
            rows[name] = placed(own(name, section), home)
    return rows


def find(rows: Mapping[str, Driver], name: str) -> Driver:
    """The row of that name.

    :raises UsageError: if there is none; names the nearest.
    """
    if name not in rows:
        raise UsageError(f"unknown driver {name!r}: {nearest(name, rows)}")
    return rows[name]


def dump(rows: Mapping[str, Driver]) -> str:
    """The table as text, for a worker."""
    return json.dumps({name: to_json(row) for name, row in rows.items()})


def load(text: str) -> Mapping[str, Driver]:
    """The table from text; the inverse of ``dump``."""
    return {name: from_json(row) for name, row in json.loads(text).items()}
