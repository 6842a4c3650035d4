"""Which metrics are there? One table: name or pattern to unit, direction and meaning; all units are SI base units."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_netbench.errors import UnknownMetric, UsageError, nearest
from pytest_netbench.result.model import Better

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PERCENTILES: Mapping[str, float] = MappingProxyType({"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999})
"""The percentiles that are computed, by the end of a metric's name."""

LEAST_SAMPLES: Mapping[str, int] = MappingProxyType({"p90": 300, "p99": 3_000, "p999": 30_000})
"""How many samples, pooled over the valid rounds of one arm, a percentile needs: 30 beyond it, 30 / (1 - q)."""

POINTS: tuple[str, ...] = (*PERCENTILES, "max")
"""What is said of a distribution: its percentiles, and its largest sample."""

CONNECT = "connect"
"""The distribution of connection times; the name is ours, a trace of that name is called otherwise."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table.

    ``detail``: a breakdown of another metric, for files and full tables, not for the short one. ``most``: what it can't
    exceed by its definition; no interval claims more.
    """

    unit: str
    better: Better
    meaning: str
    detail: bool = False
    most: float = math.inf


_HIGH, _LOW = Better.HIGHER, Better.LOWER

CATALOGUE: Mapping[str, Kind] = MappingProxyType(
    {
        "goodput": Kind("B/s", _HIGH, "payload received by all receivers, first payload byte to last, on one clock"),
        "goodput.slowest_client": Kind("B/s", _HIGH, "goodput of the client that got the least, both directions"),
        "goodput.fairness": Kind(
            "1", _HIGH, "Jain's index of the clients' goodputs: 1 is equal, 1/n is one takes all", most=1
        ),
        "connect.p50": Kind("s", _LOW, "dial to usable, handshake included: median connection of the round"),
        "connect.p90": Kind("s", _LOW, "dial to usable, handshake included: 90 % of connections were faster"),
        "connect.p99": Kind("s", _LOW, "dial to usable, handshake included: 99 % of connections were faster"),
        "connect.p999": Kind("s", _LOW, "dial to usable, handshake included: 99.9 % of connections were faster"),
        "connect.max": Kind("s", _LOW, "dial to usable, handshake included: slowest connection of the round"),
        "connect.rate": Kind("1/s", _HIGH, "connections made per second where they are repeated, sum over the clients"),
        "connect.resumed": Kind("1", _HIGH, "share of the connections that were to resume a session and did", most=1),
        "connect.early_data": Kind(
            "1", _HIGH, "share of the connections whose early data was to be taken and was", most=1
        ),
        "TRACE.p50": Kind("s", _LOW, "median sample of the trace, over all clients of the round"),
        "TRACE.p90": Kind("s", _LOW, "90 % of the trace's samples were shorter, over all clients of the round"),
        "TRACE.p99": Kind("s", _LOW, "99 % of the trace's samples were shorter, over all clients of the round"),
        "TRACE.p999": Kind("s", _LOW, "99.9 % of the trace's samples were shorter, over all clients of the round"),
        "TRACE.max": Kind("s", _LOW, "longest sample of the trace, over all clients of the round"),
        "TRACE.rate": Kind("1/s", _HIGH, "repetitions of the trace that ended per second, sum over the clients"),
        "TRACE.offered": Kind(
            "1/s", _HIGH, "arrivals per second that the trace's schedule asked for, sum over the clients"
        ),
        "TRACE.achieved": Kind(
            "1/s", _HIGH, "arrivals of the trace's schedule that ended per second, over the clients"
        ),
        "server.cpu_per_byte": Kind("s/B", _LOW, "CPU of all servers' drivers per payload byte received anywhere"),
        "client.cpu_per_byte": Kind("s/B", _LOW, "CPU of all clients' drivers per payload byte received anywhere"),
        "server.cpu_per_op": Kind("s", _LOW, "CPU of all servers' drivers per operation"),
        "client.cpu_per_op": Kind("s", _LOW, "CPU of all clients' drivers per operation"),
        "server.peak_rss": Kind("B", _LOW, "largest resident memory of any one server's driver"),
        "client.peak_rss": Kind("B", _LOW, "largest resident memory of any one client's driver"),
        "server.memory_per_connection": Kind(
            "B", _LOW, "resident memory that a server's driver takes for each connection"
        ),
        "client.memory_per_connection": Kind(
            "B", _LOW, "resident memory that a client's driver takes for each connection"
        ),
        "datagrams.lost": Kind("1", _LOW, "share of the datagrams sent that did not arrive, both directions", most=1),
        "tcp.retransmits": Kind("1", _LOW, "TCP segments sent again in the window, sum over the hosts"),
        "tcp.retransmits.HOST": Kind("1", _LOW, "TCP segments sent again by that host in the window", detail=True),
        "udp.rcvbuf_drops": Kind("1", _LOW, "datagrams dropped for a full receive buffer, sum over the hosts"),
        "udp.rcvbuf_drops.HOST": Kind("1", _LOW, "datagrams dropped on that host in the window", detail=True),
    }
)

_PATTERNS = tuple(
    (re.compile(re.escape(name).replace("TRACE", ".+").replace("HOST", ".+"), re.DOTALL), kind)
    for name, kind in CATALOGUE.items()
    if "TRACE" in name or "HOST" in name
)


_ADDED: dict[str, Kind] = {}


def add(kinds: Mapping[str, Kind]) -> None:
    """From now on this process knows these metrics, too: those of another plugin's sources of telemetry.

    :raises UsageError: if the table has one of that name already.
    """
    for name, kind in kinds.items():
        if name in CATALOGUE:
            raise UsageError(f"metric {name!r} is there already: {CATALOGUE[name].meaning}")
        _ADDED[name] = kind


def describe(name: str) -> Kind:
    """The row for a metric's name.

    :raises UnknownMetric: if no row fits; names the nearest known name.
    """
    exact = CATALOGUE.get(name) or _ADDED.get(name)
    if exact is not None:
        return exact
    for pattern, kind in _PATTERNS:
        if pattern.fullmatch(name):
            return kind
    raise UnknownMetric(f"unknown metric {name!r}: {nearest(name, {**CATALOGUE, **_ADDED})}")


def gateable(name: str) -> str | None:
    """Why no limit can be set on a metric of that name, or None; whether a run gives it is seen when it has run."""
    try:
        kind = describe(name)
    except UnknownMetric as error:
        return str(error)
    return f"{name!r} is a breakdown; set the limit on {name.rsplit('.', 1)[0]!r}" if kind.detail else None


def distribution(name: str) -> tuple[str, str] | None:
    """Split ``TRACE.p99`` into the trace and the point; None for a metric that isn't a point of a distribution."""
    trace, dot, point = name.rpartition(".")
    return (trace, point) if dot and trace and point in POINTS else None


def plain(text: str) -> str:
    """A name as it stands in metrics: blanks as ``_``."""
    return re.sub(r"\s", "_", text)


def trace_names(traces: Iterable[str]) -> Mapping[str, str]:
    """The scenario's trace names to their names in metrics: blanks as ``_``.

    Two traces never share a name: one that is empty, or like an earlier one, or like ``connect``, ends in ``_2``.
    """
    taken, names = {CONNECT, ""}, {}
    for trace in dict.fromkeys(traces):
        base = name = plain(trace)
        number = 1
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        names[trace] = name
    return names
