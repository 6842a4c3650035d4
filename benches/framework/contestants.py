"""Who is measured, and how? Drivers between two passages of a gate, iperf3, and bare sockets.

Every driver is timed in the same way, from outside and without its traces: its client passes the gate, a server of this
process, before and after the part that counts. A first connection before that warms both sides up, since the real
drivers fill a buffer of 100 MB for it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from pytest_netbench.roles import Role  # noqa: E402 - the checkout's own, installed or not
from pytest_netbench.scenario import model as m  # noqa: E402
from pytest_netbench.scenario.certificates import certify  # noqa: E402
from pytest_netbench.telemetry.model import DriverReport  # noqa: E402
from pytest_netbench.telemetry.report_json import load  # noqa: E402

DEADLINE_S = 60
HERE = "127.0.0.1"
GATE_PROGRAM = m.Connection(peer_streams=((m.Receive(0, 1), m.Send(0, 1), m.SendFinish(0), m.ReceiveFinish(0)),))
SMALL = 1000


@dataclass(frozen=True, slots=True)
class Contestant:
    """A driver's two command lines. ``secure``: it needs certificates."""

    name: str
    server: tuple[str, ...]
    client: tuple[str, ...]
    secure: bool = False


def ours(transport: str = "tcp") -> Contestant:
    """The built-in driver, of this checkout."""
    program = (sys.executable, "-I", "-S", str(ROOT / "pytest_netbench/drivers/builtin/__main__.py"), transport)
    return Contestant(transport, (*program, "server"), (*program, "client"), secure=transport != "tcp")


def real(stack: str = "tcp", trace: str = "disabled") -> Contestant | None:
    """A real driver, if it is installed."""
    path = f"{os.environ.get('PATH', '')}:{Path.home() / '.cargo/bin'}"
    found = [shutil.which(f"s2n-netbench-driver-{role}-{stack}", path=path) for role in ("server", "client")]
    server, client = found
    if server is None or client is None:
        return None
    traced = ("--trace", trace)
    return Contestant(f"s2n-{stack}", (server, "--ip", HERE, *traced), (client, *traced), secure=stack != "tcp")


# --- the gate ----------------------------------------------------------------------------------


class Gate:
    """A server of the scenario that notes when a client passes; in TLS where clients speak that."""

    def __init__(self, secure: m.Scenario | None = None) -> None:
        self._context = None if secure is None else _context(secure)
        self._listening = socket.create_server((HERE, 0))
        self.address = f"{HERE}:{self._listening.getsockname()[1]}"
        self.passed: list[int] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                accepted, _ = self._listening.accept()
                wrapped = None if self._context is None else self._context.wrap_socket(accepted, server_side=True)
                with wrapped or accepted as connection:
                    missing = 9
                    while missing:
                        missing -= len(connection.recv(missing))
                    self.passed.append(time.monotonic_ns())
                    connection.sendall(b"*")

    def close(self) -> None:
        """Stop serving."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


def _context(scenario: m.Scenario) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        key, chain = Path(folder, "key"), Path(folder, "chain")
        key.write_text(scenario.certificates[1].pem)
        chain.write_text(scenario.certificates[2].pem)
        context.load_cert_chain(chain, key)
    return context


def between_gates(near: Sequence[m.ConnectionOp], far: Sequence[m.ConnectionOp], connects: int = 1) -> m.Scenario:
    """A scenario whose client warms up, passes the gate, makes connections of these programs, passes it again."""
    ends = (m.SendFinish(0), m.ReceiveFinish(0))
    warm = (m.Send(0, SMALL), m.Receive(0, SMALL))
    programs = (warm, (m.Send(0, 1), m.Receive(0, 1)), tuple(near))
    client = m.Client(
        scenario=(m.Connect(0, 0, 0), m.Connect(1, 0, 1), *(m.Connect(0, 1, 2),) * connects, m.Connect(1, 0, 1)),
        connections=tuple(m.Connection(ops=(m.OpenBidirectionalStream(0), *one, *ends)) for one in programs),
    )
    warm_server = m.Connection(peer_streams=((m.Receive(0, SMALL), m.Send(0, SMALL), *ends),))
    server = m.Server(connections=(warm_server, m.Connection(peer_streams=((*far, *ends),))))
    return m.Scenario("drivers", (client,), (server, m.Server(connections=(GATE_PROGRAM,))))


def download(size: int) -> m.Scenario:
    """One response of this many bytes."""
    return between_gates((m.Send(0, SMALL), m.Receive(0, size)), (m.Receive(0, SMALL), m.Send(0, size)))


def pings(count: int) -> m.Scenario:
    """So many round trips of 1 KB."""
    return between_gates(
        (m.Iterate(m.Count(count), (m.Send(0, SMALL), m.Receive(0, SMALL))),),
        (m.Iterate(m.Count(count), (m.Receive(0, SMALL), m.Send(0, SMALL))),),
    )


def connects(count: int) -> m.Scenario:
    """So many connections one after another, a byte each way."""
    return between_gates((m.Send(0, 1), m.Receive(0, 1)), (m.Receive(0, 1), m.Send(0, 1)), count)


# --- runs --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds between the gates; CPU seconds of both sides in their windows, where the driver tells."""

    seconds: float
    cpu_s: float | None


