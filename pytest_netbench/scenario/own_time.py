"""How much of its time does a scenario ask for itself, by rates and pauses, however fast the network is? Pure.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from pytest_netbench.scenario.extensions import Repeat, Schedule, SendDatagram
from pytest_netbench.scenario.model import (
    Client,
    ClientScope,
    ClientSleep,
    Connect,
    Iterate,
    Profile,
    Receive,
    ReceiveAll,
    ReceiveRate,
    Scenario,
    Scope,
    Send,
    SendRate,
    Sleep,
    Time,
)
from pytest_netbench.scenario.walk import times


@dataclass(frozen=True, slots=True)
class _Span:
    """What operations take at least, in milliseconds.

    ``before`` their first payload, ``within``, from there to their last, and ``after`` it; without payload, which is
    what ``moves`` tells, all is ``before``.
    """

    moves: bool = False
    before: int = 0
    within: int = 0
    after: int = 0

    def then(self, other: _Span) -> _Span:
        """These, then those."""
        if not other.moves:
            if self.moves:
                return replace(self, after=self.after + other.before)
            return _Span(before=self.before + other.before)
        if not self.moves:
            return replace(other, before=self.before + other.before)
        return _Span(True, self.before, self.within + self.after + other.before + other.within, other.after)  # noqa: FBT003

    def again(self, often: int) -> _Span:
        """The same so many times."""
        if not self.moves:
            return _Span(before=often * self.before)
        between = self.after + self.before
        return replace(self, within=often * self.within + (often - 1) * between)


_MOVED = _Span(moves=True)


def own_time(scenario: Scenario) -> float:
    """Seconds from the first payload to the last that rates and pauses take at least.

    Where a time decides how often something is done, what that takes isn't counted: more is done if it goes faster.
    """
    return _beside(_Dials(scenario, one).of(one.scenario) for one in scenario.clients).within / 1000


def _in_turn(spans: Iterable[_Span]) -> _Span:
    return reduce(_Span.then, spans, _Span())


def _beside(spans: Iterable[_Span]) -> _Span:
    """Several at once: whichever takes longest, and what all of them wait for before and after."""
    every = list(spans)
    moving = [one for one in every if one.moves]
    if not moving:
        return _Span(before=max((one.before for one in every), default=0))
    return _Span(
        moves=True,
        before=min(one.before for one in moving),
        within=max(one.within for one in moving),
        after=min(one.after for one in moving),
    )


def _arrivals(one: Schedule) -> _Span:
    """From the first intended instant to the last, on average."""
    return replace(_MOVED, within=(one.count - 1) * one.arrivals.period_ms // one.arrivals.amount)


class _Dials:
    """The operations of a client; equal dials are looked at once."""

    def __init__(self, scenario: Scenario, client: Client) -> None:
        self._scenario, self._client = scenario, client
        self._known: dict[Connect, _Span] = {}

    def of(self, operations: Sequence[Any]) -> _Span:
        """These, one after another."""
        return _in_turn(map(self._one, operations))

    def _one(self, one: Any) -> _Span:  # noqa: ANN401  any operation of a client
        match one:
            case ClientSleep(timeout):
                return _Span(before=timeout)
            case Connect():
                if one not in self._known:
                    self._known[one] = self._connection(one)
                return self._known[one]
            case ClientScope(threads):
                return _beside(map(self.of, threads))
            case Repeat(value, operations):
                return _MOVED if isinstance(value, Time) else self.of(operations).again(times(one))
            case Schedule():
                return _arrivals(one)
        return _Span()

    def _connection(self, one: Connect) -> _Span:
        near = self._client.connections[one.client_connection_id]
        far = self._scenario.servers[one.server_id].connections[one.server_connection_id]
        return _beside(_program(ops, {}) for end in (near, far) for ops in (end.ops, *end.peer_streams))


_Rates = dict[tuple[type, int], tuple[int, int]]


def _program(operations: Sequence[Any], rates: _Rates) -> _Span:
    return _in_turn(_operation(one, rates) for one in operations)


def _operation(one: Any, rates: _Rates) -> _Span:  # noqa: ANN401  any operation of a connection
    match one:
        case Sleep(amount):
            return _Span(before=amount)
        case SendRate() | ReceiveRate():
            rates[_PACED[type(one)], one.stream_id] = (one.bytes, one.period_ms)
        case Send() | Receive():
            size, period = rates.get((type(one), one.stream_id), (0, 0))
            return _Span(moves=one.bytes > 0, within=max(one.bytes - 1, 0) // size * period if size else 0)
        case ReceiveAll() | SendDatagram():
            return _MOVED
        case Profile() | Iterate() | Schedule() | Scope():
            return _body(one, rates)
    return _Span()


_PACED: dict[type, type] = {SendRate: Send, ReceiveRate: Receive}


def _body(one: Profile | Iterate | Schedule | Scope, rates: _Rates) -> _Span:
    if isinstance(one, Scope):
        return _beside([_program(thread, rates) for thread in one.threads])
    if isinstance(one, Schedule):
        return _arrivals(one)
    once = _program(one.operations, rates)
    if isinstance(one, Iterate) and isinstance(one.value, Time):
        return _MOVED if once.moves else _Span()
    return once.again(times(one))
