"""How are datagrams sent and received? Outside of streams, and without a promise that they arrive.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_netbench.drivers.builtin.ending import Ended, Failed
from pytest_netbench.drivers.builtin.engine import PAUSE, Waits
from pytest_netbench.drivers.builtin.thread import MS, Compiler, Step, Thread
from pytest_netbench.scenario import extensions as x


def _send(operation: x.SendDatagram) -> Step:
    size = operation.bytes

    def step(thread: Thread) -> Waits:
        datagrams: Any = thread.context.carrier.datagrams
        try:
            while datagrams.crowded(thread):
                yield PAUSE
            datagrams.send(size)
        except OSError as error:
            if thread.timed:
                raise Ended from None
            raise Failed(f"{thread.context.title}, send a datagram of {size:,} bytes: {error.strerror}") from None

    return step


def _receive(operation: x.ReceiveDatagram) -> Step:
    patience = operation.timeout_ms * MS

    def step(thread: Thread) -> Waits:
        datagrams: Any = thread.context.carrier.datagrams
        engine = thread.context.engine
        until = engine.clock() + patience
        while not datagrams.take(thread) and engine.clock() < until:
            timer = engine.timer(until, thread)
            try:
                yield PAUSE
            finally:
                timer.live = False

    return step


DATAGRAMS: Mapping[type, Compiler] = {x.SendDatagram: _send, x.ReceiveDatagram: _receive}
