"""How does a driver's report become a file? As JSON: fields as in ``DriverReport``, samples as whole nanoseconds.

What only some scenarios ask for (``loads``, ``held``, ``usable_ns`` and so on) is left out where there is none of it.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_netbench.errors import RunError
from pytest_netbench.telemetry.model import (
    ConnectionReport,
    CpuScope,
    CpuUse,
    DriverReport,
    Fact,
    Held,
    Load,
    Pace,
    StreamBytes,
)

FORM = 1
"""Raised when the meaning of a field changes."""

_NS = 1e9


def dump(report: DriverReport) -> bytes:
    """The report as JSON."""
    document: dict[str, Any] = {
        "form": FORM,
        "began_ns": report.began_ns,
        "first_byte_ns": report.first_byte_ns,
        "last_byte_ns": report.last_byte_ns,
        "peak_rss": report.peak_rss,
        "cpu": None if report.cpu is None else _cpu_out(report.cpu),
        "problems": report.problems,
        "connections": [_connection_out(one) for one in report.connections],
        "samples_ns": {name: [round(one * _NS) for one in taken] for name, taken in report.samples.items()},
        "marks_ns": dict(report.marks),
        **_given(
            loads={name: [_pace_out(one.done), _pace_out(one.due)] for name, one in report.loads.items()} or None,
            held=None if report.held is None else [report.held.connections, report.held.before, report.held.rss],
        ),
    }
    if report.untold:
        document["untold"] = sorted(one.value for one in report.untold)
    return json.dumps(document, separators=(",", ":")).encode()


def _given(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {name: value for name, value in fields.items() if value is not None}


def _pace_out(one: Pace | None) -> list[int] | None:
    return None if one is None else [one.loops, one.events, one.first_ns, one.last_ns]


def _cpu_out(cpu: CpuUse) -> dict[str, Any]:
    made: dict[str, Any] = {"seconds": cpu.seconds, "scope": cpu.scope.value}
    return made | ({"before": cpu.before} if cpu.before else {})


def _connection_out(one: ConnectionReport) -> dict[str, Any]:
    return {
        "server": one.server,
        "program": one.program,
        "key": one.key,
        "connect_s": one.connect_s,
        "retransmits": one.retransmits,
        "first_byte_ns": one.first_byte_ns,
        "last_byte_ns": one.last_byte_ns,
        "streams": [[each.stream, each.opened_here, each.sent, each.received, each.cut] for each in one.streams],
        **_given(
            usable_ns=one.usable_ns,
            resumed=one.resumed,
            early_data=one.early_data,
            datagrams=one.datagrams,
            busy_us=one.busy_us,
        ),
    }


def write(report: DriverReport, path: Path) -> None:
    """Write the report so that whoever looks finds all of it or nothing.

    :raises OSError: if it can't be written; nothing of it is left then.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(dump(report))
        unfinished.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


