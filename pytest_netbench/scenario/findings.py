"""At what are the real drivers known to fail? Each fault of theirs that a scenario would meet, with its place.

The faults were seen by running the drivers of version 0.1.0. This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_netbench.scenario.model import (
    ConnectionOp,
    Count,
    Iterate,
    OpenSendStream,
    Profile,
    Receive,
    ReceiveAll,
    ReceiveRate,
    Scenario,
    Scope,
    Send,
    SendRate,
    Sleep,
)
from pytest_netbench.scenario.walk import connects, opened, programs, walk

TCP, NATIVE_TLS, S2N_TLS, QUIC = "s2n-tcp", "s2n-native-tls", "s2n-tls", "s2n-quic"
OVER_TCP = frozenset({TCP, NATIVE_TLS, S2N_TLS})
ALL = OVER_TCP | {QUIC}
MOST_STREAMS = 200
"""Streams of one connection after which the real multiplexer never opens another."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault that a scenario meets: the drivers that it breaks, the element's path, and what happens."""

    breaks: frozenset[str]
    path: str
    why: str


def find(scenario: Scenario, streams: int) -> Iterator[Finding]:
    """Every fault that a scenario meets; ``streams`` is the most that any of its connections has."""
    duplex = streams <= 1
    if scenario.id.startswith("-"):
        yield Finding(frozenset({NATIVE_TLS}), "id", "an id that begins with '-' fails its check of host names")
    if streams > MOST_STREAMS:
        yield Finding(OVER_TCP, "clients", f"{streams} streams on a connection: after {MOST_STREAMS} it opens no more")
    for operations, path in programs(scenario):
        for rule in (_zero_send, _count_zero, _send_streams):
            for one, here in walk(operations, path):
                yield from rule(one, here, duplex=duplex)
        yield from _ends_in_rate(operations, path)
        if duplex:
            yield from _duplex(operations, path)
        if path.startswith("clients"):
            yield from _outlives_server(operations, path)
    yield from _unopened(scenario)


def _zero_send(one: ConnectionOp, path: str, *, duplex: bool) -> Iterator[Finding]:
    if isinstance(one, Send) and one.bytes == 0:
        broken = frozenset({QUIC}) if duplex else ALL
        yield Finding(broken, f"{path}.send", "sending 0 bytes blocks for ever")


def _count_zero(one: ConnectionOp, path: str, *, duplex: bool) -> Iterator[Finding]:  # noqa: ARG001  a rule's form
    if isinstance(one, Iterate) and one.value == Count(0):
        yield Finding(ALL, f"{path}.iterate", "a count of 0 runs the body once")


def _send_streams(one: ConnectionOp, path: str, *, duplex: bool) -> Iterator[Finding]:  # noqa: ARG001  a rule's form
    if isinstance(one, OpenSendStream):
        yield Finding(OVER_TCP, f"{path}.open_send_stream", "a stream that its opener finishes at once may be lost")


def _ends_in_rate(operations: tuple[ConnectionOp, ...], path: str) -> Iterator[Finding]:
    rated = {type(one) for one, _ in walk(operations, path) if isinstance(one, SendRate | ReceiveRate)}
    last = operations[-1] if operations else None
    while isinstance(last, Profile | Iterate) and last.operations:
        last = last.operations[-1]
    if (isinstance(last, Send) and SendRate in rated) or (isinstance(last, Receive) and ReceiveRate in rated):
        yield Finding(ALL, path, "ends in a transfer with a rate, whose timer then keeps the connection open for ever")


def _duplex(operations: tuple[ConnectionOp, ...], path: str) -> Iterator[Finding]:
    flat = [(one, here) for one, here in walk(operations, path) if isinstance(one, _TRANSFERS)]
    if path.startswith("clients") and flat and isinstance(flat[0][0], Receive | ReceiveAll):
        why = "the client receives first, but its connection id waits in a buffer until it sends: neither goes on"
        yield Finding(frozenset({TCP, NATIVE_TLS}), flat[0][1], why)
    for index, (one, here) in enumerate(flat):
        if isinstance(one, ReceiveRate):
            yield Finding(OVER_TCP, f"{here}.receive_rate", "a rate of receiving is silently not kept")
        if isinstance(one, ReceiveAll) and any(isinstance(later, Send) for later, _ in flat[index:]):
            yield Finding(
                OVER_TCP, f"{here}.receive_all", "waits for an end that only closing gives, and sends after it"
            )
    yield from _receives_in_a_row(operations, path)


_TRANSFERS = (Send, Receive, ReceiveAll, ReceiveRate)


def _receives_in_a_row(operations: tuple[ConnectionOp, ...], path: str) -> Iterator[Finding]:
    """Its reader takes up to 100,000 bytes a call and counts them all for the receive that it is in."""
    why = "the first of two receives in a row takes what belongs to the second, which then waits for the end"
    before = False
    for one, here in walk(operations, path):
        if isinstance(one, Send):
            before = False
        elif isinstance(one, Receive):
            if before or _repeats_alone(operations, one):
                yield Finding(OVER_TCP, f"{here}.receive", why)
                return
            before = True


def _repeats_alone(operations: tuple[ConnectionOp, ...], wanted: Receive) -> bool:
    """Whether a receive is repeated by an iterate in which nothing is sent."""
    for one in operations:
        if isinstance(one, Iterate):
            inside = [each for each, _ in walk(one.operations, "")]
            if any(each is wanted for each in inside) and not any(isinstance(each, Send) for each in inside):
                return True
        if isinstance(one, Profile | Iterate) and _repeats_alone(one.operations, wanted):
            return True
        if isinstance(one, Scope) and any(_repeats_alone(thread, wanted) for thread in one.threads):
            return True
    return False


def _outlives_server(operations: tuple[ConnectionOp, ...], path: str) -> Iterator[Finding]:
    why = "the server may close before the client's last operation, and its client then never exits"
    slow: ConnectionOp | None = None
    for one, here in walk(operations, path):
        if isinstance(one, ReceiveRate):
            yield Finding(frozenset({QUIC}), f"{here}.receive_rate", why)
            return
        if isinstance(one, Send | Receive | ReceiveAll):
            slow = None
        elif isinstance(one, Sleep):
            slow = one
    if slow is not None:
        yield Finding(frozenset({QUIC}), path, why)


def _unopened(scenario: Scenario) -> Iterator[Finding]:
    """A program for a stream of the peer that the peer never opens."""
    for number, client in enumerate(scenario.clients):
        for one in dict.fromkeys(connects(client.scenario)):
            near = client.connections[one.client_connection_id]
            far = scenario.servers[one.server_id].connections[one.server_connection_id]
            sides = ((near, far, f"clients[{number}].connections[{one.client_connection_id}]"),
                     (far, near, f"servers[{one.server_id}].connections[{one.server_connection_id}]"))  # fmt: skip
            for mine, peer, path in sides:
                if len(mine.peer_streams) > opened(peer.ops):
                    yield Finding(ALL, f"{path}.peer_streams", "has programs for streams that the peer never opens")
                    return
