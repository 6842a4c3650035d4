"""How is the driver told to end? By a signal, at a moment at which everything that was done is counted.

A signal may come between a send and the counting of its bytes. So its handler only asks, through a pipe in the poller,
and the engine ends when it next looks there; where nothing can be lost the handler ends the driver at once.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

from pytest_netbench.drivers.builtin.ending import Stopped
from pytest_netbench.drivers.builtin.engine import READ, Engine, Task, Waits

_MOST = 4096


class Signals:
    """The signals that ask the driver to end; made once, before anything else."""

    NUMBERS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._came: int | None = None
        self._raised = False
        for number in Signals.NUMBERS:
            signal.signal(number, self._handle)

    def end(self, engine: Engine) -> None:
        """From now on it is this engine that is to be ended."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        alarm = _Alarm(reader)
        task = Task(alarm, weight=0)
        task.awaited = READ
        task.generator = self._stop(reader)  # not spawned: nothing waits for its end
        alarm.tasks.append(task)
        engine.poller.register(alarm)
        self._engine = engine

    @staticmethod
    def ignore() -> None:
        """The driver is at its end: let it finish."""
        for number in Signals.NUMBERS:
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._came = number
        if self._engine is not None and not self._engine.interruptible:
            self._engine.hurry()
        elif not self._raised:  # a second one would fall into the end that the first has begun
            self._raised = True
            raise Stopped(number)

    def _stop(self, reader: int) -> Waits:
        while self._came is None:  # another signal, as that of a profiling timer
            with contextlib.suppress(BlockingIOError):
                os.read(reader, _MOST)
            yield READ
        raise Stopped(self._came)


class _Alarm:
    """The reading end of the pipe as the poller knows it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.tasks: list[Task] = []
        self.interest = 0
