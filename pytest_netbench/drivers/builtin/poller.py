"""Which sockets can go on? One epoll, level-triggered, told of a change only when one is needed.

A link stays registered for what was last waited for, so that a ping or a bulk transfer costs no registration. An event
for which nobody waits, as when a peer closes while this end sleeps, takes the interest away until somebody does.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import select

from pytest_netbench.drivers.builtin.engine import Link


class EpollPoller:
    """Tells the engine which links can be read or written."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.poll = self._epoll.poll
        self.links: dict[int, Link] = {}

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
