"""Does the waiting child become its driver at the instant, and not without one?"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pytest_netbench.drivers.arming import Arm
from pytest_netbench.drivers.process import Process

CLOCK = [sys.executable, "-I", "-S", "-c", "import time; print(time.monotonic_ns())"]


@asynccontextmanager
async def waiting(folder: Path, program: list[str]) -> AsyncIterator[tuple[Arm, Process]]:
    arm = Arm()
    process = Process.start(
        arm.waiting_child(tuple(program)),
        dict(os.environ),
        output=folder / "out",
        errors=folder / "err",
        folder=folder,
        pass_fds=(arm.reader, arm.writer),
    )
    arm.started()
    try:
        yield arm, process
    finally:
        await process.kill()
        arm.close()


async def test_the_driver_is_executed_at_the_instant(tmp_path: Path) -> None:
    """Not before it; when it really was is told."""
    async with waiting(tmp_path, CLOCK) as (arm, process):
        assert await arm.armed()
        instant = time.monotonic_ns() + 20_000_000
        arm.release(instant)
        assert (await process.wait()).status == 0
        assert arm.executed_ns is not None
        assert instant <= arm.executed_ns <= int((tmp_path / "out").read_text())


async def test_an_instant_that_is_over_is_now(tmp_path: Path) -> None:
    """A late instant delays nothing further."""
    async with waiting(tmp_path, CLOCK) as (arm, process):
        assert await arm.armed()
        arm.release(0)
        assert (await process.wait()).status == 0


async def test_without_an_instant_nothing_is_executed(tmp_path: Path) -> None:
    """End of file on the pipe ends the waiting child."""
    async with waiting(tmp_path, CLOCK) as (arm, process):
        assert await arm.armed()
        os.close(arm._release)
        ended = await process.wait()
        arm._release = os.open(os.devnull, os.O_RDONLY)
        assert ended.status == 125
        assert (tmp_path / "out").read_bytes() == b""


async def test_a_driver_that_cannot_be_executed_is_told(tmp_path: Path) -> None:
    """The waiting child says so in the driver's place."""
    async with waiting(tmp_path, ["/nowhere/driver"]) as (arm, process):
        assert await arm.armed()
        arm.release(0)
        assert (await process.wait()).status == 126
        assert process.tail() == "/nowhere/driver can't be executed: No such file or directory"


@pytest.mark.parametrize("said", [b"", b"nonsense\n", b"armed"])
async def test_a_driver_that_says_something_else_is_not_armed(said: bytes) -> None:
    """Only the whole word on a line counts."""
    arm = Arm()
    os.write(arm.writer, said)
    arm.started()
    assert not await asyncio.wait_for(arm.armed(), 30) or said == b"armed"
    arm.close()
