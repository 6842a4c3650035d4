"""What did a real driver do? From the lines of its ``TRACE=stdio`` to the report that our own drivers write; pure.

Clocks. All stamps are taken when the driver wakes up: what it does in one wake-up has the same time, and is written
then or later (tens of milliseconds later where it fills its buffer of 100 MB meanwhile). The host notes now and then
how long the output was when: what stood there was stamped before, what came after was written later.
- A client's lines count from its start, all on one axis. Its zero is as late as all notes allow, so it is late by the
  shortest delay between a stamp and a note.
- A server's count from each connection's own beginning. They are put on one axis by what is certain: lines stand in the
  order in which they were written, and the notes. Every instant found is a lower bound, off by no more than the pause
  before it or the period of the notes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_netbench.roles import Role
from pytest_netbench.telemetry.model import ConnectionReport, CpuUse, DriverReport, StreamBytes
from pytest_netbench.telemetry.programs import Stream, cut_streams, dialled
from pytest_netbench.telemetry.stdio_lines import Garbage, Line, duration_s, lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_netbench.scenario.model import Connection, Scenario

_MANY = 2**63  # above it, an amount is what is left after the real driver's counters went below zero


@dataclass(frozen=True, slots=True)
class Written:
    """At this instant (host's monotonic clock) the output had this length: what stands beyond was written later."""

    at_ns: int
    length: int


@dataclass(slots=True)
class _Seen:
    """What the lines of one connection add up to; times on its own clock."""

    zero_ns: int | None
    program: int | None = None
    connect_s: float | None = None
    first_ns: int | None = None
    last_ns: int | None = None
    opened: set[int] = field(default_factory=set)
    accepted: set[int] = field(default_factory=set)
    sent: Counter[tuple[int, bool | None]] = field(default_factory=Counter)
    received: Counter[tuple[int, bool | None]] = field(default_factory=Counter)


class _Reader:
    """Takes the lines one by one."""

    def __init__(self, scenario: Scenario, role: Role, first_ns: int | None, written: Sequence[Written]) -> None:
        self._role = role
        self._traces = scenario.traces
        self._written = written
        self._next = 0
        self._floor = first_ns  # no line from here on was written before this instant
        self._last_ns: int | None = None
        self.zero_ns: int | None = None
        self.connections: dict[int, _Seen] = {}
        self.samples: defaultdict[str, list[float]] = defaultdict(list)
        self.marks: list[tuple[str, _Seen, int]] = []
        self.problems: list[str] = []
        self.garbage: list[bytes] = []

    def take(self, line: Line) -> None:
        """One more line."""
        number = line.connection
        if line.event == b"exec":
            return
        if line.event == b"conn" and self._role is Role.SERVER:
            number = _number(line.subject)  # there the subject is the connection, and the prefix always says 0
        seen = self.connections.get(number)
        if seen is None:
            seen = self.connections[number] = _Seen(None)
        self._place(seen, line)
        if line.event == b"conn":
            self._connected(seen, line)
        elif line.event == b"open":
            seen.opened.add(_number(line.subject))
        elif line.event == b"acpt":
            seen.accepted.add(_number(line.subject))
        elif line.event in (b"send", b"recv"):
            self._moved(seen, line)
        elif line.event == b"prof":
            self.samples[self._trace(line)].append(duration_s(line.amount.decode()))
        elif line.event == b"trce":
            self.marks.append((self._trace(line), seen, line.at_ns))

    def _place(self, seen: _Seen, line: Line) -> None:
        """Find where the zero of a connection, or of a client, is on the host's clock."""
        while self._next < len(self._written) and self._written[self._next].length <= line.offset:
            self._note(self._written[self._next])
            self._next += 1
        self._last_ns = line.at_ns
        if self._role is Role.CLIENT or self._floor is None:
            return
        if seen.zero_ns is None or seen.zero_ns + line.at_ns < self._floor:
            seen.zero_ns = self._floor - line.at_ns
        self._floor = seen.zero_ns + line.at_ns

    def _note(self, note: Written) -> None:
        """One more note, all lines before which are read."""
        if self._role is Role.SERVER:
            self._floor = None if self._floor is None else max(self._floor, note.at_ns)
        elif self._last_ns is not None:
            zero = note.at_ns - self._last_ns
            self.zero_ns = zero if self.zero_ns is None else min(self.zero_ns, zero)

    def end(self, executed_ns: int | None) -> None:
        """All lines are read; a client can't have begun before it was executed."""
        for note in self._written[self._next :]:
            self._note(note)
        if self._role is not Role.CLIENT:
            return
        if self.zero_ns is not None and executed_ns is not None:
            self.zero_ns = max(self.zero_ns, executed_ns)
        for seen in self.connections.values():
            seen.zero_ns = self.zero_ns

    def _connected(self, seen: _Seen, line: Line) -> None:
        if self._role is Role.CLIENT:
            seen.program = _number(line.subject)
            seen.connect_s = duration_s(line.amount.decode())

    def _moved(self, seen: _Seen, line: Line) -> None:
        amount = _number(line.amount)
        if amount >= _MANY:
            raise ValueError("an amount below zero")
        key = (_number(line.subject), _opened_here(line.scopes))
        if line.event == b"send":
            seen.sent[key] += amount
            return
        seen.received[key] += amount
        if amount:
            seen.first_ns = line.at_ns if seen.first_ns is None else seen.first_ns
            seen.last_ns = line.at_ns

    def _trace(self, line: Line) -> str:
        subject = line.subject.decode()
        name = subject
        if not line.scopes:  # with them, traces are named; without, numbered
            known = subject.isdigit() and int(subject) < len(self._traces)
            name = self._traces[int(subject)] if known else subject
        if name not in self._traces:
            raise ValueError("a trace that the scenario doesn't have")
        return name


def _number(text: bytes) -> int:
    if not text.isdigit():
        raise ValueError(f"not a number: {text!r}")
    return int(text)


def _opened_here(scopes: bytes) -> bool | None:
    """Whether the thread that moved bytes works on own streams; unknown without scopes.

    Only a connection's own thread is numbered 0.0: accepted streams are 1.N, nested scopes count from 1.
    """
    return None if not scopes else b":0.0" in scopes


def parse(
    output: bytes,
    scenario: Scenario,
    role: Role,
    index: int,
    *,
    executed_ns: int | None = None,
    first_ns: int | None = None,
    written: Sequence[Written] = (),
    cpu: CpuUse | None = None,
    peak_rss: int | None = None,
) -> DriverReport:
    """The report of a driver that wrote this to standard output.

    ``executed_ns``: when a client was executed. ``first_ns``: when the first line was written, without which a server
    has no instants. ``written``: how long the output was when, in order, without which a client has none. Never raises
    for what stands in the output: garbage is told in ``problems``.
    """
    reader = _Reader(scenario, role, first_ns, written)
    for line in lines(output):
        if isinstance(line, Garbage):
            reader.garbage.append(line.text)
            continue
        try:
            reader.take(line)
        except ValueError:
            start = line.offset
            reader.garbage.append(output[start : output.find(b"\n", start)])
    reader.end(executed_ns)
    if reader.garbage:
        shown = reader.garbage[0][:80].decode(errors="replace")
        reader.problems.append(f"{len(reader.garbage)} lines of its output are no trace, the first: {shown!r}")
    connections = _connections(reader, scenario, role, index)
    firsts = [one.first_byte_ns for one in connections if one.first_byte_ns is not None]
    lasts = [one.last_byte_ns for one in connections if one.last_byte_ns is not None]
    return DriverReport(
        began_ns=reader.zero_ns,
        first_byte_ns=min(firsts, default=None),
        last_byte_ns=max(lasts, default=None),
        connections=connections,
        samples={name: tuple(values) for name, values in reader.samples.items()},
        cpu=cpu,
        peak_rss=peak_rss,
        problems=tuple(reader.problems),
        marks=_marks(reader),
    )


def _marks(reader: _Reader) -> Mapping[str, tuple[int, ...]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for name, seen, at_ns in reader.marks:
        if seen.zero_ns is not None:
            found[name].append(seen.zero_ns + at_ns)
    return {name: tuple(instants) for name, instants in found.items()}


def _connections(reader: _Reader, scenario: Scenario, role: Role, index: int) -> tuple[ConnectionReport, ...]:
    endpoint = (scenario.clients if role is Role.CLIENT else scenario.servers)[index]
    programs: Sequence[Connection] = endpoint.connections
    reached = dialled(scenario.clients[index]) if role is Role.CLIENT else None
    found: list[ConnectionReport] = []
    for number, seen in sorted(reader.connections.items()):
        program = seen.program if seen.program is not None else (0 if len(programs) == 1 else None)
        if program is not None and program >= len(programs):
            reader.problems.append(f"connection {number} follows program {program} of {len(programs)}")
            program = None
        server: int | None = index
        if reached is not None:
            server = None if program is None else reached(number, program)
        cut = cut_streams(programs[program]) if program is not None else frozenset().union(*map(cut_streams, programs))
        found.append(_connection(seen, role, program, server, cut))
    return tuple(found)


def _connection(
    seen: _Seen, role: Role, program: int | None, server: int | None, cut: frozenset[Stream]
) -> ConnectionReport:
    sent: Counter[Stream] = Counter()
    received: Counter[Stream] = Counter()
    for amounts, moved in ((sent, seen.sent), (received, seen.received)):
        for (stream, here), amount in moved.items():
            amounts[stream, _whose(seen, role, stream) if here is None else here] += amount
    zero = seen.zero_ns
    return ConnectionReport(
        server=server,
        program=program,
        key=None,
        streams=tuple(
            StreamBytes(stream, here, sent[stream, here], received[stream, here], (stream, here) in cut)
            for stream, here in sorted({*sent, *received})
        ),
        connect_s=seen.connect_s,
        first_byte_ns=None if zero is None or seen.first_ns is None else zero + seen.first_ns,
        last_byte_ns=None if zero is None or seen.last_ns is None else zero + seen.last_ns,
    )


def _whose(seen: _Seen, role: Role, stream: int) -> bool:
    """Whether this endpoint opened a stream, by its number alone: where both ends opened that number, it is ours."""
    return stream in seen.opened or (role is Role.CLIENT and stream not in seen.accepted)