class Failure(Exception):
    """A contestant didn't do its work."""


@contextlib.contextmanager
def on_cpu(side: int) -> Iterator[None]:
    """Keep what is started meanwhile to a processor of its own for each side (0 or 1), as two hosts would.

    Else the kernel puts both on one in some rounds and on two in others, and a round trip takes 15 or 50 microseconds.
    """
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cpus)[side % len(cpus)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus)


def run(contestant: Contestant, scenario: m.Scenario) -> Run:
    """Run a scenario of ``between_gates`` once, in fresh processes."""
    scenario = certify(scenario) if contestant.secure else scenario
    gate = Gate(scenario if contestant.secure else None)
    try:
        reports = carry_out(contestant, scenario, {"SERVER_1": gate.address})
    finally:
        gate.close()
    if len(gate.passed) != 2:
        raise Failure(f"{contestant.name}: its client passed the gate {len(gate.passed)} times, expected 2")
    used = [one.cpu.seconds for one in reports.values() if one.cpu is not None]
    return Run((gate.passed[1] - gate.passed[0]) / 1e9, sum(used) if len(used) == 2 else None)


def carry_out(contestant: Contestant, scenario: m.Scenario, peers: Mapping[str, str]) -> dict[Role, DriverReport]:
    """Carry a scenario out once, in fresh processes, and give the reports of those that write one."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        scenario.write(place / "scenario.json")
        written = {role: place / f"{role}.json" for role in Role}
        port = free_port()
        base = {**os.environ, "SCENARIO": str(place / "scenario.json"), "SERVER_0": f"{HERE}:{port}", **peers}
        server_env = {**base, "IP": HERE, "PORT": str(port), "NETBENCH_REPORT": str(written[Role.SERVER])}
        with (
            serving(contestant.server, port, server_env, place / "server.out"),
            on_cpu(1),
            (place / "client.out").open("wb") as output,
        ):
            done = subprocess.run(
                contestant.client,
                env={**base, "NETBENCH_REPORT": str(written[Role.CLIENT])},
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                timeout=DEADLINE_S,
                check=False,
            )
        if done.returncode:
            raise Failure(f"{contestant.name}: client ended with {done.returncode}: {done.stderr.strip()}")
        return {role: load(path.read_bytes()) for role, path in written.items() if path.exists()}


@contextlib.contextmanager
def serving(
    command: Sequence[str], port: int, env: dict[str, str] | None = None, output: Path = Path(os.devnull)
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that listens, ended by SIGTERM; ``output``: where what it says goes."""
    with on_cpu(0), output.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + DEADLINE_S
        while not listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise Failure(f"{command[0]} doesn't listen on {port}: exit status {process.returncode}")
            time.sleep(0.005)
        yield process
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.create_server((HERE, 0)) as one:
        port: int = one.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody does, read from the kernel's tables."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    return True
    return False


# --- references that aren't drivers ------------------------------------------------------------


def iperf3(size: int) -> Run:
    """One stream of iperf3; its own time between first and last byte, the CPU of both whole processes."""
    port = free_port()
    before = os.times()
    with serving(("iperf3", "-s", "-1", "-B", HERE, "-p", str(port)), port) as server:
        with on_cpu(1):
            done = subprocess.run(
                ("iperf3", "-c", HERE, "-p", str(port), "-n", str(size), "-J"),
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
                check=False,
            )
        if done.returncode:
            raise Failure(f"iperf3: client ended with {done.returncode}: {done.stderr.strip()}")
        server.wait(DEADLINE_S)
    after = os.times()
    said = json.loads(done.stdout)["end"]["sum_received"]
    cpu = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    return Run(said["seconds"] or math.nan, cpu)


BARE = """
import socket, sys, time
count, size = int(sys.argv[2]), int(sys.argv[3])
view = memoryview(bytearray(size))

def receive(connection):
    left = size
    while left:
        came = connection.recv_into(view[:left])
        if not came:
            sys.exit("closed")
        left -= came

if sys.argv[1] == "server":
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    connection, _ = listening.accept()
else:
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
began = time.monotonic_ns()
for _ in range(count):
    if sys.argv[1] == "server":
        receive(connection)
        connection.sendall(view)
    else:
        connection.sendall(view)
        receive(connection)
print(time.monotonic_ns() - began)
"""


def blocking_pings(count: int) -> Run:
    """Round trips over two bare blocking sockets, in Python as ours are."""
    command = (sys.executable, "-I", "-S", "-c", BARE)
    with on_cpu(0):
        server = subprocess.Popen((*command, "server", str(count), str(SMALL)), stdout=subprocess.PIPE, text=True)
    with server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            with on_cpu(1):
                done = subprocess.run(
                    (*command, port, str(count), str(SMALL)), stdout=subprocess.PIPE, timeout=DEADLINE_S, check=True
                )
        finally:
            server.terminate()
    return Run(int(done.stdout) / 1e9, None)
