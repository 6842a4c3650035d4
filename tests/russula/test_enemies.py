"""Can anything that is said break a side, or make it grow? Enemies speak by chance, to each part that hears."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_netbench.protocols import CLIENT, SERVER, NetbenchServer
from russula import Protocol, RussulaError
from russula.codec import Decoder
from russula.errors import RemoteProtocolError
from russula.link import hello
from russula.testing import run
from tests.russula.enemy import Enemy, Sink, speak
from tests.russula.rooms import Room, Wrong, dials, in_virtual_time, the_loop
from tests.russula.sides import SERVES, Worker

FIRST = int(os.environ.get("RUSSULA_SEED", "0"))
"""The first seed; a failing test names its own: RUSSULA_SEED=N runs it first."""
CHANCES = st.randoms(use_true_random=False)
Hears = Callable[[random.Random], Awaitable[None]]
BLOCK = 500
"""Enemies of one seed."""
HOURS = 2 * 3600
"""Seconds: longer than any lease."""
MORE = 4 << 20
"""Bytes by which this process may have grown after a hundred thousand enemies and more."""


def decode(chance: random.Random) -> None:
    """Let a decoder hear an enemy."""
    decoder = Decoder()
    with suppress(RemoteProtocolError):
        for piece in Enemy(chance, hello(SERVER), ["READY"]).speech():
            list(decoder.feed(piece))


class Besieged:
    """A worker and a coordinator that hear one enemy after another. ``mishaps``: what the loop was left to report."""

    def __init__(self, folder: Path) -> None:
        self.room, self.mishaps = Room(folder), list[Any]()
        the_loop().set_exception_handler(lambda _, what: self.mishaps.append(what))
        self.workers = {SERVER: Worker(SERVES), CLIENT: Worker(dials(Wrong(), {}))}
        for protocol, worker in self.workers.items():
            self.room.worker(protocol, worker, protocol.name)

    async def worker_hears(self, chance: random.Random) -> None:
        """An enemy that has the run's credentials, or is of this user, pretends to be a coordinator."""
        protocol = chance.choice([SERVER, CLIENT])
        names = [state.name for state in protocol.coordinator.states]
        said = hello(protocol, "r", "w0", f"{chance.getrandbits(8)}", attempt=chance.getrandbits(4), lease_ms=5)
        wire = Sink()
        link = self.room.receptions[protocol.name].accept(wire)
        await speak(link, wire, Enemy(chance, said, names).speech())

    async def coordinator_hears(self, chance: random.Random) -> None:
        """An enemy pretends to be a worker, to a coordinator that wants to go all the way with it."""
        protocol: Protocol = chance.choice([SERVER, CLIENT])
        names = [state.name for state in protocol.worker.states]

        async def dial(_: str, link: Any, __: Any) -> asyncio.BaseTransport:
            wire = Sink()
            said = hello(protocol, "r", "w0", link.owner.conversation, attempt=link.owner._reach.tries)
            task = asyncio.ensure_future(speak(link, wire, Enemy(chance, said, names).speech()))
            speaking.append(task)
            return wire

        speaking: list[asyncio.Future[None]] = []
        with suppress(RussulaError):
            async with self.room.drive(protocol, self.room.target(), dial=dial, deadline=3, lease=1) as group:
                await group.run_till(protocol.worker.states["DONE"], deadline=3)
                group.begins()
        for task in speaking:
            await task

    async def is_sound(self) -> None:
        """Nothing was left to the loop, nobody is remembered, and the rightful coordinator is served."""
        await asyncio.sleep(HOURS)
        assert not self.mishaps
        for one in self.room.receptions.values():
            assert not one._talks
            assert not one._strangers
        async with self.room.drive(SERVER, self.room.target(SERVER.name)) as group:
            await group.run_till(NetbenchServer.DONE)
        assert len(asyncio.all_tasks()) == 1
        self.room.lines.clear()
        for worker in self.workers.values():
            worker.talks.clear()


@given(CHANCES)
def test_a_decoder_refuses_or_understands(chance: random.Random) -> None:
    """Whatever comes gives messages or a RemoteProtocolError, never another error."""
    decode(chance)


@settings(deadline=None, max_examples=300)
@given(CHANCES)
def test_a_worker_bears_every_enemy(tmp_path_factory: pytest.TempPathFactory, chance: random.Random) -> None:
    """Wrong order, wrong role, wrong version, replays, lies: it refuses, forgets, and serves the rightful one."""

    async def main() -> None:
        besieged = Besieged(tmp_path_factory.getbasetemp())
        for _ in range(3):
            await besieged.worker_hears(chance)
        await besieged.is_sound()

    in_virtual_time(main)


@settings(deadline=None, max_examples=300)
@given(CHANCES)
def test_a_coordinator_bears_every_enemy(tmp_path_factory: pytest.TempPathFactory, chance: random.Random) -> None:
    """Whatever a worker says, its coordinator ends by the deadline, with an error of this library or none."""

    async def main() -> None:
        besieged = Besieged(tmp_path_factory.getbasetemp())
        await besieged.coordinator_hears(chance)
        await besieged.is_sound()

    in_virtual_time(main)


def held() -> int:
    """Bytes of memory that this process has now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def never_grows(blocks: int, one_block: Callable[[random.Random], object]) -> None:
    """Go through so many blocks, the first tenth of which may still fill what is filled once."""
    before = 0
    for seed in range(FIRST, FIRST + blocks):
        try:
            one_block(random.Random(seed))
        except BaseException:
            print(f"RUSSULA_SEED={seed}")  # noqa: T201  what replays it
            raise
        if seed == FIRST + blocks // 10:
            before = held()
    assert held() - before <= MORE


@pytest.mark.deep
def test_decoders_bear_half_a_million() -> None:
    """As above, each with its own; nothing of them is kept."""

    def block(chance: random.Random) -> None:
        for _ in range(BLOCK):
            decode(chance)

    never_grows(500_000 // BLOCK, block)


async def _all_of(folder: Path, block: int, hears: Callable[[Besieged], Hears], chance: random.Random) -> None:
    besieged = Besieged(folder)
    for _ in range(block):
        await hears(besieged)(chance)
    await besieged.is_sound()


@pytest.mark.deep
def test_a_worker_bears_two_hundred_thousand(tmp_path: Path) -> None:
    """As above, many to one worker before it is looked at."""
    never_grows(200_000 // BLOCK, lambda chance: run(_all_of(tmp_path, BLOCK, lambda one: one.worker_hears, chance)))


@pytest.mark.deep
def test_coordinators_bear_a_hundred_thousand(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As above; with what stands in test_codec.py, that makes a million."""
    caplog.set_level(logging.CRITICAL, "russula.coordinator")  # its lines would be kept, and be what grows
    never_grows(
        100_000 // BLOCK, lambda chance: run(_all_of(tmp_path, BLOCK, lambda one: one.coordinator_hears, chance))
    )
