"""Does what extends netbench's language make sense? Each rule that no single field shows, with the element's path.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_netbench.errors import ScenarioError
from pytest_netbench.scenario.extensions import Repeat
from pytest_netbench.scenario.model import (
    ClientSleep,
    Connect,
    Connection,
    Count,
    OpenBidirectionalStream,
    OpenSendStream,
    Scenario,
    Scope,
    Sleep,
)
from pytest_netbench.scenario.walk import dials, endpoint_programs, fresh, opens_afresh, programs, walk


def check_extensions(scenario: Scenario) -> None:
    """Refuse what would spin, wait for ever or mean nothing.

    :raises ScenarioError: names the element, and what was expected there.
    """
    for number, client in enumerate(scenario.clients):
        start, seen = f"clients[{number}].scenario", set[Connect]()
        for one, path in walk(client.scenario, start):
            if isinstance(one, Repeat):
                _check_repeat(one, f"{path}.repeat")
            elif isinstance(one, Connect) and one not in seen:
                seen.add(one)
                server = scenario.servers[one.server_id]
                near, far = client.connections[one.client_connection_id], server.connections[one.server_connection_id]
                _check_numbers(near, far, f"clients[{number}].connections[{one.client_connection_id}]")
                _check_numbers(far, near, f"servers[{one.server_id}].connections[{one.server_connection_id}]")
        _check_sessions(client.scenario, start)
        _check_holds(client.connections, f"clients[{number}]", [often for _, often in dials(client.scenario)])
    for number, server in enumerate(scenario.servers):
        there = [many for one in scenario.clients for dial, many in dials(one.scenario) if dial.server_id == number]
        _check_holds(server.connections, f"servers[{number}]", there)
    for operations, start in programs(scenario):
        for one, path in walk(operations, start):
            if isinstance(one, Scope):
                _check_threads(one, f"{path}.scope")


def _check_repeat(one: Repeat, path: str) -> None:
    if one.value == Count(0):
        raise ScenarioError(f"{path}.value.count.amount: expected 1 or more, found 0")
    if not any(isinstance(each, Connect | ClientSleep) for each, _ in walk(one.operations, "")):
        raise ScenarioError(f"{path}.operations: expected a connect or a sleep in it: nothing else takes time")


def _check_sessions(operations: Sequence[Any], start: str) -> None:
    """Early data needs a session to go on with, and that an earlier connection to the same server."""
    known: set[int] = set()
    for one, path in walk(tuple(operations), start):
        if isinstance(one, Connect):
            if one.early_data and not one.resume:
                raise ScenarioError(f"{path}.connect.early_data: needs a session: expected 'resume' to be true, too")
            if one.resume and one.server_id not in known:
                raise ScenarioError(
                    f"{path}.connect.resume: the first connection to server {one.server_id} has no session to resume"
                )
            known.add(one.server_id)


def _check_holds(connections: Sequence[Connection], endpoint: str, dialled: Sequence[int | None]) -> None:
    """So many connections must be possible on that endpoint, or those that are there wait for ever."""
    known = [one for one in dialled if one is not None]
    if len(known) < len(dialled):
        return
    most = sum(known)
    for operations, start in endpoint_programs(connections, endpoint):
        for one, path in walk(operations, start):
            if isinstance(one, Sleep) and one.hold is not None and one.hold > most:
                raise ScenarioError(
                    f"{path}.sleep.hold: expected at most {most}, the connections that there are, found {one.hold}"
                )


def _check_numbers(connection: Connection, peer: Connection, path: str) -> None:
    """The other end chooses the program of a stream by its number, and of a fresh one among those that there are."""
    if opens_afresh(connection.ops):
        for one, here in walk(connection.ops, f"{path}.ops"):
            if isinstance(one, OpenBidirectionalStream | OpenSendStream) and one.stream_id >= len(peer.peer_streams):
                raise ScenarioError(
                    f"{here}: stream {one.stream_id} has no program at the other end, which has "
                    f"{len(peer.peer_streams)}: expected a number below that"
                )


def _check_threads(scope: Scope, path: str) -> None:
    """Two threads beside each other can't have a stream each under one number."""
    opened: set[tuple[type, int]] = set()
    for number, thread in enumerate(scope.threads):
        mine = {(type(one), one.stream_id) for one, _ in walk(thread, "") if fresh(one)}
        if both := mine & opened:
            ((_, stream), *_) = sorted(both, key=lambda one: one[1])
            raise ScenarioError(f"{path}.threads[{number}]: stream {stream} is opened afresh by another thread, too")
        opened |= mine
