"""How does one driver go through one round on its host? Start, arm or listen, begin, watch, end; and what that left.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from pytest_netbench.drivers import listening
from pytest_netbench.drivers.arming import Arm
from pytest_netbench.drivers.driver import Arming, Driver, End, OptionValue, Transport
from pytest_netbench.drivers.environment import Invocation, configured, endpoint, invocation
from pytest_netbench.drivers.job import STATUS_UNSUPPORTED, Job, Reason, Watch
from pytest_netbench.drivers.process import Exit, Process, half_of
from pytest_netbench.drivers.profiling import Recording, profiled
from pytest_netbench.errors import DriverMissing
from pytest_netbench.roles import Role
from pytest_netbench.telemetry import proc
from pytest_netbench.telemetry.host import Collector, Window, Writes
from pytest_netbench.telemetry.surroundings import surroundings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

OUTPUT, ERRORS, REPORT, COLLECTOR, HOST = "driver.out", "driver.err", "report.json", "collector.jsonl", "host.json"
"""The files that a round leaves."""

_HANG_GRACE = 0.5
_DRAIN_QUIET, _DRAIN_WORKING = 1.0, 0.5
_STORAGE = {errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EFBIG}


class DriverFailure(Exception):
    """A driver can't go on; ``reason`` for programs, ``detail`` for people, ``tail`` of its standard error."""

    def __init__(self, reason: Reason, detail: str, tail: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.tail = tail


@contextlib.contextmanager
def _storage(folder: Path) -> Iterator[None]:
    """Tell a disk that is full, or a folder that can't be written, from other errors."""
    try:
        yield
    except OSError as error:
        if error.errno in _STORAGE or str(error.filename).startswith(str(folder)):
            detail = f"{error.filename or 'a file'} can't be written: {error.strerror}"
            raise DriverFailure(Reason.STORAGE, detail) from error
        raise


class Execution:
    """One driver in one round; ``outbox`` gets its files, ``inbox`` holds the scenario.

    Use as ``async with``: at its end nothing of the driver is left.
    """

    def __init__(
        self,
        driver: Driver,
        job: Job,
        *,
        inbox: Path,
        outbox: Path,
        options: Mapping[str, OptionValue] | None = None,
        multiplex: bool = False,
    ) -> None:
        self.driver = driver
        self.job = job
        self._options = options or {}
        self._inbox = inbox
        self._outbox = outbox
        self._multiplex = multiplex
        self._process: Process | None = None
        self._arm: Arm | None = None
        self._port = 0
        self._begin: Window | None = None
        self._end: Window | None = None
        self._collector: Collector | None = None
        self._collecting = contextlib.AsyncExitStack()
        self._writes: Writes | None = None
        self._began_ns: int | None = None
        self._cpu_before = 0.0
        self._command: tuple[str, ...] = ()
        self._surroundings: Mapping[str, str] = {}
        self._reason = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # The worker may be told to end while this goes on: what is open is closed all the same.
        closing = asyncio.create_task(self._close())
        cancelled: asyncio.CancelledError | None = None
        while not closing.done():
            try:
                await asyncio.wait({closing})
            except asyncio.CancelledError as error:
                cancelled = error
        closing.result()
        if cancelled is not None:
            raise cancelled

    async def _close(self) -> None:
        if self._process is not None:
            await self._process.kill()
        await self._collecting.aclose()
        if self._writes is not None:
            self._writes.close()
        if self._arm is not None:
            self._arm.close()

    # --- a server ------------------------------------------------------------------------------

    async def start_server(self) -> dict[str, Any]:
        """Start a server and wait until it listens; where that is.

        :raises DriverFailure: if it ends, is too slow, or its port is another's.
        """
        transport = self.driver.transport
        try:
            self._port = self.job.port or self.driver.port or listening.free_port(self.job.bind, transport)
            listening.check_free(self.job.bind, self._port, transport)
            process = self._start()
            await self._within(
                listening.until_listening(self.job.bind, self._port, transport, process.tree),
                self.job.start_s,
                f"listen at {endpoint(self.job.bind, self._port)}",
                self._elsewhere,
            )
        except listening.PortTaken as error:
            raise DriverFailure(Reason.PORT, str(error)) from error
        await self._begin_window()
        await self._up()
        return {"address": endpoint(self.job.bind, self._port), "pid": process.pid}

    def _elsewhere(self) -> str:
        """Where a server listens that doesn't where it should."""
        found = listening.waiting(self._running.tree())
        return f"; it listens at {', '.join(found)}" if found else ""

    async def watch(self) -> None:
        """Wait for the driver to end, which it should not.

        :raises DriverFailure: when it has ended.
        """
        raise self._ended(await self._running.wait(), "ended by itself")

    async def stop_server(self) -> None:
        """Let a server take in what is still on its way, then end it; what it left is in the outbox."""
        await self._drain()
        self._end = Window.now()
        ended = await self._stop(self.job.stop_s)
        await self._write_record(ended)

    async def _drain(self) -> None:
        """Wait for a server to close its connections: ended earlier, it would not have read all that clients sent.

        A connection that makes no progress for a second isn't waited for. UDP shows no connections: there it is watched
        what waits to be read, and the driver's output. Who waits for a processor has half a second to get it.
        """
        process, pause = self._running, 0.001
        seen: object = None
        began = quiet_since = time.monotonic()
        while process.exit is None:
            open_ones = listening.busy(self._port)
            if self.driver.transport is not Transport.TCP:
                open_ones += listening.unread(self._port)
            elif not open_ones:
                return
            progress = (open_ones, self._output_size())
            works = time.monotonic() - began < _DRAIN_WORKING and any(map(proc.is_working, process.tree()))
            if progress != seen or works:
                seen, quiet_since = progress, time.monotonic()
            limit = _DRAIN_QUIET if open_ones else _DRAIN_QUIET / 50
            if time.monotonic() - quiet_since > limit:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.02)

    # --- a client ------------------------------------------------------------------------------

    async def start_client(self) -> dict[str, Any]:
        """Start a client and wait until it is armed.

        :raises DriverFailure: if it ends or is too slow.
        """
        self._arm = Arm()
        process = self._start(self._arm)
        if not await self._within(self._arm.armed(), self.job.start_s, "arm"):
            await self._within(process.wait(), self.job.start_s, "end")
            raise self._ended(await process.wait(), "didn't arm")
        await self._up()
        return {"pid": process.pid}

    async def run_client(self, instant_ns: int) -> dict[str, Any]:
        """Release a client at the instant, await its end; when both were. What it left is in the outbox.

        :raises DriverFailure: if it hangs, or ends otherwise than its row expects.
        """
        assert self._arm is not None
        await self._begin_window()
        with contextlib.suppress(BrokenPipeError):  # it ended in this moment: its end is reported below
            self._arm.release(instant_ns)
        limit = min(self.job.timeout_s, self.driver.timeout_s or self.job.timeout_s)
        deadline = asyncio.get_running_loop().time() + max(0, instant_ns - time.monotonic_ns()) / 1e9 + limit
        try:
            async with asyncio.timeout_at(deadline):
                ended = await self._running.wait()
        except TimeoutError:
            raise await self._hung(f"didn't end within {limit:g} s") from None
        self._end = Window.now()
        self._began_ns = self._arm.executed_ns or instant_ns
        await self._stop(0)
        await self._write_record(ended)
        if not self._expects(ended):
            raise self._ended(ended, "failed")
        return {"began_ns": self._began_ns, "ended_ns": ended.ended_ns}

    # --- both ----------------------------------------------------------------------------------

    @property
    def _running(self) -> Process:
        assert self._process is not None
        return self._process

    def _start(self, arm: Arm | None = None) -> Process:
        call = self._invocation()
        argv, env = call.argv, dict(call.env)
        self._command = argv
        if arm is not None and self.driver.arming is Arming.PIPE:
            env["NETBENCH_ARM"] = arm.descriptors
        elif arm is not None:
            argv = arm.waiting_child(argv)
        output = self._outbox / OUTPUT
        try:
            with _storage(self._outbox):
                self._process = Process.start(
                    argv,
                    env,
                    output=output,
                    errors=self._outbox / ERRORS,
                    folder=self._inbox,
                    pass_fds=() if arm is None else (arm.reader, arm.writer),
                    cpus=half_of(os.sched_getaffinity(0), self.job.half),
                )
        except OSError as error:
            detail = f"driver {self.driver.name}: {argv[0]} can't be executed: {error.strerror}"
            raise DriverFailure(Reason.MISSING, detail) from error
        if arm is not None:
            arm.started()
        self._writes = Writes(output)
        return self._process

    def _invocation(self) -> Invocation:
        try:
            executable = self.driver.executable(self.job.role)
        except DriverMissing as error:
            raise DriverFailure(Reason.MISSING, str(error)) from error
        scenario = self._inbox / "scenario.json"
        if self.driver.configures and self._options:
            with _storage(self._inbox):
                text = configured(scenario.read_bytes(), self.job.role, self.job.index, self._options)
                scenario = self._inbox / "configured.json"
                scenario.write_bytes(text)
        return invocation(
            self.driver,
            self.job,
            options=self._options,
            executable=executable,
            scenario=scenario,
            report=self._outbox / REPORT,
            port=self._port,
            multiplex=self._multiplex,
            inherited=os.environ,
        )

    async def _begin_window(self) -> None:
        self._cpu_before = sum(proc.cpu_s(pid) for pid in self._running.tree())
        self._begin = Window.now()
        self._collector = Collector(self._running.tree, self._outbox / OUTPUT, self._outbox / COLLECTOR)
        with _storage(self._outbox):
            await self._collecting.enter_async_context(self._collector)

    async def _up(self) -> None:
        """It is up: what is around it is noted, and from now on where its CPU time goes, if that is asked for."""
        self._surroundings = surroundings(self.job.bind, self._command, (self._inbox, self._outbox))
        if self.job.watch is Watch.PROFILE:
            recording = Recording(self.driver, self._running.tree(), self._outbox, self._inbox)
            await self._collecting.enter_async_context(profiled(recording))

    async def _within(
        self, awaitable: Awaitable[Any], seconds: float, what: str, instead: Callable[[], str] = str
    ) -> Any:  # noqa: ANN401 - what is awaited
        """Await something that the driver should bring about; its end and the deadline are failures.

        ``instead``: what it does at the deadline, for people.
        """
        wanted = asyncio.ensure_future(awaitable)
        ended = asyncio.ensure_future(self._running.wait())
        try:
            done, _ = await asyncio.wait({wanted, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if wanted in done:
                return wanted.result()
            if ended in done:
                raise self._ended(ended.result(), f"ended before it could {what}")
        finally:
            for one in (wanted, ended):
                one.cancel()
            await asyncio.wait({wanted, ended})
        raise await self._hung(f"didn't {what} within {seconds:g} s{instead()}")

    async def _hung(self, what: str) -> DriverFailure:
        """End a driver that hangs; ours says first where it stands."""
        if self.driver.dumps_stacks:
            await self._running.dump_stacks()
        self._reason = what
        await self._write_record(await self._stop(_HANG_GRACE))
        return DriverFailure(Reason.DEADLINE, f"{self._who} {what}", self._running.tail())

    def _ended(self, ended: Exit, what: str) -> DriverFailure:
        unsupported = ended.status == STATUS_UNSUPPORTED
        reason = Reason.UNSUPPORTED if unsupported else Reason.ENDED
        words = "can't do this scenario" if unsupported else what
        return DriverFailure(reason, f"{self._who} {words}: it {ended}", self._running.tail())

    @property
    def _who(self) -> str:
        return f"driver {self.driver.name} as {self.job.role.value} {self.job.index}"

    async def _stop(self, grace: float) -> Exit:
        ended = await self._running.stop(grace)
        await self._collecting.aclose()
        return ended

    def _expects(self, ended: Exit) -> bool:
        kind = End.EXIT_0 if ended.status == 0 else End.SIGTERM if ended.signal == 15 else None  # noqa: PLR2004 - its number
        return kind in self.driver.ends[self.job.role]

    @property
    def _last_words(self) -> str:
        return self._running.tail().rpartition("\n")[2]

    def _output_size(self) -> int:
        return (self._outbox / OUTPUT).stat().st_size

    async def _write_record(self, ended: Exit) -> None:
        """Leave what the host knows of this round in ``host.json``."""
        begin, end = self._begin, self._end or Window.now()
        expected = self._expects(ended) and not self._running.killed
        killed = f"it didn't end within {self.job.stop_s:g} s of SIGTERM" if self._running.killed else ""
        collector, arm = self._collector, self._arm
        record: Mapping[str, Any] = {
            "driver": self.driver.name,
            "role": self.job.role.value,
            "index": self.job.index,
            "address": endpoint(self.job.bind, self._port) if self.job.role is Role.SERVER else None,
            "armed": arm is not None and self.driver.can_be_armed,
            "began_ns": self._began_ns,
            "ended_ns": ended.ended_ns,
            "writes": [] if self._writes is None else self._writes.seen,
            "ending": {
                "status": ended.status,
                "signal": ended.signal,
                "expected": expected,
                "reason": self._reason or killed or ("" if expected else self._last_words),
            },
            "counters": None if begin is None else asdict(begin.until(end)),
            "starved": "" if begin is None else begin.starved(end),
            "use": None if begin is None else asdict(begin.use(end)),
            "clock_step_s": 0.0 if begin is None else begin.clock_step_s(end),
            "cpu_s": ended.cpu_s,
            "cpu_before_s": self._cpu_before,
            "peak_rss": max(ended.peak_rss or 0, 0 if collector is None else collector.peak_rss) or None,
            "environment": self._surroundings,
            "problems": [collector.problem] if collector is not None and collector.problem else [],
        }
        with _storage(self._outbox):
            (self._outbox / HOST).write_text(json.dumps(record))
