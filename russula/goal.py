"""Who isn't there yet, and who could be told to go on? Kept up to date change by change, whatever the number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from enum import Enum

from russula.errors import LocalProtocolError
from russula.member import Member


class Goal:
    """A state that all members are to enter.

    ``missing``: those that haven't. ``busy``: those of them that can't be given a command now.
    """

    def __init__(self, state: Enum, members: Iterable[Member]) -> None:
        self.state = state
        self._woken = asyncio.Event()
        self._error: Callable[[], Exception] | None = None
        self._doing: asyncio.Task[None] | None = None
        self.missing: dict[Member, None] = {}
        self.busy: set[Member] = set()
        for member in members:
            self.missing[member] = None
            self.changed(member)

    def changed(self, member: Member) -> None:
        """Something happened to a member."""
        if member.error is not None:
            error = member.error
            self._fail(lambda: error)
        elif member in self.missing:
            if member.has_entered(self.state):
                del self.missing[member]
                self.busy.discard(member)
            elif member.machine.peer_ended:
                name, ended = member.name, member.state.name
                self._fail(lambda: LocalProtocolError(f"{name} ended in {ended}, it never was {self.state.name}"))
            elif member.next_command() is None:
                self.busy.add(member)
            else:
                self.busy.discard(member)
        if not self.busy:
            self._woken.set()

    def _fail(self, error: Callable[[], Exception]) -> None:
        self._error = self._error or error
        self._woken.set()
        if self._doing is not None:
            self._doing.cancel()

    def is_reached(self) -> bool:
        """Whether all are, or were, there.

        :raises RussulaError: for the first that failed, was lost, or ended elsewhere.
        """
        if self._error is not None:
            raise self._error()
        return not self.missing

    async def wait(self) -> None:
        """Return when all who are missing can be given a command, when none is missing, or when one failed."""
        if self.busy and self._error is None:
            self._woken.clear()
            await self._woken.wait()

    async def unless_failed(self, what: Coroutine[object, object, None]) -> bool:
        """Do something; it is left off as soon as a member fails. Whether it was done."""
        doing = self._doing = asyncio.create_task(what)
        try:
            await asyncio.wait([doing])
        finally:
            self._doing = None
            doing.cancel()
            await asyncio.wait([doing])
        if not doing.cancelled():
            doing.result()
        return self._error is None
