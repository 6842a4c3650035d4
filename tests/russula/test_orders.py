"""Does an order reach its worker, or its fault whoever waits? Where nobody gave a command for it."""

from __future__ import annotations

import asyncio
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from russula import Finished, Peer, Protocol, Role, WorkerLost
from tests.russula.rooms import Room, in_virtual_time, the_loop
from tests.russula.sides import Worker, at_once

Boss = Enum("Boss", "CHECK GO DONE FAILED")
Hand = Enum("Hand", "WAIT READY WORK DONE FAILED")
AT_ONCE = Protocol(
    "at-once",
    1,
    Role(
        Boss,
        {Boss.CHECK: {Peer(Hand.READY): Boss.GO}, Boss.GO: {Peer(Hand.DONE): Boss.DONE}, Boss.DONE: {}},
        failed=Boss.FAILED,
        orders=frozenset({Boss.GO}),
    ),
    Role(
        Hand,
        {
            Hand.WAIT: {Peer(Boss.CHECK): Hand.READY},
            Hand.READY: {Peer(Boss.GO): Hand.WORK},
            Hand.WORK: {Finished(): Hand.DONE},
            Hand.DONE: {},
        },
        failed=Hand.FAILED,
        acts=frozenset({Hand.WORK}),
    ),
)
"""A protocol whose order goes without a command."""


@pytest.mark.parametrize("wrong", ["order", "files"])
def test_an_order_that_can_not_be_made_is_told_to_who_waits(tmp_path: Path, wrong: str) -> None:
    """Also where no command asked for it: which worker, and what the target's own function raised."""

    async def main() -> None:
        room, worker, mishaps = Room(tmp_path), Worker({Hand.WORK: at_once}), list[Any]()
        nothing = dict[str, Any]()
        the_loop().set_exception_handler(lambda _, what: mishaps.append(what))
        room.worker(AT_ONCE, worker)
        ways: dict[str, Any] = {"order": nothing.popitem, "files": lambda: {"file": tmp_path / "none"}}
        with pytest.raises(WorkerLost, match=r"w0 was lost: there is no order for it: (KeyError|FileNotFoundError)"):
            async with room.drive(AT_ONCE, room.target(**{wrong: ways[wrong]})) as group:
                await group.run_till(Hand.DONE)
        await asyncio.sleep(1)
        assert not mishaps
        assert worker.left == 1

    in_virtual_time(main)


def test_an_order_goes_without_a_command(tmp_path: Path) -> None:
    """As soon as the coordinator enters its state, with its files."""

    async def main() -> None:
        room, worker = Room(tmp_path), Worker({Hand.WORK: at_once})
        room.worker(AT_ONCE, worker)
        (tmp_path / "file").write_text("text")
        target = room.target(order=lambda: {"number": 7}, files=lambda: {"file": tmp_path / "file"})
        async with room.drive(AT_ONCE, target) as group:
            await group.run_till(Hand.DONE)
            assert worker.talks[0].order == {"number": 7}
            assert (worker.talks[0].inbox / "file").read_text() == "text"

    in_virtual_time(main)
