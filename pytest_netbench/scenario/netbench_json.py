"""How does netbench's JSON become a scenario, and a scenario JSON? Strictly, and without loss.

Fields that the format doesn't know are passed over, as the real parser does; what extends it must stand in
``requires``. This file runs on hosts: standard library only.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pytest_netbench.errors import ScenarioError, nearest
from pytest_netbench.scenario.extension_rules import check_extensions
from pytest_netbench.scenario.features import check_requires, used
from pytest_netbench.scenario.language import CLIENT, CONNECTION, NESTED, ROUTER, Kind, Row, row_of
from pytest_netbench.scenario.model import Certificate, Client, Connection, Router, Scenario, Server
from pytest_netbench.scenario.references import check_references

LIMIT = 64 << 20
"""Bytes of a scenario file, unless somebody allows more."""
MAX_DEPTH = 127
"""Levels of nesting: the real parser refuses more."""

T = TypeVar("T")
Path_ = tuple[str | int, ...]


# --- reading -----------------------------------------------------------------------------------


def read(path: str | PathLike[str], limit: int = LIMIT) -> Scenario:
    """Read a file; its name becomes the scenario's title.

    :raises ScenarioError: if it can't be read, is larger than ``limit`` bytes, or is malformed; names file and element.
    """
    place = Path(path)
    try:
        with place.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ScenarioError(f"{place}: can't be read: {error.strerror}") from error
    if len(data) > limit:
        raise ScenarioError(f"{place}: larger than {limit} bytes; NETBENCH_SCENARIO_LIMIT allows more")
    try:
        return replace(parse(data), title=place.stem)
    except ScenarioError as error:
        raise ScenarioError(f"{place}: {error}") from error


def parse(text: str | bytes) -> Scenario:
    """A scenario from JSON.

    :raises ScenarioError: names the path of the element, what was expected and what was found.
    """
    try:
        whole = json.loads(text, parse_constant=_constant, object_pairs_hook=_pairs)
    except RecursionError:
        raise ScenarioError(f"nested deeper than {MAX_DEPTH} levels") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(f"isn't UTF-8: {error}") from error
    except ValueError as error:
        raise ScenarioError(f"isn't JSON: {error}") from error
    scenario = _scenario(whole)
    check_references(scenario)
    extensions = used(scenario)
    if extensions:
        check_extensions(scenario)
    check_requires(extensions, _list(whole.get("requires", []), ("requires",), _text))
    return scenario


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} isn't a number")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"field {twice!r} stands twice in one object")
    return made


def _fail(path: Path_, expected: str, found: object) -> NoReturn:
    shown = repr(found) if not isinstance(found, dict | list) else "a list" if isinstance(found, list) else "an object"
    raise ScenarioError(f"{spell(path)}: expected {expected}, found {shown[:80]}")


def spell(path: Path_) -> str:
    """A path as people write it: ``clients[0].scenario[3].connect``."""
    return "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path).lstrip(".") or "the scenario"


def _object(value: object, path: Path_) -> dict[str, Any]:
    if not isinstance(value, dict):
        _fail(path, "an object", value)
    return value


def _list(value: object, path: Path_, each: Callable[[Any, Path_], T]) -> tuple[T, ...]:
    if not isinstance(value, list):
        _fail(path, "a list", value)
    if len(path) > MAX_DEPTH:
        raise ScenarioError(f"nested deeper than {MAX_DEPTH} levels, at {spell(path)[:200]}")
    return tuple(each(one, (*path, index)) for index, one in enumerate(value))


def _text(value: object, path: Path_) -> str:
    if not isinstance(value, str):
        _fail(path, "a text", value)
    return value


def _number(value: object, path: Path_, most: int = Kind.U64.value, least: int = 0) -> int:
    if type(value) is not int or not least <= value <= most:
        _fail(path, f"an integer of {least} to {most}", value)
    return value


def _field(owner: dict[str, Any], name: str, path: Path_) -> Any:  # noqa: ANN401  JSON
    if name not in owner:
        raise ScenarioError(f"{spell(path)}: field {name!r} is missing")
    return owner[name]


def _texts(value: object, path: Path_) -> dict[str, str]:
    return {name: _text(one, (*path, name)) for name, one in _object(value, path).items()}


def _scenario(value: object) -> Scenario:
    whole = _object(value, ())

    def many(name: str, each: Callable[[Any, Path_], T], *, required: bool = False) -> tuple[T, ...]:
        return _list(_field(whole, name, ()) if required else whole.get(name, []), (name,), each)

    return Scenario(
        id=_text(_field(whole, "id", ()), ("id",)),
        clients=many("clients", _client, required=True),
        servers=many("servers", _server, required=True),
        routers=many("routers", _router),
        traces=many("traces", _text),
        certificates=many("certificates", _certificate),
    )


def _client(value: object, path: Path_) -> Client:
    one = _object(value, path)
    return Client(
        name=_text(one.get("name", ""), (*path, "name")),
        scenario=_operations(CLIENT)(_field(one, "scenario", path), (*path, "scenario")),
        connections=_list(_field(one, "connections", path), (*path, "connections"), _connection),
        configuration=_texts(one.get("configuration", {}), (*path, "configuration")),
        certificate_authorities=_list(
            one.get("certificate_authorities", []), (*path, "certificate_authorities"), _number
        ),
    )


def _server(value: object, path: Path_) -> Server:
    one = _object(value, path)
    keys = ("private_key", "certificate", "certificate_authority")
    return Server(
        name=_text(one.get("name", ""), (*path, "name")),
        connections=_list(_field(one, "connections", path), (*path, "connections"), _connection),
        configuration=_texts(one.get("configuration", {}), (*path, "configuration")),
        **{key: _number(_field(one, key, path), (*path, key)) for key in keys},
    )


def _router(value: object, path: Path_) -> Router:
    one = _object(value, path)
    return Router(
        name=_text(one.get("name", ""), (*path, "name")),
        scenario=_operations(ROUTER)(_field(one, "scenario", path), (*path, "scenario")),
        configuration=_texts(one.get("configuration", {}), (*path, "configuration")),
    )


def _certificate(value: object, path: Path_) -> Certificate:
    one = _object(value, path)
    packed = _text(one.get("pkcs12", ""), (*path, "pkcs12"))
    try:
        pkcs12 = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        _fail((*path, "pkcs12"), "base64 with padding", packed)
    return Certificate(_text(one.get("pem", ""), (*path, "pem")), pkcs12)


def _connection(value: object, path: Path_) -> Connection:
    one, operations = _object(value, path), _operations(CONNECTION)
    return Connection(
        ops=operations(one.get("ops", []), (*path, "ops")),
        peer_streams=_list(one.get("peer_streams", []), (*path, "peer_streams"), operations),
    )


def _operations(table: Mapping[str, Row]) -> Callable[[object, Path_], tuple[Any, ...]]:
    def operations(value: object, path: Path_) -> tuple[Any, ...]:
        return _list(value, path, operation)

    def operation(value: object, path: Path_) -> Any:  # noqa: ANN401  any row's class
        return _tagged(table, value, path, "operation")

    return operations


def _tagged(table: Mapping[str, Row], value: object, path: Path_, what: str) -> Any:  # noqa: ANN401  any row's class
    if not isinstance(value, dict) or len(value) != 1:
        _fail(path, f"an object with the one name of the {what}", value)
    ((word, fields),) = value.items()
    row = table.get(word)
    if row is None:
        raise ScenarioError(f"{spell(path)}: unknown {what} {word!r}: {nearest(word, table)}")
    here = (*path, word)
    given = _object(fields, here)
    values = {name: _value(kind, given, name, here, table) for name, kind in row.fields.items()}
    return _shared(row.kind(**row.preset, **values))


@lru_cache(maxsize=1024)
def _shared(one: T) -> T:
    """Equal operations are one object: a scope of ten thousand equal dials is large enough without."""
    return one


_ABSENT: Mapping[Kind, object] = {Kind.OPTIONAL: None, Kind.EXTRA: None, Kind.FLAG: False}
"""What a field is that isn't there, where it need not be."""
_LEAST: Mapping[Kind, int] = {Kind.POSITIVE: 1, Kind.EXTRA: 1}


