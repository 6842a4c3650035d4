"""Does a round end as soon as it can't succeed, and is a failed server told as the cause of its clients' failures?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.playing import Clients, Servers, play
from pytest_netbench.protocols import CLIENT, NetbenchClient, NetbenchServer
from russula import ActionFailed, Conversation, RussulaError
from tests.russula.sides import DIALS, SERVES, Worker, for_ever, listening, servers, target


async def by_hand(serving: Servers, dialling: Clients) -> None:
    """The round as a test's author drives it."""
    await serving.run_till(NetbenchServer.RUNNING, deadline=10)
    await dialling.run_till(NetbenchClient.DONE, deadline=300)
    await serving.run_till(NetbenchServer.DONE, deadline=10)


async def by_us(serving: Servers, dialling: Clients) -> None:
    """The round as the fixture `netbench` drives it."""
    await play(serving, dialling, longest=300)


@asynccontextmanager
async def dials_to(serving: Servers, address: str, folder: Path) -> AsyncIterator[Clients]:
    """The coordinator of one client, which knows whom it dials."""
    async with Clients.connect(CLIENT, [target(address, folder)], run="r", deadline=10) as made:
        made.serving = lambda: serving
        yield made


async def played(
    folder: Path, serves: dict[Any, Any], dials: dict[Any, Any], drive: Any = by_us
) -> RussulaError | None:
    """What a round of one server and one client came to."""
    places = (folder / "server", folder / "client")
    for one in places:
        one.mkdir()
    workers = Worker({**SERVES, **serves}), Worker({**DIALS, **dials})
    async with listening(places[0], workers[0]) as there, listening(places[1], workers[1]) as here:
        try:
            async with servers([target(there, folder)]) as serving, dials_to(serving, here, folder) as dialling:
                await drive(serving, dialling)
        except RussulaError as error:
            return error
    return None


def fails(words: str, begun: asyncio.Event, *, after: asyncio.Event | None = None) -> Any:
    """An action that fails as soon as something has happened, and tells that it does."""

    async def act(_: Conversation) -> None:
        if after is not None:
            await after.wait()
        begun.set()
        raise ActionFailed("ended", words)

    return act


async def test_a_round_that_goes_well(tmp_path: Path) -> None:
    """Nothing to tell."""
    assert await played(tmp_path, {}, {}) is None


@pytest.mark.parametrize("drive", [by_us, by_hand])
async def test_a_server_that_fails_ends_the_round(tmp_path: Path, drive: Any) -> None:
    """At once, whoever drives it: its client would wait for ever, and then be blamed."""
    running = asyncio.Event()

    async def wait(talk: Conversation) -> None:
        running.set()
        await for_ever(talk)

    dies = fails("out of buffers", asyncio.Event(), after=running)
    error = await played(tmp_path, {NetbenchServer.RUNNING: dies}, {NetbenchClient.RUNNING: wait}, drive)
    assert "out of buffers" in str(error)


async def test_a_server_is_the_cause_where_its_client_fails_first(tmp_path: Path) -> None:
    """What the client came to is told behind it."""
    reset = asyncio.Event()
    serves = {NetbenchServer.RUNNING: fails("out of buffers", asyncio.Event(), after=reset)}
    error = await played(tmp_path, serves, {NetbenchClient.RUNNING: fails("connection reset", reset)})
    assert "out of buffers" in str(error)
    assert error is not None
    assert "connection reset" in error.__notes__[0]


async def test_a_client_that_fails_alone_is_told_alone(tmp_path: Path) -> None:
    """Its server is well."""
    error = await played(tmp_path, {}, {NetbenchClient.RUNNING: fails("no route", asyncio.Event())})
    assert "no route" in str(error)
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize("side", [NetbenchServer.STARTING, NetbenchClient.STARTING], ids=["server", "client"])
async def test_who_does_not_start_is_told(tmp_path: Path, side: Any) -> None:
    """Of either side."""
    acts = {side: fails("no licence", asyncio.Event())}
    error = await played(tmp_path, *((acts, {}) if isinstance(side, NetbenchServer) else ({}, acts)))
    assert "no licence" in str(error)
