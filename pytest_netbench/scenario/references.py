"""Does every number in a scenario that names something name something that is there?

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from typing import Any

from pytest_netbench.errors import ScenarioError
from pytest_netbench.scenario.extensions import Repeat, Schedule
from pytest_netbench.scenario.model import Client, Connect, Iterate, Profile, Scenario, Trace
from pytest_netbench.scenario.walk import programs, walk


def check_references(scenario: Scenario) -> None:
    """Refuse a scenario that names what isn't there: real drivers panic on it in the middle of a run.

    :raises ScenarioError: names the element and the range.
    """
    for number, client in enumerate(scenario.clients):
        for one, path in walk(client.scenario, f"clients[{number}].scenario"):
            if isinstance(one, Connect):
                _check_connect(scenario, client, one, f"{path}.connect")
            _check_trace(scenario, one, path)
        for index, authority in enumerate(client.certificate_authorities):
            _certificate(scenario, authority, f"clients[{number}].certificate_authorities[{index}]")
    for operations, start in programs(scenario):
        for one, path in walk(operations, start):
            _check_trace(scenario, one, path)
    for number, server in enumerate(scenario.servers):
        for name in ("private_key", "certificate", "certificate_authority"):
            _certificate(scenario, getattr(server, name), f"servers[{number}].{name}")


def _check_connect(scenario: Scenario, client: Client, one: Connect, path: str) -> None:
    _within(one.server_id, len(scenario.servers), "servers", f"{path}.server_id")
    server = scenario.servers[one.server_id]
    _within(
        one.server_connection_id, len(server.connections), "connections of that server", f"{path}.server_connection_id"
    )
    _within(
        one.client_connection_id, len(client.connections), "connections of this client", f"{path}.client_connection_id"
    )
    if one.router_id is not None:
        _within(one.router_id, len(scenario.routers), "routers", f"{path}.router_id")


def _check_trace(scenario: Scenario, one: Any, path: str) -> None:  # noqa: ANN401  any operation
    if isinstance(one, Trace | Profile | Iterate | Repeat | Schedule) and one.trace_id is not None:
        _within(one.trace_id, len(scenario.traces), "traces", f"{path}.{type(one).__name__.lower()}.trace_id")


def _certificate(scenario: Scenario, index: int, path: str) -> None:
    if scenario.certificates:  # drivers without TLS need none, and their files may have none
        _within(index, len(scenario.certificates), "certificates", path)


def _within(index: int, count: int, what: str, path: str) -> None:
    if index >= count:
        raise ScenarioError(f"{path}: there are {count} {what}, so expected less than {count}, found {index}")
