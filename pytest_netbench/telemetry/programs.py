"""What does a scenario tell that a trace doesn't? Which streams a time cuts, which server a dial reached.

Pure: questions to the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_netbench.scenario.extensions import Repeat, Schedule
from pytest_netbench.scenario.model import (
    Client,
    ClientOp,
    ClientScope,
    Connect,
    Connection,
    Iterate,
    Profile,
    Scope,
    Time,
)
from pytest_netbench.scenario.walk import connects, opens_afresh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Stream: TypeAlias = tuple[int, bool]
"""A stream's number, and whether this endpoint opened it."""


def cut_streams(program: Connection) -> frozenset[Stream]:
    """The streams on which a timed ``iterate`` may end in the middle of a transfer."""
    own = ((one, True) for one in _cut(program.ops, timed=False))
    accepted = ((one, False) for ops in program.peer_streams for one in _cut(ops, timed=False))
    return frozenset((*own, *accepted))


def _cut(operations: Sequence[Any], *, timed: bool) -> Iterator[int]:
    for one in operations:
        if isinstance(one, Iterate):
            cuts = isinstance(one.value, Time) and not opens_afresh(one.operations)
            yield from _cut(one.operations, timed=timed or cuts)
        elif isinstance(one, Profile | Schedule):
            yield from _cut(one.operations, timed=timed)
        elif isinstance(one, Scope):
            for thread in one.threads:
                yield from _cut(thread, timed=timed)
        elif timed and (stream := getattr(one, "stream_id", None)) is not None:
            yield stream


def dialled(client: Client) -> Callable[[int, int], int | None]:
    """From the number of a dial, in the order of their beginnings, and its program to the server that it reached.

    None where the scenario leaves it to time: after a first wave of parallel dials, who comes next isn't known.
    """
    wave = [one.server_id for one in _certain(client.scenario)[0]]
    by_program: dict[int, set[int]] = {}
    for one in connects(client.scenario):
        by_program.setdefault(one.client_connection_id, set()).add(one.server_id)

    def server(number: int, program: int) -> int | None:
        if number < len(wave):
            return wave[number]
        candidates = by_program.get(program, set())
        return next(iter(candidates)) if len(candidates) == 1 else None

    return server


def _certain(operations: tuple[ClientOp, ...]) -> tuple[list[Connect], bool]:
    """The dials whose order is certain, and whether these are all."""
    found: list[Connect] = []
    for one in operations:
        if isinstance(one, Connect):
            found.append(one)
        elif isinstance(one, ClientScope):
            first, whole = _first_wave(one)
            found += first
            if not whole:
                return found, False
        elif isinstance(one, Repeat | Schedule):
            return found, False
    return found, True


def _first_wave(scope: ClientScope) -> tuple[list[Connect], bool]:
    """Threads are begun in their order: the first dial of each is certain, as long as nothing stands before it."""
    found: list[Connect] = []
    whole = True
    for thread in scope.threads:
        if not thread:
            continue
        if not isinstance(thread[0], Connect):
            return found, False
        found.append(thread[0])
        whole = whole and len(thread) == 1
    return found, whole
