"""What does every provider of hosts promise? The interface, and nothing that only one of them needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

from pytest_netbench.hosts.ledger import Ledger
from pytest_netbench.hosts.model import Fleet, Host, Need
from pytest_netbench.result.model import Cost

if TYPE_CHECKING:
    from pytest_netbench.drivers.driver import Driver


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What a provider is made from.

    ``run``: the run's id, part of every resource's name. ``ledger``: written before each create. ``drivers``: the table
    of driver rows as JSON text, handed to each worker at its start. ``settings``: the provider's own section of the
    configuration. ``keep``: leave the hosts alive at the end (``--netbench-keep-hosts``). ``upcoming``: what the tests
    after the present one need. ``hurried``: whether somebody ends the run and may not wait long. ``say`` shows a line
    to whoever waits.
    """

    run: str
    ledger: Ledger
    drivers: str
    settings: Mapping[str, object]
    keep: bool = False
    upcoming: Callable[[], Sequence[Need]] = tuple
    hurried: Callable[[], bool] = bool
    say: Callable[[str], None] = lambda _: None


class Provider(ABC):
    """Makes hosts with a worker on each; an async context manager, one a session.

    Leaving it destroys everything that it made. Nothing in it may need the event loop to run between tests.
    """

    name: ClassVar[str]
    shares_machine: ClassVar[bool] = False
    """Whether all its hosts are one machine, whose processors their drivers then share."""
    brings: ClassVar[bool] = False
    """Whether it brings to its hosts what a build made on this machine."""
    parallel: ClassVar[bool] = True
    """Whether each worker of pytest-xdist may have hosts of its own."""
    forecasts: ClassVar[bool] = False
    """Whether it wants to know what later tests need."""
    salvages_cheaply: ClassVar[bool] = True
    """Whether logs may be fetched after every round; else only after one that failed."""

    @classmethod
    @abstractmethod
    def refuses(cls, need: Need) -> str | None:
        """Why it can't give such hosts, or None; asked at collection, makes nothing."""

    @classmethod
    def look_for(cls, driver: Driver, settings: Mapping[str, object]) -> None:  # noqa: ARG003  of its own section
        """Whether a driver's programs are where its hosts will have them from: mostly, on this machine.

        :raises DriverMissing: if not; with the line that installs them.
        """
        driver.locate()

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
    async def salvage(self, hosts: Sequence[Host], into: Path) -> None:
        """Copy what can be had of hosts' logs, a folder for each; also from dead hosts, a missing one is no error."""

    def cost(self, fleet: Fleet) -> Cost | None:  # noqa: ARG002  most cost nothing
        """What a test with these hosts has cost up to now; None where that isn't counted."""
        return None

    def hurry(self) -> None:
        """Somebody ends the run, and may not wait: only begin what must be done; this is called by signals."""
        return

    @abstractmethod
    def sweep(self) -> None:
        """Remove at once, without an event loop, what is still held (from ``pytest_unconfigure``)."""
