"""Who stands in the hosts' network as long as a session lasts? One process that forks a worker for each host.

It reads a request a line from standard input and answers on standard output, JSON both. Workers are forked from it, so
that one costs milliseconds. When its input ends, its owner is gone, however it ended: everything is killed. As the
first process of its namespace it takes all others with it; elsewhere it adopts orphans and kills its descendants.

Requests: ``{"do": "table", "table"}`` (of drivers), ``{"do": "start", "name", "control", "directory", "log"}``,
``{"do": "end", "name"}``, ``{"do": "keep"}``.
Answers: ``{"event": "up", "mtu", "own"}``, then ``{"event": "ready|ended", "name", "pid", "status"}``.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_READ = 1 << 16

Worker = Callable[..., None]


class Holder:
    """The loop: requests in, processes made, their ends told."""

    def __init__(self, worker: Worker) -> None:
        self._worker, self._table = worker, ""
        self._selector = selectors.DefaultSelector()
        self._names: dict[int, str] = {}
        self._text = b""
        self._keep = False
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        """Serve until the input ends."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        self._selector.register(self._wake, selectors.EVENT_READ, self._reap)
        self._selector.register(0, selectors.EVENT_READ, self._requests)
        while self._selector.get_map() and self._open():
            for key, _ in self._selector.select():
                key.data()

    def _open(self) -> bool:
        return 0 in self._selector.get_map() or self._keep

    def _requests(self) -> None:
        data = os.read(0, _READ)
        if not data:
            self._selector.unregister(0)
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if request["do"] == "table":
                self._table = request["table"]
            elif request["do"] == "keep":
                self._keep = True
            elif request["do"] == "end":
                self._end(request["name"])
            else:
                self._start(request)

    def _start(self, request: dict[str, Any]) -> None:
        told, tell = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            self._be_worker(request, tell)
        os.close(tell)
        self._names[pid] = request["name"]
        self._selector.register(told, selectors.EVENT_READ, lambda: self._told(told, pid))

    def _end(self, name: str) -> None:
        for pid in [pid for pid, worker in self._names.items() if worker == name]:
            os.kill(pid, signal.SIGTERM)  # it is ours and not waited for yet, so the number is still its own

    def _told(self, told: int, pid: int) -> None:
        ready = os.read(told, 1)
        self._selector.unregister(told)
        os.close(told)
        if ready:
            self._answer(event="ready", name=self._names.get(pid, ""), pid=pid, status=None)

    def _be_worker(self, request: dict[str, Any], tell: int) -> None:
        """What a fork does; it never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._selector.close()
            os.setsid()
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (log, 1), (log, 2)):
                os.dup2(source, target)
            os.closerange(3, tell)
            os.closerange(tell + 1, min(_READ, os.sysconf("SC_OPEN_MAX")))

            def ready(_address: str) -> None:
                os.write(tell, b"+")
                os.close(tell)

            self._worker(request["control"], self._table, request["directory"], ready)
            status = 0
        except BaseException:  # noqa: BLE001  whatever it was: it goes into the worker's log, and the fork ends here
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        os.read(self._wake, _READ)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._names:
                code = os.waitstatus_to_exitcode(status)
                self._answer(event="ended", name=self._names.pop(pid), pid=pid, status=code)

    def _answer(self, **answer: object) -> None:
        try:
            os.write(1, json.dumps(answer).encode() + b"\n")
        except BrokenPipeError:  # the owner is gone; its input will end, or the hosts are kept
            return


def prctl(option: int, value: int) -> None:
    """Set one attribute of this process.

    :raises OSError: if the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def kill_descendants() -> None:
    """Kill every process under this one, until none is left."""
    from pytest_netbench.telemetry.proc import descendants

    while found := descendants(os.getpid()):
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            while os.waitpid(-1, 0)[0]:
                continue
        except ChildProcessError:
            continue


def main(mode: str, worker: str) -> None:
    """Hold a namespace of its own (``own``), or stand on the machine; ``worker`` is ``MODULE:FUNCTION``."""
    from pytest_netbench.hosts import namespace

    own = mode == "own"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if own:
        namespace.bring_up()
    else:
        prctl(_PR_SET_CHILD_SUBREAPER, 1)
    module, _, function = worker.partition(":")
    holder = Holder(getattr(import_module(module), function))
    up = {"event": "up", "mtu": namespace.mtu_of_lo(), "own": own}
    os.write(1, json.dumps(up).encode() + b"\n")
    try:
        holder.run()
    finally:
        if not own:
            kill_descendants()


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2]), *sys.argv[3:]]
    main(sys.argv[1], sys.argv[2])
