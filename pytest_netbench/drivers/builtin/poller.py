"""Which sockets can go on? One epoll, level-triggered, told of a change only when one is needed.

A link stays registered for what was last waited for, so that a ping or a bulk transfer costs no registration. An event
for which nobody waits, as when a peer closes while this end sleeps, takes the interest away until somebody does.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable
from pathlib import Path

from pytest_netbench.drivers.builtin.engine import Link


class EpollPoller:
    """Tells the engine which links can be read or written.

    ``precise``: it waits to the microsecond, at the cost of one more call of the kernel; epoll's own clock has
    milliseconds, and Python rounds them up.
    """

    def __init__(self, *, precise: bool = False) -> None:
        self._epoll = select.epoll()
        self.poll: Callable[[float], list[tuple[int, int]]] = self._epoll.poll
        if precise:
            self.poll = self._poll_precisely
            with contextlib.suppress(OSError):  # the kernel's usual slack of 50 microseconds stays
                Path("/proc/self/timerslack_ns").write_text("1")
        self.links: dict[int, Link] = {}

    def _poll_precisely(self, timeout: float) -> list[tuple[int, int]]:
        if timeout > 0:
            select.select((self._epoll,), (), (), timeout)
            timeout = 0.0
        return self._epoll.poll(timeout)

    def register(self, link: Link) -> None:
        """Look for what the link's tasks wait for now."""
        interest = 0
        for task in link.tasks:
            interest |= task.awaited
        if not interest:
            self._epoll.unregister(link.fd)
            del self.links[link.fd]
        elif link.interest:
            self._epoll.modify(link.fd, interest)
        else:
            self._epoll.register(link.fd, interest)
            self.links[link.fd] = link
        link.interest = interest

    def closed(self, link: Link) -> None:
        """The link's descriptor is about to be closed, which takes it out of epoll."""
        if link.interest:
            del self.links[link.fd]
            link.interest = 0
