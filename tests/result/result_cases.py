"""What do the tests of results start from? Small rounds, hosts and sessions, each made with what a test is about."""

from __future__ import annotations

from typing import Any

from pytest_netbench.result.metrics import measure
from pytest_netbench.result.model import Round, SessionRecord, TestRecord
from pytest_netbench.result.summary import summarise
from pytest_netbench.roles import Role
from pytest_netbench.scenario.analysis import Analysis
from pytest_netbench.scenario.model import Client, Connect, Connection, Scenario, Server
from pytest_netbench.telemetry.model import (
    ConnectionReport,
    CpuScope,
    CpuUse,
    DriverReport,
    Ending,
    HostReport,
    KernelCounters,
    StreamBytes,
)

MS = 1_000_000  # a millisecond, in nanoseconds


def carries(client_to_server: int | None = None, server_to_client: int | None = None) -> Analysis:
    """The analysis of a scenario with so much payload; None: a time decides."""
    return Analysis(1, 1, 1, 1, client_to_server, server_to_client, 0.0, frozenset(), ())


def scenario(clients: int = 1, servers: int = 1, connects: int = 1, **more: Any) -> Scenario:
    """Each client dials each server so many times."""
    dials = tuple(Connect(server, 0, 0) for server in range(servers) for _ in range(connects))
    return Scenario(
        "id",
        tuple(Client(dials, more.pop("programs", (Connection(),))) for _ in range(clients)),
        tuple(Server((Connection(),)) for _ in range(servers)),
        **more,
    )


def stream(sent: int = 0, received: int = 0, number: int = 0, *, here: bool = True, cut: bool = False) -> StreamBytes:
    return StreamBytes(number, here, sent, received, cut)


def connection(*streams: StreamBytes, key: str | None = None, **more: Any) -> ConnectionReport:
    return ConnectionReport(more.pop("server", 0), 0, key, streams, **more)


def driver(*connections: ConnectionReport, **more: Any) -> DriverReport:
    first, last = more.pop("window", (0, 1000 * MS))
    cpu, scope = more.pop("cpu", None), more.pop("scope", CpuScope.WINDOW)
    return DriverReport(
        began_ns=0,
        first_byte_ns=first,
        last_byte_ns=last,
        connections=connections,
        samples=more.pop("samples", {}),
        cpu=None if cpu is None else CpuUse(cpu, scope),
        peak_rss=more.pop("rss", None),
        problems=more.pop("problems", ()),
        untold=more.pop("untold", frozenset()),
    )


def host(name: str, *connections: ConnectionReport, **more: Any) -> HostReport:
    """A host by its name, ``client0`` or ``server1``."""
    role = Role.SERVER if name.startswith("server") else Role.CLIENT
    drops, resent = more.pop("drops", 0), more.pop("resent", 0)
    return HostReport(
        host=name,
        role=role,
        index=int(name[-1]),
        armed=more.pop("armed", True),
        began_ns=more.pop("began", 0),
        ended_ns=more.pop("ended", 2000 * MS),
        ending=more.pop("ending", Ending(0, None, expected=True)),
        counters=KernelCounters(more.pop("namespace", "one"), resent, drops, more.pop("held_back", {})),
        starved=more.pop("starved", ""),
        use=more.pop("use", None),
        clock_step_s=more.pop("clock_step", 0.0),
        driver=driver(*connections, **more),
    )


def download(size: int = 1000, key: str | None = "a>b") -> list[HostReport]:
    """One client that got so much from one server over one second, asking with ten bytes."""
    return [
        host("server0", connection(stream(size, 10, here=False), key=key), cpu=0.5, rss=7, window=(0, MS)),
        host("client0", connection(stream(10, size), key=key, connect_s=0.002), cpu=0.25, rss=5),
    ]


def round_(index: int = 0, **metrics: float) -> Round:
    """A valid round with these metrics; dots in names are written as two underscores."""
    named = {name.replace("__", "."): value for name, value in metrics.items()}
    return Round(index, None, "2026-01-01T00:00:00Z", 1.0, named, 0.0, True, 0, (), logs=f"runs/test/{index}")


def sampled(count: int, index: int = 0, validity: tuple[str, ...] = ()) -> Round:
    """A round with so many samples of the trace ``t``: 1 ms, 2 ms ..."""
    hosts = [host("client0", connection(stream(0, 1)), samples={"t": tuple(n / 1000 for n in range(1, count + 1))})]
    metrics, samples, whole = measure(scenario(traces=("t",)), hosts)
    return Round(index, None, "now", 1.0, metrics, 0.0, True, 0, validity, samples, whole, f"runs/test/{index}")


def record(*rounds: Round, **more: Any) -> TestRecord:
    summary = more.pop("summary", None) or summarise(rounds)
    return TestRecord(
        more.pop("nodeid", "test_a.py::test_a"),
        "id",
        "ping",
        "tcp",
        "local",
        ({"name": "server-0"},),
        "passed",
        rounds,
        summary,
        **more,
    )


def session(*tests: TestRecord) -> SessionRecord:
    return SessionRecord("run", "now", "local", {"pytest": "8"}, {"kernel": "6", "cores": 2}, tests)
