"""How is a scenario said in plain netbench? Repetitions are written out: connects one by one, streams one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pytest_netbench.errors import ScenarioError, UsageError
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.extensions import Repeat
from pytest_netbench.scenario.features import Feature, used
from pytest_netbench.scenario.identity import own_id
from pytest_netbench.scenario.walk import inside, opens_afresh, walk

MOST = 1_000_000
"""Operations of a scenario that was written out."""

_CANNOT = {
    Feature.SCHEDULE: "there, nothing begins before what comes before it has ended",
    Feature.RESUMPTION: "there, every connection is a full handshake",
    Feature.EARLY_DATA: "there, nothing is sent before the handshake has ended",
    Feature.DATAGRAMS: "there, everything is sent on streams",
}


def lower(scenario: m.Scenario, times: int) -> m.Scenario:
    """The scenario in plain netbench; what a time decides is repeated ``times`` times, what a count decides as often.

    A hold becomes a plain sleep. The id is a new one, and certificates, which name the id, are left out. A scenario
    that is plain already stays as it is.

    :raises ScenarioError: if it can't be said: names the element and why.
    :raises UsageError: if ``times`` is below 1, or makes more than a million operations.
    """
    if times < 1:
        raise UsageError(f"lower: expected 1 repetition or more, found {times}")
    found = used(scenario)
    for feature, why in _CANNOT.items():
        if feature in found:
            raise ScenarioError(f"{found[feature]}: {feature.word} can't be said in plain netbench: {why}")
    if not found:
        return scenario
    made = _Lowering(scenario, times).scenario()
    return replace(made, id=own_id(made))


class _Lowering:
    """One scenario that is being written out; ``left``: how many operations it may still get."""

    def __init__(self, scenario: m.Scenario, times: int) -> None:
        self._scenario = scenario
        self._times = times
        self._left = MOST
        self._served: list[dict[m.Connection, int]] = [{} for _ in scenario.servers]
        self._dialled: dict[m.Connection, int] = {}

    def scenario(self) -> m.Scenario:
        clients = tuple(self._client(number, one) for number, one in enumerate(self._scenario.clients))
        servers = tuple(
            replace(server, connections=tuple(served))
            for server, served in zip(self._scenario.servers, self._served, strict=True)
        )
        return replace(self._scenario, clients=clients, servers=servers, certificates=())

    def _client(self, number: int, client: m.Client) -> m.Client:
        self._dialled = {}
        ends: dict[m.Connect, m.Connect] = {}
        for one, path in walk(client.scenario, f"clients[{number}].scenario"):
            if isinstance(one, m.Connect) and one not in ends:
                ends[one] = self._connect(client, one)
            elif isinstance(one, Repeat) and one.trace_id is not None:
                where = f"{path}.repeat.trace_id"
                raise ScenarioError(f"{where}: can't be said in plain netbench: there, a client times only its dials")
        operations = tuple(self._client_operations(client.scenario, ends))
        return replace(client, scenario=operations, connections=tuple(self._dialled))

    def _client_operations(self, operations: Sequence[Any], ends: dict[m.Connect, m.Connect]) -> Iterator[Any]:
        for one in operations:
            if isinstance(one, Repeat):
                body = tuple(self._client_operations(one.operations, ends))
                times = self._often(one.value)
                self._take(times * len(body))
                yield from body * times
            elif isinstance(one, m.ClientScope):
                yield m.ClientScope(tuple(tuple(self._client_operations(each, ends)) for each in one.threads))
            else:
                yield ends[one] if isinstance(one, m.Connect) else one

    def _connect(self, client: m.Client, one: m.Connect) -> m.Connect:
        """The same dial, of the same two programs written out."""
        near = client.connections[one.client_connection_id]
        far = self._scenario.servers[one.server_id].connections[one.server_connection_id]
        ours, theirs = _Streams(self, near.ops, far.peer_streams), _Streams(self, far.ops, near.peer_streams)
        near, far = m.Connection(ours.ops, theirs.peer_streams), m.Connection(theirs.ops, ours.peer_streams)
        served = self._served[one.server_id]
        return replace(
            one,
            server_connection_id=served.setdefault(far, len(served)),
            client_connection_id=self._dialled.setdefault(near, len(self._dialled)),
        )

    def _often(self, value: m.Time | m.Count) -> int:
        return value.amount if isinstance(value, m.Count) else self._times

    def _take(self, operations: int) -> None:
        self._left -= operations
        if self._left < 0:
            raise UsageError(f"lower: {self._times} repetitions make more than {MOST:,} operations: ask for fewer")

    def repetitions(self, one: m.Iterate) -> int:
        """How often a body that opens streams afresh is written out."""
        times = max(self._often(one.value), 1)
        self._take(times * sum(1 for _ in walk(one.operations, "")))
        return times


class _Streams:
    """The streams that one end opens: where any is opened afresh, each opening gets a number of its own.

    ``ops``: what that end does; ``peer_streams``: what the other does on each stream, those that nobody opens last.
    """

    def __init__(
        self, lowering: _Lowering, ops: tuple[m.ConnectionOp, ...], programs: tuple[tuple[m.ConnectionOp, ...], ...]
    ) -> None:
        self._lowering = lowering
        self._opened: list[int] = []
        self._now: dict[int, int] = {}
        self._numbers = opens_afresh(ops)
        self.ops = self.written(ops)
        others = sorted(set(range(len(programs))) - set(self._opened))
        numbers = enumerate((*self._opened, *others))
        self.peer_streams = tuple(tuple(_named(programs[old], new)) for new, old in numbers)

    def written(self, operations: Iterable[Any]) -> tuple[Any, ...]:
        """The operations of the opening end."""
        return tuple(made for one in operations for made in self._one(one))

    def _one(self, one: Any) -> Iterator[Any]:  # noqa: ANN401  any operation
        match one:
            case m.OpenBidirectionalStream() | m.OpenSendStream() if self._numbers:
                self._now[one.stream_id] = len(self._opened)
                self._opened.append(one.stream_id)
                yield replace(one, stream_id=self._now[one.stream_id], fresh=False)
            case m.Iterate() if opens_afresh(one.operations):
                for _ in range(self._lowering.repetitions(one)):
                    body = self.written(one.operations)
                    yield from body if one.trace_id is None else (m.Profile(one.trace_id, body),)
            case m.Scope():
                yield m.Scope(tuple(self.written(thread) for thread in one.threads))
            case m.Profile() | m.Iterate():
                yield replace(one, operations=self.written(one.operations))
            case m.Sleep():
                yield m.Sleep(one.amount_ms)
            case _:
                number = getattr(one, "stream_id", None)
                yield one if number is None else replace(one, stream_id=self._now.get(number, number))


def _named(operations: Iterable[Any], stream: int) -> Iterator[Any]:
    """A program for one stream, with that stream's new number."""
    for one in operations:
        if isinstance(one, m.Scope):
            yield m.Scope(tuple(tuple(_named(thread, stream)) for thread in one.threads))
        elif inside(one):
            yield replace(one, operations=tuple(_named(one.operations, stream)))
        elif isinstance(one, m.Sleep):
            yield m.Sleep(one.amount_ms)
        else:
            yield replace(one, stream_id=stream) if hasattr(one, "stream_id") else one
