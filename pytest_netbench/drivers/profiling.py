"""How is it found out where a driver spends its CPU time? By itself where it can, else by perf; a row a way.

Only in a round that isn't measured. What is left are folded stacks (``profile*.folded``), and who made them or why
nobody could (``profile.json``). This file runs on hosts: standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pytest_netbench.drivers.driver import Driver
from pytest_netbench.drivers.process import Exit, Process, tail
from pytest_netbench.errors import ResultsError
from pytest_netbench.telemetry.stacks import left, of_perf, to_text

FOLDED, NOTE = "profile.folded", "profile.json"
"""The files that it leaves."""

_FREQUENCY = 499  # samples per second of CPU time: a prime, so that nothing that repeats is met in step
_RECORD = (
    *("--freq", str(_FREQUENCY), "--call-graph", "dwarf,8192", "--no-buildid", "--no-buildid-cache", "--quiet"),
    *("--delay", "-1"),  # until it is told
)
_SCRIPT = ("--fields", "comm,event,ip,sym,dso", "--no-inline")
_READY_S = 15.0
_WRITE_S = 10.0
_READ_S = 20.0


class CantProfile(Exception):
    """Why nothing can be recorded, for people."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What is recorded: a driver and its processes. ``outbox`` gets the stacks, ``folder`` what is needed meanwhile.

    ``remarks``: what a reader must know of how it was done.
    """

    driver: Driver
    pids: Sequence[int]
    outbox: Path
    folder: Path
    remarks: list[str] = field(default_factory=list)


Profiler = Callable[[Recording], AbstractAsyncContextManager[None]]
"""Records until it is left, which is when the driver has ended; raises ``CantProfile``."""


@asynccontextmanager
async def profiled(recording: Recording) -> AsyncGenerator[None, None]:
    """Record a driver that is up until it has ended; what goes wrong with that is said, and harms no round."""
    reasons: list[str] = []
    async with AsyncExitStack() as stack:
        name = await _begun(recording, stack, reasons)
        yield
        try:
            await stack.aclose()
        except (CantProfile, OSError, TimeoutError) as error:
            reasons.append(f"{name}: {error}")
    _note(recording, name, reasons)


async def _begun(recording: Recording, stack: AsyncExitStack, reasons: list[str]) -> str:
    """The first profiler that can; empty for none."""
    for name, profiler in PROFILERS.items():
        try:
            await stack.enter_async_context(profiler(recording))
        except (CantProfile, OSError, TimeoutError) as error:
            reasons.append(f"{name}: {error}")
        else:
            return name
    return ""


def _note(recording: Recording, name: str, reasons: list[str]) -> None:
    """Say who made the stacks, and how many samples there are; or why there are none."""
    samples = 0
    try:
        samples = left(recording.outbox).total()
    except (ResultsError, OSError) as error:
        reasons.append(str(error))
    if name and not samples:
        reasons.append(f"{name}: it took no sample")
    by = ", ".join([name, *recording.remarks]) if samples else ""
    said = {"by": by, "samples": samples, "why_not": "" if samples else "; ".join(reasons)}
    with contextlib.suppress(OSError):  # the disk is full: the round's own files say so
        (recording.outbox / NOTE).write_text(json.dumps(said))


@asynccontextmanager
async def _itself(recording: Recording) -> AsyncGenerator[None, None]:
    """The driver was told by its environment, and writes when it ends."""
    if not recording.driver.profiles:
        raise CantProfile(f"driver {recording.driver.name} doesn't say that it samples itself")
    yield


@asynccontextmanager
async def _perf(recording: Recording) -> AsyncGenerator[None, None]:
    """The kernel's samples, by perf, which finds callers from what compilers leave for exceptions."""
    path = shutil.which("perf")
    if path is None:
        raise CantProfile("it isn't on this host; package linux-perf, on Ubuntu linux-tools-generic")
    data = recording.folder / "perf.data"
    async with _recording(path, recording, data):
        yield
    text = await _script(path, recording.folder, data)
    with text.open(encoding="utf-8", errors="replace") as lines:
        stacks, users = of_perf(lines)
    if users:
        recording.remarks.append("user space only, as the kernel allows here")
    for one in (data, text):
        one.unlink()
    (recording.outbox / FOLDED).write_text(to_text(stacks), encoding="utf-8")


@asynccontextmanager
async def _recording(path: str, recording: Recording, data: Path) -> AsyncGenerator[None, None]:
    pids = ",".join(map(str, recording.pids))
    with contextlib.ExitStack() as pipes:
        orders, ordering = _pipe(pipes)
        answering, answers = _pipe(pipes)
        process = Process.start(
            (path, "record", *_RECORD, "--pid", pids, "--output", str(data), f"--control=fd:{orders},{answers}"),
            _environment(),
            output=recording.folder / "perf.out",
            errors=recording.folder / "perf.err",
            folder=recording.folder,
            pass_fds=(orders, answers),
        )
        try:
            os.write(ordering, b"enable\n")
            if not await _heard(answering, process):
                raise CantProfile(_trouble(process))
            yield
            await _ended(process, _WRITE_S)  # with what it records
        finally:
            ended = await process.stop(_WRITE_S)
    if ended.status not in {0, None}:
        raise CantProfile(_trouble(process))


def _pipe(pipes: contextlib.ExitStack) -> tuple[int, int]:
    reader, writer = os.pipe()
    pipes.callback(os.close, reader)
    pipes.callback(os.close, writer)
    return reader, writer


async def _heard(answering: int, process: Process) -> bool:
    """Whether perf says that it records; False if it ends instead, or is silent."""
    loop = asyncio.get_running_loop()
    came, ended = loop.create_future(), asyncio.ensure_future(process.wait())
    loop.add_reader(answering, came.cancel)
    try:
        await asyncio.wait({came, ended}, timeout=_READY_S, return_when=asyncio.FIRST_COMPLETED)
        return came.cancelled()
    finally:
        loop.remove_reader(answering)
        ended.cancel()


async def _script(path: str, folder: Path, data: Path) -> Path:
    """What perf makes of its samples, as text."""
    text = folder / "perf.script"
    process = Process.start(
        (path, "script", "--input", str(data), *_SCRIPT),
        _environment(),
        output=text,
        errors=folder / "perf.err",
        folder=folder,
    )
    try:
        ended = await _ended(process, _READ_S)
    finally:
        await process.kill()
    if ended is None or ended.status != 0:
        raise CantProfile(_trouble(process))
    return text


async def _ended(process: Process, seconds: float) -> Exit | None:
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(process.wait(), seconds)
    return None


def _trouble(process: Process) -> str:
    """The first thing that perf complains of; the rest are its explanations."""
    lines = [line for line in tail(process.errors).splitlines() if line.strip() and not line.startswith("Error:")]
    return lines[0] if lines else "it didn't record, and doesn't say why"


def _environment() -> dict[str, str]:
    """Nothing by which perf could be led elsewhere, as to servers of debugging symbols."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": "/nonexistent"}


PROFILERS: dict[str, Profiler] = {"the driver": _itself, "perf": _perf}
"""Ways to profile, the first that can is taken."""
