"""Which sockets can go on? One epoll, level-triggered, told of a change only when one is needed.

A link stays registered for what was last waited for, so that a ping or a bulk transfer costs no registration. An event
for which nobody waits, as when a peer closes while this end sleeps, takes the interest away until somebody does.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import select
from typing import Protocol

from pytest_netbench.drivers.builtin.engine import Task

_TROUBLE = select.EPOLLERR | select.EPOLLHUP
_BATCH = 512


class Link(Protocol):
    """Something with a descriptor. ``tasks`` wait for it; ``interest`` is what epoll knows."""

    fd: int
    tasks: list[Task]
    interest: int


class EpollPoller:
    """Tells the engine whose link can be read or written."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._links: dict[int, Link] = {}

    def wait(self, task: Task, mask: int) -> None:
        """The task waits for that on its link."""
        link: Link = task.link
        link.tasks.append(task)
        if link.interest & mask != mask:
            self._register(link)

    def forget(self, task: Task) -> None:
        """The task doesn't wait any more."""
        task.link.tasks.remove(task)

    def poll(self, timeout: float) -> list[Task]:
        """The tasks that can go on; after ``timeout`` seconds at most, for ever if negative."""
        events = self._epoll.poll(timeout, _BATCH)
        links = self._links
        if len(events) == 1:  # the usual one when two talk to each other
            fd, mask = events[0]
            tasks = links[fd].tasks
            if len(tasks) == 1 and tasks[0].awaited & mask:
                return [tasks.pop()]
        woken: list[Task] = []
        for fd, mask in events:
            link = links[fd]
            tasks = link.tasks
            if len(tasks) == 1 and tasks[0].awaited & mask:
                woken.append(tasks.pop())
                continue
            can = -1 if mask & _TROUBLE else mask  # whatever is waited for: trying it tells what is wrong
            going = [task for task in tasks if task.awaited & can]
            link.tasks = [task for task in tasks if not task.awaited & can]
            woken += going
            if not going:
                self._register(link)
        return woken

    def _register(self, link: Link) -> None:
        """Tell epoll what is waited for now."""
        interest = 0
        for task in link.tasks:
            interest |= task.awaited
        if not interest:
            self._epoll.unregister(link.fd)
            del self._links[link.fd]
        elif link.interest:
            self._epoll.modify(link.fd, interest)
        else:
            self._epoll.register(link.fd, interest)
            self._links[link.fd] = link
        link.interest = interest

    def closed(self, link: Link) -> None:
        """The link's descriptor is about to be closed, which takes it out of epoll."""
        if link.interest:
            del self._links[link.fd]
            link.interest = 0