def load(text: bytes) -> DriverReport:
    """Read a report.

    :raises RunError: if it is malformed; names the field and what was expected.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RunError(f"the driver's report isn't JSON: {error}") from None
    top = _Reader(document, "report")
    if top.number("form") != FORM:
        raise RunError(f"the driver's report has form {document['form']}, this version reads {FORM}")
    return DriverReport(
        began_ns=top.optional("began_ns"),
        first_byte_ns=top.optional("first_byte_ns"),
        last_byte_ns=top.optional("last_byte_ns"),
        connections=tuple(_connection(one) for one in top.readers("connections")),
        samples={
            name: tuple([one / _NS for one in top.numbers(taken, f"samples_ns.{name}")])
            for name, taken in top.of("samples_ns", dict).items()
        },
        cpu=_cpu(top),
        peak_rss=top.optional("peak_rss"),
        problems=tuple(str(one) for one in top.of("problems", list)),
        marks={name: tuple(top.numbers(taken, f"marks_ns.{name}")) for name, taken in top.of("marks_ns", dict).items()},
        loads={name: _load(top, name, one) for name, one in (top.maybe("loads", dict) or {}).items()},
        held=None if top.maybe("held", list) is None else Held(*top.some(top.maybe("held", list), "held", 3)),
        untold=_untold(top),
    )


def _load(top: _Reader, name: str, value: object) -> Load:
    where = f"loads.{name}"
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 - done and due
        raise top.malformed(where, "[done, due]", value)
    done, due = value
    return Load(Pace(*top.some(done, where, 4)), None if due is None else Pace(*top.some(due, where, 4)))


def _untold(top: _Reader) -> frozenset[Fact]:
    """What it says that it doesn't tell; drivers that tell everything needn't say so."""
    words = top.of("untold", list) if top.has("untold") else []
    known = {one.value: one for one in Fact}
    for word in words:
        if word not in known:
            raise top.malformed("untold", f"some of {', '.join(known)}", word)
    return frozenset(known[word] for word in words)


def _cpu(top: _Reader) -> CpuUse | None:
    if top.of("cpu", dict, type(None)) is None:
        return None
    cpu = _Reader(top.of("cpu", dict), "report.cpu")
    scope = cpu.of("scope", str)
    if scope not in {one.value for one in CpuScope}:
        raise cpu.malformed("scope", " or ".join(repr(one.value) for one in CpuScope), scope)
    before = float(cpu.of("before", int, float)) if cpu.has("before") else 0.0
    return CpuUse(float(cpu.of("seconds", int, float)), CpuScope(scope), before)


def _connection(one: _Reader) -> ConnectionReport:
    key, seconds = one.of("key", str, type(None)), one.of("connect_s", int, float, type(None))
    datagrams = one.maybe("datagrams", list)
    return ConnectionReport(
        server=one.optional("server"),
        program=one.optional("program"),
        key=key,
        streams=tuple(_stream(one, each) for each in one.of("streams", list)),
        connect_s=None if seconds is None else float(seconds),
        retransmits=one.optional("retransmits"),
        first_byte_ns=one.optional("first_byte_ns"),
        last_byte_ns=one.optional("last_byte_ns"),
        usable_ns=one.maybe("usable_ns", int),
        resumed=one.maybe("resumed", bool),
        early_data=one.maybe("early_data", bool),
        datagrams=None if datagrams is None else _two(one.some(datagrams, "datagrams", 2)),
        busy_us=one.maybe("busy_us", int),
    )


def _two(numbers: list[int]) -> tuple[int, int]:
    return numbers[0], numbers[1]


def _stream(owner: _Reader, value: object) -> StreamBytes:
    if isinstance(value, list) and list(map(type, value)) == [int, bool, int, int, bool]:
        return StreamBytes(*value)
    raise owner.malformed("streams", "[stream, opened here, sent, received, cut]", value)


class _Reader:
    """One object of the report, and where it stands."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise RunError(f"the driver's report is malformed: {where}: expected an object, found {_short(value)}")
        self._value = value
        self._where = where

    def has(self, name: str) -> bool:
        """Whether a field is there."""
        return name in self._value

    def malformed(self, name: str, expected: str, found: object) -> RunError:
        """The error for a field."""
        return RunError(
            f"the driver's report is malformed: {self._where}.{name}: expected {expected}, found {_short(found)}"
        )

    def of(self, name: str, *kinds: type) -> Any:  # noqa: ANN401 - one of the kinds
        """A field that must be there, of one of these kinds; a bool is no number."""
        found = self._value.get(name, ...)
        if type(found) not in kinds:
            names = " or ".join("null" if one is type(None) else one.__name__ for one in kinds)
            raise self.malformed(name, names, "nothing" if found is ... else found)
        return found

    def number(self, name: str) -> int:
        """A whole number."""
        return int(self.of(name, int))

    def optional(self, name: str) -> int | None:
        """A whole number or null."""
        found: int | None = self.of(name, int, type(None))
        return found

    def maybe(self, name: str, kind: type) -> Any:  # noqa: ANN401 - of that kind
        """A field that need not be there."""
        return self.of(name, kind, type(None)) if name in self._value else None

    def some(self, value: object, name: str, count: int) -> list[int]:
        """So many whole numbers."""
        found = self.numbers(value, name)
        if len(found) != count:
            raise self.malformed(name, f"{count} whole numbers", value)
        return found

    def readers(self, name: str) -> list[_Reader]:
        """A list of objects."""
        return [_Reader(one, f"{self._where}.{name}[{index}]") for index, one in enumerate(self.of(name, list))]

    def numbers(self, value: object, name: str) -> list[int]:
        """A list of whole numbers."""
        if not isinstance(value, list) or not set(map(type, value)) <= {int}:
            raise self.malformed(name, "a list of whole numbers", value)
        return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - enough to recognise it
