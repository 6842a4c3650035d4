"""What is a protocol? Two tables, one a role, from state and trigger to the next state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Generic, TypeAlias, TypeVar


class State(Enum):
    """What a role's states may derive from, instead of ``Enum``: each member is its own and no other, and hashed so.

    ``Enum`` hashes a member's name, in Python; tables are looked up a dozen times for each message.
    """

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Peer:
    """The other side entered this state."""

    state: Enum


@dataclass(frozen=True, slots=True)
class Command:
    """The user asked for this."""

    name: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The action of the current state ended well."""


Trigger: TypeAlias = Peer | Command | Finished
S = TypeVar("S", bound=Enum)
C = TypeVar("C", bound=Enum)
W = TypeVar("W", bound=Enum)
Table: TypeAlias = Mapping[S, Mapping[Trigger, S]]


@dataclass(frozen=True)
class Role(Generic[S]):
    """One side.

    ``table``: its first row is the initial state, an empty row an end. ``failed``: entered from any state but the ends.
    ``acts``: states with an action, which runs while the state lasts; one without a row for ``Finished`` only watches.
    ``orders``: states whose announcement carries the coordinator's order, preceded by its files. ``instants``: states
    whose announcement carries the agreed start. ``silent``: a worker's states in which nothing crosses its connection,
    unless it fails.
    """

    states: type[S]
    table: Table[S]
    failed: S
    acts: frozenset[S] = frozenset()
    orders: frozenset[S] = frozenset()
    instants: frozenset[S] = frozenset()
    silent: frozenset[S] = frozenset()

    @cached_property
    def awaits(self) -> frozenset[Enum]:
        """States of the other side for which some row here waits."""
        return frozenset(one.state for row in self.table.values() for one in row if isinstance(one, Peer))

    @cached_property
    def commands(self) -> Mapping[S, Command]:
        """The command for which each state waits, where it does."""
        return {state: one for state, row in self.table.items() for one in row if isinstance(one, Command)}

    @property
    def initial(self) -> S:
        """Where it begins."""
        return next(iter(self.table))

    def is_end(self, state: S) -> bool:
        """Whether nothing follows."""
        return state is self.failed or not self.table[state]


@dataclass(frozen=True)
class Protocol:
    """Both sides of a conversation, under a name and a version."""

    name: str
    version: int
    coordinator: Role[Any]
    worker: Role[Any]

    def __hash__(self) -> int:
        return hash((self.name, self.version))
