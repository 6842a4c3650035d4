"""Which operations are there, with which fields? One table, from which reading, writing and hashing all derive.

The order of rows and fields is the format's: it is the order in which the real tools write and hash them; what extends
it stands behind. This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pytest_netbench.scenario import extensions as x
from pytest_netbench.scenario import model as m


class Kind(Enum):
    """What a field holds; the values of the first ones are their largest numbers.

    ``FLAG`` and ``EXTRA`` are fields that extend known operations: absent, they are written and hashed as if there were
    none.
    """

    U64 = 2**64 - 1
    U32 = 2**32 - 1
    U16 = 2**16 - 1
    BOOL = "true or false"
    OPTIONAL = "an integer, or nothing"
    REPEAT = "a time or a count"
    OPS = "a list of operations"
    THREADS = "a list of lists of operations"
    POSITIVE = "an integer of 1 or more"
    EXTRA = "an integer of 1 or more, or nothing"
    FLAG = "true, or nothing"
    ARRIVALS = "fixed or Poisson arrivals"


@dataclass(frozen=True, slots=True)
class Row:
    """One operation: its word in the JSON, its class, its fields in the format's order.

    ``preset``: fields that the class needs and the JSON has in its word (of routers).
    """

    word: str
    kind: type[Any]
    fields: Mapping[str, Kind]
    preset: Mapping[str, str]


def _row(word: str, kind: type[Any], /, _preset: Mapping[str, str] | None = None, **fields: Kind) -> Row:
    return Row(word, kind, fields, _preset or {})


def _table(*rows: Row) -> dict[str, Row]:
    return {row.word: row for row in rows}


_SCHEDULE = _row(
    "schedule", x.Schedule, arrivals=Kind.ARRIVALS, count=Kind.POSITIVE, operations=Kind.OPS, trace_id=Kind.U64
)
"""The same for connections and for clients, with operations of either."""

CONNECTION: Mapping[str, Row] = _table(
    _row("sleep", m.Sleep, amount_ms=Kind.U64, hold=Kind.EXTRA),
    _row("open_bidirectional_stream", m.OpenBidirectionalStream, stream_id=Kind.U64, fresh=Kind.FLAG),
    _row("open_send_stream", m.OpenSendStream, stream_id=Kind.U64, fresh=Kind.FLAG),
    _row("send", m.Send, stream_id=Kind.U64, bytes=Kind.U64),
    _row("send_finish", m.SendFinish, stream_id=Kind.U64),
    _row("send_rate", m.SendRate, stream_id=Kind.U64, bytes=Kind.U64, period_ms=Kind.U64),
    _row("receive", m.Receive, stream_id=Kind.U64, bytes=Kind.U64),
    _row("receive_all", m.ReceiveAll, stream_id=Kind.U64),
    _row("receive_finish", m.ReceiveFinish, stream_id=Kind.U64),
    _row("receive_rate", m.ReceiveRate, stream_id=Kind.U64, bytes=Kind.U64, period_ms=Kind.U64),
    _row("park", m.Park, checkpoint=Kind.U64),
    _row("unpark", m.Unpark, checkpoint=Kind.U64),
    _row("trace", m.Trace, trace_id=Kind.U64),
    _row("profile", m.Profile, trace_id=Kind.U64, operations=Kind.OPS),
    _row("iterate", m.Iterate, value=Kind.REPEAT, operations=Kind.OPS, trace_id=Kind.OPTIONAL),
    _row("scope", m.Scope, threads=Kind.THREADS),
    _SCHEDULE,
    _row("send_datagram", x.SendDatagram, bytes=Kind.U16),
    _row("receive_datagram", x.ReceiveDatagram, timeout_ms=Kind.U64),
)

CLIENT: Mapping[str, Row] = _table(
    _row("sleep", m.ClientSleep, timeout_ms=Kind.U64),
    _row(
        "connect",
        m.Connect,
        server_id=Kind.U64,
        router_id=Kind.OPTIONAL,
        server_connection_id=Kind.U64,
        client_connection_id=Kind.U64,
        resume=Kind.FLAG,
        early_data=Kind.FLAG,
    ),
    _row("park", m.Park, checkpoint=Kind.U64),
    _row("unpark", m.Unpark, checkpoint=Kind.U64),
    _row("trace", m.Trace, trace_id=Kind.U64),
    _row("scope", m.ClientScope, threads=Kind.THREADS),
    _row("repeat", x.Repeat, value=Kind.REPEAT, operations=Kind.OPS, trace_id=Kind.OPTIONAL),
    _SCHEDULE,
)

_SIDE: tuple[tuple[str, type[Any], dict[str, Kind]], ...] = (
    ("buffer_count", m.RouterPackets, {"packet_count": Kind.U32}),
    ("drop_rate", m.RouterPackets, {"packet_count": Kind.U32}),
    ("reorder_rate", m.RouterPackets, {"packet_count": Kind.U32}),
    ("corrupt_rate", m.RouterPackets, {"packet_count": Kind.U32}),
    ("delay", m.RouterAmount, {"amount_ms": Kind.U64}),
    ("jitter", m.RouterAmount, {"amount_ms": Kind.U64}),
    ("mtu", m.RouterMtu, {"mtu": Kind.U16}),
)


def _named(word: str, kind: type[Any], fields: dict[str, Kind]) -> Row:
    """A row whose class is shared with others: it keeps its word as its name."""
    return _row(word, kind, {"name": word}, **fields)


ROUTER: Mapping[str, Row] = _table(
    _named("sleep", m.RouterAmount, {"amount_ms": Kind.U64}),
    *(_named(f"{side}_{what}", kind, fields) for side in ("server", "client") for what, kind, fields in _SIDE),
    _named("client_rebind_port_rate", m.RouterPackets, {"packet_count": Kind.U32}),
    _named("client_rebind_address_rate", m.RouterPackets, {"packet_count": Kind.U32}),
    _row("rebind_all", m.RebindAll, ports=Kind.BOOL, addresses=Kind.BOOL),
    _row("trace", m.Trace, trace_id=Kind.U64),
)

REPEATS: Mapping[str, Row] = _table(_row("time", m.Time, amount_ms=Kind.U64), _row("count", m.Count, amount=Kind.U64))

ARRIVALS: Mapping[str, Row] = _table(
    _row("fixed", x.Fixed, amount=Kind.POSITIVE, period_ms=Kind.POSITIVE),
    _row("poisson", x.Poisson, amount=Kind.POSITIVE, period_ms=Kind.POSITIVE, seed=Kind.U64),
)

NESTED: Mapping[Kind, tuple[Mapping[str, Row], str]] = {
    Kind.REPEAT: (REPEATS, "repetition"),
    Kind.ARRIVALS: (ARRIVALS, "kind of arrivals"),
}
"""Fields that hold one row of a table of their own, and what such a row is called."""


def row_of(table: Mapping[str, Row], operation: object) -> Row:
    """The row of an operation."""
    name = getattr(operation, "name", None)
    if isinstance(name, str):
        return table[name]
    return next(row for row in table.values() if row.kind is type(operation))
