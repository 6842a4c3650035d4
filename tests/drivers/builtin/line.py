"""What lies between a client and a server that a test wants to disturb? A line of TCP, which can be cut or spoilt."""

from __future__ import annotations

import contextlib
import enum
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.drivers.builtin.builtin_processes import DEADLINE, HERE, dial, reset

_AT_ONCE = 65_536
_MUCH = 20_000


class Fault(enum.Enum):
    """What a line can do to both ends. ``SILENT``: nothing arrives any more; ``SPOILT``: the next bytes are others."""

    CLOSED = b"c"
    RESET = b"r"
    SILENT = b"s"
    SPOILT = b"x"


class Line:
    """Carries one connection to a server's address, until a fault. ``carried``: more than a handshake."""

    def __init__(self, listening: socket.socket, target: str) -> None:
        self._listening = listening
        self._target = target
        self._ear, self._mouth = socket.socketpair()
        self._spoils = False
        self._count = 0
        self.carried = threading.Event()
        self._coming: dict[socket.socket, bytes] = {}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def has(self, fault: Fault) -> None:
        """Let the fault happen."""
        self._mouth.send(fault.value)

    def idle(self) -> bool:
        """Whether it carries a connection, and there is nothing that it could carry now."""
        ends = dict(self._coming)
        other = dict(zip(ends, reversed(ends), strict=True))
        return bool(ends) and not select.select([one for one in ends if not ends[other[one]]], [], [], 0)[0]

    def over(self) -> None:
        """Close it, if that hasn't happened."""
        self.has(Fault.CLOSED)
        self._thread.join()
        self._ear.close()
        self._mouth.close()

    def _run(self) -> None:
        if self._told([self._listening]):
            return
        near, _ = self._listening.accept()
        with contextlib.suppress(ConnectionError), near, dial(self._target) as far:
            other = {near: far, far: near}
            coming = self._coming = dict.fromkeys(other, b"")  # what is to be sent to each
            for one in other:
                one.setblocking(False)
            while (fault := self._told([one for one in other if not coming[other[one]]], coming)) is None:
                pass
            if fault is Fault.RESET:
                reset(near)
                reset(far)

    def _told(self, readable: list[socket.socket], coming: dict[socket.socket, bytes] | None = None) -> Fault | None:
        """Carry what can be carried now; the fault that ends the line, if it is told of one."""
        full = [one for one, data in (coming or {}).items() if data]
        can_read, can_write, _ = select.select([self._ear, *readable], full, [], DEADLINE)
        if self._ear in can_read:
            return self._disturbed(Fault(self._ear.recv(1)))
        if coming is None:
            return None
        for one in can_write:
            coming[one] = coming[one][one.send(coming[one]) :]
        other = dict(zip(coming, reversed(coming), strict=True))
        for one in can_read:
            data = one.recv(_AT_ONCE)
            self._count += len(data)
            if self._count > _MUCH:
                self.carried.set()
            coming[other[one]] = data[:-1] + bytes([data[-1] ^ 1]) if self._spoils and data else data
            if not data:
                return Fault.CLOSED
        return None

    def _disturbed(self, fault: Fault) -> Fault | None:
        if fault is Fault.SPOILT:
            self._spoils = True
            return None
        if fault is Fault.SILENT:
            return Fault(self._ear.recv(1))
        return fault


@contextmanager
def line_to(target: str) -> Iterator[tuple[Line, str]]:
    """A line to a server, and the address at which a client finds it."""
    with socket.create_server((HERE, 0)) as listening:
        line = Line(listening, target)
        try:
            yield line, f"{HERE}:{listening.getsockname()[1]}"
        finally:
            line.over()
