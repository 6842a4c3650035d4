"""What is reported of commands? What they told, as a driver's report; what they didn't is named, and not made up.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_netbench.drivers.adapter import interop
from pytest_netbench.drivers.adapter.output import Said, Unreadable, read
from pytest_netbench.drivers.driver import Level
from pytest_netbench.roles import Role
from pytest_netbench.scenario.shape import Kind
from pytest_netbench.telemetry.model import ConnectionReport, CpuScope, CpuUse, DriverReport, Fact, StreamBytes

if TYPE_CHECKING:
    from pytest_netbench.drivers.adapter.children import Children
    from pytest_netbench.drivers.adapter.parts import Part
    from pytest_netbench.drivers.adapter.work import Work

_NS = 1e9
_LONGEST = 64 << 20
"""Bytes of an output that are read."""


@dataclass(frozen=True, slots=True)
class _Group:
    """The commands that share an output: one, or those that ran one after another; and what it told."""

    parts: tuple[Part, ...]
    said: Said
    ended_ns: int | None

    @property
    def connections(self) -> int:
        """How many connections they were to make."""
        return sum(part.connections for part in self.parts)


def report(work: Work, made: Sequence[Part], children: Children, problems: Sequence[str]) -> DriverReport:
    """The report of all commands of one side."""
    found, groups = [*problems], []
    for output in dict.fromkeys(part.output for part in made):
        its_own = tuple(part for part in made if part.output == output)
        said = Said()
        try:
            said = _said(work, its_own[0])
        except Unreadable as error:
            found.append(f"`{its_own[0].argv[0]}`: {error}")
        ends = [one.ended_ns for one in children.ended if one.output == output]
        groups.append(_Group(its_own, said, max(ends, default=None)))
    connections = [one for group in groups for one in _connections(work, group)]
    firsts = [one.first_byte_ns for one in connections if one.first_byte_ns is not None]
    lasts = [one.last_byte_ns for one in connections if one.last_byte_ns is not None]
    return DriverReport(
        began_ns=min((one.began_ns for one in children.ended), default=None),
        first_byte_ns=min(firsts, default=None),
        last_byte_ns=max(lasts, default=None),
        connections=tuple(connections),
        samples={},
        cpu=CpuUse(children.cpu_s, CpuScope.PROCESS, children.cpu_before),
        peak_rss=children.peak_rss or None,
        problems=tuple(found),
        untold=_untold(work, groups),
    )


def _said(work: Work, part: Part) -> Said:
    if work.driver.level is Level.INTEROP:
        return interop.said(work, part)
    rule = work.foreign.output.get(work.role)
    return Said() if rule is None else read(rule, _text(part))


def _text(part: Part) -> str:
    with part.output.open("rb") as file:
        return file.read(_LONGEST).decode(errors="replace")


def _untold(work: Work, groups: Sequence[_Group]) -> frozenset[Fact]:
    """What these commands don't tell. The way of a scenario's request, or answer, a plain transfer doesn't have."""
    sends = _sends(work)
    missing = {Fact.TRACES, Fact.RECEIVED if sends else Fact.SENT}
    if work.plain.kind is Kind.CONNECT or any(_moved(one.said, sends=sends) is None for one in groups):
        missing |= {Fact.SENT, Fact.RECEIVED}
    counted = all(one.said.connections is not None or one.said.connects for one in groups)
    one_each = work.role is Role.CLIENT and all(part.connections == 1 for one in groups for part in one.parts)
    return frozenset(missing if counted or one_each else {*missing, Fact.CONNECTIONS})


def _sends(work: Work) -> bool:
    return (work.plain.kind is Kind.UPLOAD) == (work.role is Role.CLIENT)


def _moved(said: Said, *, sends: bool) -> int | None:
    exact = said.sent if sends else said.received
    return exact if exact is not None else said.moved


def _connections(work: Work, group: _Group) -> list[ConnectionReport]:
    """The connections of a group; what it moved, and when, stands at the first of them.

    A tool tells how long it took, not when that began: the window is put where its last command ended.
    """
    sends, said = _sends(work), group.said
    moved = None if work.plain.kind is Kind.CONNECT else _moved(said, sends=sends)
    number = said.connections if said.connections is not None else len(said.connects) or group.connections
    window = None if said.seconds is None or sends or group.ended_ns is None else round(said.seconds * _NS)
    last = None if window is None else group.ended_ns
    first = None if window is None or last is None else last - window
    server = group.parts[0].server if work.role is Role.CLIENT else work.index
    ways = (moved, 0) if sends else (0, moved)
    stream = StreamBytes(0, work.role is Role.CLIENT, ways[0] or 0, ways[1] or 0, cut=True)
    return [
        ConnectionReport(
            server=server,
            program=None,
            key=None,
            streams=() if moved is None or index else (stream,),
            connect_s=said.connects[index] if index < len(said.connects) else None,
            first_byte_ns=None if index else first,
            last_byte_ns=None if index else last,
            usable_ns=first if index == 0 else last,  # when each was isn't told, only when the first and the last were
        )
        for index in range(number)
    ]
