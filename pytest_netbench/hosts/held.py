"""How does a session speak with the process that holds its workers? Requests and answers by lines, with deadlines.

Blocking calls, for a thread beside the event loop: what they hold needs no loop between tests.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest_netbench
from pytest_netbench.errors import HostError
from pytest_netbench.hosts import namespace
from pytest_netbench.hosts.ledger import PROCESS, Ledger
from pytest_netbench.telemetry.proc import identify

END_DEADLINE = 5.0
"""Seconds for the holder to end when its input does; then it is killed, and the kernel ends the rest with it."""
TAIL = 2000
"""Characters of a log in a message."""

_READ = 1 << 16


class HeldWorkers:
    """The holder, and the workers that it forked; ``own``: in namespaces of their own."""

    def __init__(self, ledger: Ledger, table: str, worker: str, *, own: bool) -> None:
        self._ledger, self._table, self._worker, self._own = ledger, table, worker, own
        self._process: subprocess.Popen[bytes] | None = None
        self._identity = ""
        self._text = b""
        self._log = Path()
        self._alive: dict[str, int] = {}

    def start(self, log: Path, deadline: float) -> Mapping[str, Any]:
        """Start the holder; what it says when it is up.

        :raises HostError: if it isn't within ``deadline`` seconds; with the end of its log.
        """
        self._log = log
        package = Path(pytest_netbench.__file__).parent
        mode = "own" if self._own else "machine"
        extra = tuple(path for path in sys.path if path) if not self._worker.startswith("pytest_netbench.") else ()
        command = (sys.executable, "-I", "-S", str(package / "hosts" / "holder.py"), mode, self._worker, *extra)
        intended = f"holder of {self._ledger.run}"
        self._ledger.intent(PROCESS, intended)
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                namespace.within(command) if self._own else command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for the one who holds its input
            )
        self._identity = identify(self._process.pid)
        self._ledger.made(PROCESS, self._identity)
        self._ledger.removed(PROCESS, intended)
        self._ask({"do": "table", "table": self._table})
        return self._next(time.monotonic() + deadline, "the holder of the workers")

    def is_alive(self, name: str) -> bool:
        """Whether a worker was started and hasn't been heard to end."""
        while self._process is not None and (answer := self._poll(0.0)) is not None:
            self._note(answer)
        return name in self._alive

    def workers(self, requests: Sequence[Mapping[str, str]], deadline: float) -> None:
        """Start workers, all at once, and wait until each listens.

        :raises HostError: for the first that ends instead, or isn't there in time; with the end of its log.
        """
        for request in requests:
            self._ask({"do": "start", **request})
        missing = {request["name"]: request["log"] for request in requests}
        until = time.monotonic() + deadline
        while missing:
            answer = self._next(until, f"the worker of {', '.join(missing)}")
            self._note(answer)
            log = missing.pop(answer["name"], None)
            if log is not None and answer["event"] != "ready":
                raise HostError(f"the worker of {answer['name']} ended with {answer['status']}:\n{tail(Path(log))}")

    def end(self, names: Sequence[str], deadline: float) -> None:
        """End workers, and wait until each has ended; one that isn't there is no error.

        :raises HostError: if one is still there in the end.
        """
        waiting = {name for name in names if self.is_alive(name)}
        for name in waiting:
            self._ask({"do": "end", "name": name})
        until = time.monotonic() + deadline
        while waiting & set(self._alive):
            self._note(self._next(until, f"the end of {', '.join(sorted(waiting))}"))

    def keep(self) -> None:
        """Leave everything running when this process ends."""
        self._ask({"do": "keep"})

    def stop(self) -> None:
        """End all of them, and read how the holder ended."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(END_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        self._alive.clear()
        self._ledger.removed(PROCESS, self._identity)

    def _note(self, answer: Mapping[str, Any]) -> None:
        if answer["event"] == "ready":
            self._alive[answer["name"]] = answer["pid"]
        elif self._alive.get(answer["name"]) == answer["pid"]:
            del self._alive[answer["name"]]

    def _ask(self, request: Mapping[str, str]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise HostError(f"the holder of the workers is gone:\n{tail(self._log)}") from None

    def _next(self, until: float, who: str) -> Mapping[str, Any]:
        answer = self._poll(until - time.monotonic())
        if answer is None:
            raise HostError(f"{who} isn't ready in time:\n{tail(self._log)}")
        return answer

    def _poll(self, seconds: float) -> Mapping[str, Any] | None:
        assert self._process is not None
        assert self._process.stdout is not None
        until = time.monotonic() + seconds
        while b"\n" not in self._text:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return None
            data = os.read(self._process.stdout.fileno(), _READ)
            if not data:
                raise HostError(f"the holder of the workers ended:\n{tail(self._log)}")
            self._text += data
        line, _, self._text = self._text.partition(b"\n")
        answer: Mapping[str, Any] = json.loads(line)
        return answer


def tail(path: Path) -> str:
    """The end of a log; empty if there is none."""
    try:
        return path.read_text(errors="replace")[-TAIL:].strip()
    except OSError:
        return ""
