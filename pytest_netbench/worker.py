"""What runs on each host? A russula worker that carries out jobs with the drivers of the table that it was given.

``python -m pytest_netbench.worker --address unix:PATH --directory DIR < TABLE``: the table of drivers comes on standard
input. This file runs on hosts: standard library only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pytest_netbench.drivers import registry
from pytest_netbench.drivers.choice import check_options
from pytest_netbench.drivers.execution import DriverFailure, Execution
from pytest_netbench.drivers.job import Job, Reason
from pytest_netbench.errors import NetbenchError
from pytest_netbench.protocols import CLIENT, SERVER, NetbenchClient, NetbenchServer
from pytest_netbench.roles import Role
from russula.errors import ActionFailed
from russula.worker import serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from enum import Enum
    from typing import Any

    from pytest_netbench.drivers.driver import Driver
    from russula.credentials import Credentials
    from russula.worker import Action, Conversation, Service


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn what goes wrong into what the coordinator is told."""
    try:
        yield
    except DriverFailure as failure:
        raise ActionFailed(failure.reason.value, failure.detail, failure.tail) from failure
    except NetbenchError as error:
        raise ActionFailed(Reason.ORDER.value, str(error)) from error


class Hosting:
    """One conversation on this host: the job comes with START, its execution lasts until the conversation's end."""

    def __init__(self, rows: Mapping[str, Driver], conversation: Conversation) -> None:
        self._rows = rows
        self._conversation = conversation
        self._execution: Execution | None = None
        self._opened = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def start(self, role: Role) -> Execution:
        """Make ready what the order asks for.

        :raises NetbenchError: if the order makes no sense here.
        """
        job = Job.from_order(self._conversation.order)
        if job.role is not role:
            raise DriverFailure(Reason.ORDER, f"asked to be a {job.role.value}, this conversation is a {role.value}'s")
        driver = registry.find(self._rows, job.driver)
        options = check_options(driver, job.options)
        multiplex = multiplexed(driver, job, self._conversation.inbox / "scenario.json")
        execution = Execution(
            driver,
            job,
            options=options,
            inbox=self._conversation.inbox,
            outbox=self._conversation.outbox,
            multiplex=multiplex,
        )
        self._execution = await self._opened.enter_async_context(execution)
        return self._execution

    @property
    def execution(self) -> Execution:
        """What START began."""
        assert self._execution is not None
        return self._execution


def multiplexed(driver: Driver, job: Job, scenario: Path) -> bool:
    """Whether streams are carried in frames: as asked, or where a connection has more than one stream.

    :raises NetbenchError: if the scenario must be read for that and is malformed.
    """
    asked = job.options.get("multiplex", job.multiplex)
    if asked is not None or not driver.multiplexes:
        return bool(asked)
    from pytest_netbench.scenario.analysis import analyse
    from pytest_netbench.scenario.netbench_json import read

    return analyse(read(scenario)).streams_per_connection > 1


def services(rows: Mapping[str, Driver]) -> dict[Any, Service]:
    """What a worker does in each state of each protocol."""

    @contextlib.asynccontextmanager
    async def server(conversation: Conversation) -> AsyncIterator[Mapping[Enum, Action]]:
        async with Hosting(rows, conversation) as hosting:
            yield _server_actions(hosting)

    @contextlib.asynccontextmanager
    async def client(conversation: Conversation) -> AsyncIterator[Mapping[Enum, Action]]:
        async with Hosting(rows, conversation) as hosting:
            yield _client_actions(hosting, conversation)

    return {SERVER: server, CLIENT: client}


def _server_actions(hosting: Hosting) -> Mapping[Enum, Action]:
    async def start() -> Mapping[str, Any]:
        with _told():
            return await (await hosting.start(Role.SERVER)).start_server()

    async def watch() -> None:
        with _told():
            await hosting.execution.watch()

    async def stop() -> None:
        with _told():
            await hosting.execution.stop_server()

    return {NetbenchServer.STARTING: start, NetbenchServer.RUNNING: watch, NetbenchServer.STOPPING: stop}


def _client_actions(hosting: Hosting, conversation: Conversation) -> Mapping[Enum, Action]:
    async def start() -> Mapping[str, Any]:
        with _told():
            return await (await hosting.start(Role.CLIENT)).start_client()

    async def watch() -> None:
        with _told():
            await hosting.execution.watch()

    async def run() -> Mapping[str, Any]:
        assert conversation.instant_ns is not None
        with _told():
            return await hosting.execution.run_client(conversation.instant_ns)

    return {NetbenchClient.STARTING: start, NetbenchClient.ARMED: watch, NetbenchClient.RUNNING: run}


async def work(
    address: str,
    rows: Mapping[str, Driver],
    directory: Path,
    ready: Callable[[str], None] | None = None,
    credentials: Credentials | None = None,
) -> None:
    """Serve coordinators at an address until SIGTERM or SIGINT; drivers end with it."""
    loop = asyncio.get_running_loop()
    serving = asyncio.ensure_future(
        serve(address, services(rows), directory=directory, ready=ready, credentials=credentials)
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def main(
    address: str,
    table: str,
    directory: str | Path,
    ready: Callable[[str], None] | None = None,
    credentials: Credentials | None = None,
) -> None:
    """Be a worker, until a signal ends it.

    ``address``: where to listen, a russula address. ``table``: the drivers, as ``registry.dump`` wrote them.
    ``directory``: a folder of this worker's own. ``ready``: called with the address once it listens. ``credentials``:
    its own in this run, without which nobody listens on TCP.
    """
    logging.basicConfig(format="%(message)s", level=logging.INFO)  # russula's lines are JSON, with their time
    asyncio.run(work(address, registry.load(table), Path(directory), ready, credentials))


def _command_line() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True, help="where to listen: unix:PATH")
    parser.add_argument("--directory", required=True, help="a folder of this worker's own")
    given = parser.parse_args()
    main(given.address, sys.stdin.read() or registry.dump(registry.KNOWN), given.directory)


if __name__ == "__main__":
    _command_line()