def _value(kind: Kind, owner: dict[str, Any], name: str, path: Path_, table: Mapping[str, Row]) -> Any:  # noqa: ANN401
    here = (*path, name)
    if kind in _ABSENT and owner.get(name) is None:
        return _ABSENT[kind]
    value = _field(owner, name, path)
    if kind is Kind.OPS:
        return _operations(table)(value, here)
    if kind is Kind.THREADS:
        return _list(value, here, _operations(table))
    if kind in NESTED:
        return _tagged(NESTED[kind][0], value, here, NESTED[kind][1])
    if kind in {Kind.BOOL, Kind.FLAG}:
        if not isinstance(value, bool):
            _fail(here, "true or false", value)
        return value
    return _number(value, here, kind.value if isinstance(kind.value, int) else Kind.U64.value, _LEAST.get(kind, 0))


# --- writing -----------------------------------------------------------------------------------


def write(scenario: Scenario, path: str | PathLike[str]) -> None:
    """Write a file.

    :raises ScenarioError: if it can't be written; names it.
    """
    try:
        Path(path).write_text(render(scenario), encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"{path}: can't be written: {error.strerror}") from error


def render(scenario: Scenario) -> str:
    """The JSON as the real tools write it: compact, fields in their order, empty ones left out, no newline."""
    whole: dict[str, Any] = {"id": scenario.id, **_given(requires=scenario.requires)}
    whole["clients"] = [_client_out(one) for one in scenario.clients]
    whole["servers"] = [_server_out(one) for one in scenario.servers]
    whole |= _given(
        routers=[_router_out(one) for one in scenario.routers],
        traces=list(scenario.traces),
        certificates=[_certificate_out(one) for one in scenario.certificates],
    )
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def _given(**fields: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
    return {name: value for name, value in fields.items() if value}


def _client_out(one: Client) -> dict[str, Any]:
    return {
        **_given(name=one.name),
        "scenario": _operations_out(CLIENT, one.scenario),
        "connections": [_connection_out(each) for each in one.connections],
        **_given(configuration=dict(one.configuration), certificate_authorities=list(one.certificate_authorities)),
    }


def _server_out(one: Server) -> dict[str, Any]:
    return {
        **_given(name=one.name),
        "connections": [_connection_out(each) for each in one.connections],
        **_given(configuration=dict(one.configuration)),
        "private_key": one.private_key,
        "certificate": one.certificate,
        "certificate_authority": one.certificate_authority,
    }


def _router_out(one: Router) -> dict[str, Any]:
    operations = _operations_out(ROUTER, one.scenario)
    return {**_given(name=one.name), "scenario": operations, **_given(configuration=dict(one.configuration))}


def _certificate_out(one: Certificate) -> dict[str, Any]:
    return _given(pem=one.pem, pkcs12=base64.b64encode(one.pkcs12).decode())


def _connection_out(one: Connection) -> dict[str, Any]:
    return _given(
        ops=_operations_out(CONNECTION, one.ops),
        peer_streams=[_operations_out(CONNECTION, each) for each in one.peer_streams],
    )


def _operations_out(table: Mapping[str, Row], operations: Iterable[object]) -> list[Any]:
    return [_operation_out(table, one) for one in operations]


def _operation_out(table: Mapping[str, Row], operation: object) -> dict[str, Any]:
    row = row_of(table, operation)
    fields: dict[str, Any] = {}
    for name, kind in row.fields.items():
        value = getattr(operation, name)
        if kind is Kind.OPS:
            value = _operations_out(table, value)
        elif kind is Kind.THREADS:
            value = [_operations_out(table, one) for one in value]
        elif kind in NESTED:
            value = _operation_out(NESTED[kind][0], value)
        if value is not None and not (kind is Kind.FLAG and not value):
            fields[name] = value
    return {row.word: fields}
