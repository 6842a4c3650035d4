"""What can be said beyond netbench's language? Operations that the real drivers don't have, as frozen dataclasses.

Others are fields of known operations: ``fresh`` of an opening, ``resume`` and ``early_data`` of a connect, ``hold`` of
a sleep. A scenario that uses any of them says so in ``requires``. This file runs on hosts: standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pytest_netbench.scenario.model import ClientOp, ConnectionOp, Count, Time


@dataclass(frozen=True, slots=True)
class Repeat:
    """Repeat operations of a client, one repetition after another; with a trace, each is one sample.

    A repetition that has begun is carried out to its end, also when the time is up meanwhile.
    """

    value: Time | Count
    operations: tuple[ClientOp, ...]
    trace_id: int | None = None


@dataclass(frozen=True, slots=True)
class Fixed:
    """So many arrivals a period, equally far apart; the first at once."""

    amount: int
    period_ms: int


@dataclass(frozen=True, slots=True)
class Poisson:
    """So many arrivals a period on average, each independent of all others; the same ``seed`` gives the same ones."""

    amount: int
    period_ms: int
    seed: int


Arrivals: TypeAlias = Fixed | Poisson


@dataclass(frozen=True, slots=True)
class Schedule:
    """Begin operations so many times, at instants that don't depend on how long they take (open loop).

    A sample of the trace is the time from the intended instant to the end. Those of a client, and those of a connection
    that open a stream afresh, run beside each other; others share their streams, so that one waits for the one before.
    """

    arrivals: Arrivals
    count: int
    operations: tuple[ConnectionOp, ...] | tuple[ClientOp, ...]
    trace_id: int


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send so many bytes in one datagram of the connection, which may be lost."""

    bytes: int


@dataclass(frozen=True, slots=True)
class ReceiveDatagram:
    """Wait so long for a datagram of the connection; that none comes is no failure, but counted."""

    timeout_ms: int
