"""How do tests run the driver? Fresh processes on 127.0.0.1, ports that the kernel chooses, reports read back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_netbench.scenario import model as m
from pytest_netbench.telemetry.model import DriverReport
from pytest_netbench.telemetry.report_json import load

ROOT = Path(__file__).parents[3]
PROGRAM_FILE = str(ROOT / "pytest_netbench/drivers/builtin/__main__.py")
DRIVER = (sys.executable, "-I", "-S", PROGRAM_FILE)
WITH_PACKAGES = (sys.executable, "-I", PROGRAM_FILE)
PROGRAM = (*DRIVER, "tcp")
HERE = "127.0.0.1"
DEADLINE = 60
OPEN = m.OpenBidirectionalStream(0)
FINISH = (m.SendFinish(0), m.ReceiveFinish(0))


def scenario(
    near: Sequence[m.ConnectionOp],
    far: Sequence[m.ConnectionOp] = (),
    *,
    client: Sequence[m.ClientOp] = (m.Connect(0, 0, 0),),
    server: Mapping[str, str] | None = None,
) -> m.Scenario:
    """One program at each end, on stream 0 of the client; one connection, unless ``client`` says otherwise."""
    return m.Scenario(
        "test",
        (m.Client(tuple(client), (m.Connection(ops=(OPEN, *near, *FINISH)),)),),
        (m.Server((m.Connection(peer_streams=((*far, *FINISH),)),), configuration=server or {}),),
        traces=("outer", "inner"),
    )


@dataclass(frozen=True)
class Done:
    """How a process ended."""

    status: int
    errors: str
    report: DriverReport | None

    @property
    def seen(self) -> DriverReport:
        """The report, which must be there."""
        assert self.report is not None, self.errors
        return self.report


class Running:
    """A driver that runs."""

    def __init__(
        self, role: str, path: Path, env: Mapping[str, str], *, transport: str = "tcp", pass_fds: Sequence[int] = ()
    ) -> None:
        self.path = path.with_name(f"{role}-report.json")
        self.path.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            (sys.executable, "-I", PROGRAM_FILE, transport, role)
            if transport == "quic"
            else (*DRIVER, transport, role),
            env={**os.environ, "SCENARIO": str(path), "NETBENCH_REPORT": str(self.path), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=tuple(pass_fds),
        )

    def address(self) -> str:
        """Where a server says that it listens."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), self.wait()
        return line.removeprefix("listening on ").strip()

    def wait(self) -> Done:
        """Its end."""
        _, errors = self.process.communicate(timeout=DEADLINE)
        report = load(self.path.read_bytes()) if self.path.exists() else None
        assert "Traceback" not in errors, errors
        return Done(self.process.returncode, errors, report)

    def stop(self, by: signal.Signals = signal.SIGTERM) -> Done:
        """Its end, asked for by a signal."""
        self.process.send_signal(by)
        return self.wait()

    def kill(self) -> None:
        """Leave nothing, whatever the test has come to."""
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()


def written(one: m.Scenario, folder: Path) -> Path:
    """The scenario's file."""
    path = folder / "scenario.json"
    one.write(path)
    return path


@contextmanager
def serving(path: Path, *, transport: str = "tcp", **env: str) -> Iterator[tuple[Running, str]]:
    """A server, and its address."""
    server = Running("server", path, {"IP": HERE, "PORT": "0", **env}, transport=transport)
    try:
        yield server, server.address()
    finally:
        server.kill()


@contextmanager
def dialling(
    path: Path, address: str, *, transport: str = "tcp", pass_fds: Sequence[int] = (), **env: str
) -> Iterator[Running]:
    """A client of the server at that address."""
    client = Running("client", path, {"SERVER_0": address, **env}, transport=transport, pass_fds=pass_fds)
    try:
        yield client
    finally:
        client.kill()


def run(one: m.Scenario, folder: Path, *, transport: str = "tcp", **env: str) -> tuple[Done, Done]:
    """Server and client of a scenario, run to their ends."""
    path = written(one, folder)
    with (
        serving(path, transport=transport, **env) as (server, address),
        dialling(path, address, transport=transport, **env) as client,  # type: ignore[arg-type]  # the environment's
    ):
        ended = client.wait()
        return server.stop(), ended


@contextmanager
def accepting() -> Iterator[tuple[socket.socket, str]]:
    """A socket of the test's own that listens, and its address."""
    with socket.create_server((HERE, 0)) as listening:
        listening.settimeout(DEADLINE)
        yield listening, f"{HERE}:{listening.getsockname()[1]}"


def dial(address: str) -> socket.socket:
    """A connection of the test's own."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=DEADLINE)


def reset(connection: socket.socket) -> None:
    """Close so that the peer sees a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
