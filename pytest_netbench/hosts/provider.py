"""What does every provider of hosts promise? The interface, and nothing that only one of them needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from pytest_netbench.hosts.ledger import Ledger
from pytest_netbench.hosts.model import Fleet, Host, Need


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What a provider is made from.

    ``run``: the run's id, part of every resource's name. ``ledger``: written before each create. ``drivers``: the table
    of driver rows as JSON text, handed to each worker at its start. ``settings``: the provider's own section of the
    configuration. ``keep``: leave the hosts alive at the end (``--netbench-keep-hosts``).
    """

    run: str
    ledger: Ledger
    drivers: str
    settings: Mapping[str, object]
    keep: bool = False


class Provider(ABC):
    """Makes hosts with a worker on each; an async context manager, one a session.

    Leaving it destroys everything that it made. Nothing in it may need the event loop to run between tests.
    """

    name: ClassVar[str]
    shares_machine: ClassVar[bool] = False
    """Whether all its hosts are one machine, whose processors their drivers then share."""

    @classmethod
    @abstractmethod
    def refuses(cls, need: Need) -> str | None:
        """Why it can't give such hosts, or None; asked at collection, makes nothing."""

    @abstractmethod
    def __init__(self, context: ProviderContext) -> None: ...

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @abstractmethod
    def fleet(self, need: Need) -> AbstractAsyncContextManager[Fleet]:
        """Hosts for one test, each with a worker that listens; reused from earlier tests where they fit.

        :raises HostError: if a host can't be made within the deadline; names it and the tail of its log.
        """

    async def renew(self, fleet: Fleet) -> None:  # noqa: B027 - a provider whose hosts keep nothing needn't do anything
        """Put fresh workers in the place of those of these hosts, which stay at their addresses."""

    @abstractmethod
    async def salvage(self, host: Host, into: Path) -> None:
        """Copy what can be had of a host's logs into a folder, also from a dead host; a missing one is no error."""

    @abstractmethod
    def sweep(self) -> None:
        """Remove at once, without an event loop, what is still held (from ``pytest_unconfigure``)."""
