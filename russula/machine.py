"""Where is one side, and what may happen next? One a conversation and side; pure."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Generic, TypeVar

from russula.errors import LocalProtocolError, RemoteProtocolError
from russula.protocol import Peer, Role, Trigger

S = TypeVar("S", bound=Enum)


class Machine(Generic[S]):
    """One side's state, and what it knows of the other's.

    Each announcement of the peer is an event, taken once and in order: one that comes before this side is there waits
    for it, one that no row waits for is only noted. (Remembering just the peer's latest state deadlocks as soon as a
    peer passes two states before it is looked at.)
    """

    def __init__(self, role: Role[S], peer: Role[Enum]) -> None:
        self.role, self.peer_role = role, peer
        self.state: S = role.initial
        self.peer_state: Enum = peer.initial
        self.history: list[S] = [self.state]
        self.peer_history: list[Enum] = []
        self._waiting: deque[Enum] = deque()

    @property
    def ended(self) -> bool:
        """Whether nothing more can happen here."""
        return self.role.is_end(self.state)

    @property
    def held(self) -> tuple[Enum, ...]:
        """Announcements that this side can't take yet."""
        return tuple(self._waiting)

    @property
    def peer_ended(self) -> bool:
        """Whether the other side said that nothing more can happen there."""
        return bool(self.peer_history) and self.peer_role.is_end(self.peer_state)

    def fire(self, trigger: Trigger) -> list[S]:
        """Take a command of the user, or the end of this state's action; the states entered, in order.

        :raises LocalProtocolError: if this state has no row for it.
        """
        target = self.role.table[self.state].get(trigger)
        if target is None or self.state is self.role.failed:
            raise LocalProtocolError(f"{trigger} isn't possible in {self.state.name}")
        return self._enter(target)

    def heard(self, state: Enum) -> list[S]:
        """Take an announcement of the peer; the states entered here because of it, in order.

        :raises RemoteProtocolError: if the peer can't have gone there from where it was.
        """
        if not self._may_follow(state):
            raise RemoteProtocolError(f"the peer announced {state.name} after {self.peer_state.name}")
        self.peer_state = state
        self.peer_history.append(state)
        if state in self.role.awaits:
            self._waiting.append(state)
        return self._settle()

    def _may_follow(self, state: Enum) -> bool:
        if not self.peer_history:
            return state in {self.peer_role.initial, self.peer_role.failed}
        if self.peer_role.is_end(self.peer_state):
            return False
        return state is self.peer_role.failed or state in self.peer_role.table[self.peer_state].values()

    def fail(self) -> list[S]:
        """Go to FAILED; nothing if this side has ended."""
        if self.ended:
            return []
        return self._enter(self.role.failed)

    def _enter(self, target: S) -> list[S]:
        self.state = target
        self.history.append(target)
        return [target, *self._settle()]

    def _settle(self) -> list[S]:
        if not self._waiting or self.state is self.role.failed:
            return []
        target = self.role.table[self.state].get(Peer(self._waiting[0]))
        if target is None:
            return []
        self._waiting.popleft()
        return self._enter(target)
