"""What was seen in one round? Frozen records of one driver and of one host, whatever program they come from.

All times are seconds, all instants nanoseconds of the host's monotonic clock (``time.monotonic_ns``) unless they say
that they were moved to the coordinator's. This file runs on hosts: standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_netbench.roles import Role


class CpuScope(Enum):
    """Which part of a driver's life a CPU figure covers; only ``WINDOW`` may be gated."""

    WINDOW = "window"
    PROCESS = "whole process"


class Fact(Enum):
    """What a driver may leave untold: such figures aren't made up, and what rests on them isn't checked."""

    SENT = "bytes sent"
    RECEIVED = "bytes received"
    CONNECTIONS = "connections"
    TRACES = "traces"


@dataclass(frozen=True, slots=True)
class CpuUse:
    """CPU seconds (user and system) of a driver's process tree.

    ``before``: those of them that it had used before it could be asked for anything: a server until it listened, a
    client until it was released.
    """

    seconds: float
    scope: CpuScope
    before: float = 0.0


@dataclass(frozen=True, slots=True)
class StreamBytes:
    """Payload of one stream, counted at this end.

    ``cut``: a timed ``iterate`` ended in the middle of its body on this stream, so both ends may differ.
    """

    stream: int
    opened_here: bool
    sent: int
    received: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """One connection at this end.

    ``program``: index into the scenario's ``connections`` of this endpoint, None where the driver doesn't tell.
    ``key``: ``CLIENT_IP:PORT>SERVER_IP:PORT``, the same text at both ends; None where the driver doesn't tell.
    ``connect_s``: dial to usable, handshake included, seen by the client; None at a server.
    ``server``: index of the server that it leads to (at a client), or of this server.
    ``first_byte_ns``, ``last_byte_ns``: payload received here, first and last; None where the driver doesn't tell.
    ``usable_ns``: the instant from which the client could use it. ``resumed``, ``early_data``: whether the session was
    resumed and early data taken, at a client that was to try; None where it wasn't. ``datagrams``: sent and received
    here, None where the scenario has none. ``busy_us``: microseconds in which not all that was sent here had been
    acknowledged, by the kernel; None where it doesn't tell.
    """

    server: int | None
    program: int | None
    key: str | None
    streams: tuple[StreamBytes, ...]
    connect_s: float | None = None
    retransmits: int | None = None
    first_byte_ns: int | None = None
    last_byte_ns: int | None = None
    usable_ns: int | None = None
    resumed: bool | None = None
    early_data: bool | None = None
    datagrams: tuple[int, int] | None = None
    busy_us: int | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """So many events of so many loops, from the first instant to the last."""

    loops: int
    events: int
    first_ns: int
    last_ns: int

    @property
    def rate(self) -> float | None:
        """Events per second: of each loop, the first only begins the time; None if there is no time."""
        lasted = self.last_ns - self.first_ns
        return (self.events - self.loops) * 1e9 / lasted if lasted > 0 else None

    def together(self, other: Pace) -> Pace:
        """Both as one; one without events counts for nothing."""
        if not self.events or not other.events:
            return self if self.events else other
        first, last = min(self.first_ns, other.first_ns), max(self.last_ns, other.last_ns)
        return Pace(self.loops + other.loops, self.events + other.events, first, last)


@dataclass(frozen=True, slots=True)
class Load:
    """What the loops of one trace came to: a ``repeat``, a ``schedule``, or an ``iterate`` that opens streams afresh.

    ``done``: repetitions, by their ends. ``due``: of schedules, arrivals, by their intended instants; None of others.
    """

    done: Pace
    due: Pace | None = None

    def together(self, other: Load) -> Load:
        """Both as one."""
        due = self.due if other.due is None else other.due if self.due is None else self.due.together(other.due)
        return Load(self.done.together(other.done), due)


@dataclass(frozen=True, slots=True)
class Held:
    """Resident memory of a driver in bytes: before the first connection, and with most of them open, and how many."""

    connections: int
    before: int
    rss: int


@dataclass(frozen=True, slots=True)
class DriverReport:
    """What one driver process did in one round.

    ``began_ns``: its first operation really began. ``first_byte_ns``, ``last_byte_ns``: payload *received*, first and
    last. ``samples``: trace name, as in the scenario, to durations in seconds in their order. ``marks``: trace name to
    the instants at which an operation ``trace`` was reached. ``loads``: trace name to what its loops came to.
    ``untold``: what this driver can't say.
    """

    began_ns: int | None
    first_byte_ns: int | None
    last_byte_ns: int | None
    connections: tuple[ConnectionReport, ...]
    samples: Mapping[str, tuple[float, ...]]
    cpu: CpuUse | None
    peak_rss: int | None
    problems: tuple[str, ...] = ()
    marks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    loads: Mapping[str, Load] = field(default_factory=dict)
    held: Held | None = None
    untold: frozenset[Fact] = frozenset()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a driver ended: exit status, or the signal, and whether its row expects that."""

    status: int | None
    signal: int | None
    expected: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class KernelCounters:
    """Growth of the kernel's counters in the window, for the network namespace named ``namespace``.

    Hosts that share a namespace see the same growth: it is counted once a namespace, never summed over hosts.
    ``allowances_exceeded``: packets that a cloud's network held back, by the counter's name; those that didn't grow are
    left out.
    """

    namespace: str
    tcp_retransmits: int
    udp_rcvbuf_drops: int
    allowances_exceeded: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MachineUse:
    """What a whole machine did in the window, told by its boot's id: CPU seconds that were used, and all there were."""

    machine: str
    busy_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class HostReport:
    """What one host saw in one round: its driver, how that ended, and the kernel's counters.

    ``began_ns`` and ``driver``'s instants are on the coordinator's clock here. ``starved``: why the load generator may
    have been starved of CPU (steal), empty if it wasn't. ``use``: of its machine, by all programs. ``clock_step_s``: by
    how much its clock was set in the window. ``environment``: how it was set before, as ``surroundings`` tells it.
    """

    host: str
    role: Role
    index: int
    armed: bool
    began_ns: int | None
    ended_ns: int | None
    driver: DriverReport
    ending: Ending
    counters: KernelCounters | None
    starved: str = ""
    use: MachineUse | None = None
    clock_step_s: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
