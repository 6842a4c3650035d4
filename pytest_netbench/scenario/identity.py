"""What is a scenario's id? The real generator's hash, and our own short one in letters that every host name may have.

The recipe is Rust's derived hash, fed into SHA-256: integers as 8 bytes, texts with a closing 0xFF, lists with their
length, enumerations with the number of their variant. What extends the format counts only where it is used: plain
scenarios keep the ids that the real generator gives them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_netbench.scenario.language import CLIENT, CONNECTION, NESTED, ROUTER, Kind, Row, row_of
from pytest_netbench.scenario.model import Connection, Scenario

OURS = 32
"""Characters of our own ids."""

_P256 = ((1, 2, 840, 10045, 2, 1), (1, 2, 840, 10045, 3, 1, 7))
_DURATIONS = {"amount_ms", "timeout_ms", "period_ms"}


def real_id(scenario: Scenario) -> str:
    """The id that the real generator gives to these operations; certificates aren't part of it."""
    digest = hashlib.sha256(b"".join(_whole(scenario))).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=").replace("_", "-")


def own_id(scenario: Scenario) -> str:
    """An id of ours: lowercase letters and digits, since native-tls refuses names that begin with ``-``."""
    digest = hashlib.sha256(b"".join(_whole(scenario))).digest()
    return base64.b32encode(digest).decode().lower()[:OURS]


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "little")


def _text(text: str) -> bytes:
    return text.encode() + b"\xff"


def _list(parts: Sequence[Iterable[bytes]]) -> Iterable[bytes]:
    yield _u64(len(parts))
    for part in parts:
        yield from part


def _optional(number: int | None) -> bytes:
    return _u64(0) if number is None else _u64(1) + _u64(number)


def _map(table: Mapping[str, str]) -> Iterable[bytes]:
    return _list([(_text(key), _text(value)) for key, value in sorted(table.items())])


def _duration(milliseconds: int) -> bytes:
    seconds, rest = divmod(milliseconds, 1000)
    return _u64(seconds) + (rest * 1_000_000).to_bytes(4, "little")


def _whole(scenario: Scenario) -> Iterable[bytes]:
    yield _text("")
    yield from _list([
        (_text(one.name), *_operations(CLIENT, one.scenario), *_connections(one.connections), *_map(one.configuration),
         *_list([(_u64(index),) for index in one.certificate_authorities]))
        for one in scenario.clients
    ])  # fmt: skip
    yield from _list([
        (_text(one.name), *_connections(one.connections), *_map(one.configuration), _u64(one.private_key),
         _u64(one.certificate), _u64(one.certificate_authority))
        for one in scenario.servers
    ])  # fmt: skip
    yield from _list(
        [(_text(one.name), *_operations(ROUTER, one.scenario), *_map(one.configuration)) for one in scenario.routers]
    )
    yield from _list([(_text(name),) for name in scenario.traces])
    yield _u64(0)  # certificates: none yet when the generator hashes
    yield from _certificate_specs(with_server=bool(scenario.servers))


def _certificate_specs(*, with_server: bool) -> Iterable[bytes]:
    """One authority, one key of it and its public part, all P-256: what the generator makes with the first server."""
    if not with_server:
        return [_u64(0)]
    algorithm = b"".join(_list([tuple(_list([(_u64(part),) for part in oid])) for oid in _P256]))
    return _list(
        [
            (_u64(0), algorithm),
            (_u64(1), algorithm, _u64(0), _u64(0)),
            (_u64(2),),
        ]
    )


def _connections(connections: Sequence[Connection]) -> Iterable[bytes]:
    return _list(
        [
            (*_operations(CONNECTION, one.ops), *_list([_operations(CONNECTION, each) for each in one.peer_streams]))
            for one in connections
        ]
    )


def _operations(table: Mapping[str, Row], operations: Sequence[object]) -> Iterable[bytes]:
    return _list([_operation(table, one) for one in operations])


def _operation(table: Mapping[str, Row], operation: object) -> Iterable[bytes]:
    row = row_of(table, operation)
    yield _u64(list(table).index(row.word))
    for name, kind in row.fields.items():
        value = getattr(operation, name)
        if kind not in {Kind.FLAG, Kind.EXTRA}:
            yield from _field(table, name, kind, value)
        elif value:
            yield _text(name) + _u64(value)


def _field(  # noqa: PLR0911  one answer a kind
    table: Mapping[str, Row],
    name: str,
    kind: Kind,
    value: Any,  # noqa: ANN401
) -> Iterable[bytes]:
    match kind:
        case Kind.OPS:
            return _operations(table, value)
        case Kind.THREADS:
            return _list([_operations(table, one) for one in value])
        case Kind.REPEAT | Kind.ARRIVALS:
            return _operation(NESTED[kind][0], value)
        case Kind.OPTIONAL:
            return (_optional(value),)
        case Kind.BOOL:
            return (bytes([value]),)
        case Kind.U32:
            return (value.to_bytes(4, "little"),)
        case Kind.U16:
            return (value.to_bytes(2, "little"),)
        case _:
            return (_duration(value) if name in _DURATIONS else _u64(value),)
