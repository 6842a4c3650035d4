"""Of which scenarios are the recorded traces? Each folder of ``tests/data/traces`` was written by the real drivers."""

from __future__ import annotations

from pathlib import Path

from pytest_netbench.roles import Role
from pytest_netbench.scenario.model import (
    Client,
    ClientScope,
    Connect,
    Connection,
    ConnectionOp,
    Iterate,
    OpenBidirectionalStream,
    Profile,
    Receive,
    ReceiveFinish,
    Scenario,
    Scope,
    Send,
    SendFinish,
    Server,
    Time,
)
from pytest_netbench.telemetry.model import DriverReport
from pytest_netbench.telemetry.stdio_trace import Written, parse

TRACES = Path(__file__).parents[1] / "data" / "traces"


def peer(stream: int, *operations: ConnectionOp) -> tuple[ConnectionOp, ...]:
    return (*operations, SendFinish(stream), ReceiveFinish(stream))


def own(stream: int, *operations: ConnectionOp) -> tuple[ConnectionOp, ...]:
    return (OpenBidirectionalStream(stream), *peer(stream, *operations))


def scenario(client: Connection, server: Connection, *traces: str, parallel: bool = False) -> Scenario:
    dial = Connect(0, 0, 0)
    dials = (ClientScope(((dial,), (dial,))), dial) if parallel else (dial,)
    return Scenario("x", (Client(dials, (client,)),), (Server((server,)),), traces=traces)


EXCHANGE = scenario(
    Connection(own(0, Profile(0, (Send(0, 1000), Receive(0, 100_000))))),
    Connection((), (peer(0, Receive(0, 1000), Profile(1, (Send(0, 100_000),))),)),
    "exchange",
    "response",
    parallel=True,
)
PING = scenario(
    Connection(own(0, Iterate(Time(8), (Send(0, 1000), Receive(0, 1000)), 0))),
    Connection((), (peer(0, Iterate(Time(8), (Receive(0, 1000), Send(0, 1000)), 1)),)),
    "ping 1KB",
    "pong 1KB",
)
TWO_STREAMS = scenario(
    Connection((Scope((own(0, Send(0, 500), Receive(0, 40_000)), own(1, Send(1, 600), Receive(1, 50_000)))),)),
    Connection((), (peer(0, Receive(0, 500), Send(0, 40_000)), peer(1, Receive(1, 600), Send(1, 50_000)))),
)
BOTH_WAYS = scenario(
    Connection(own(0, Send(0, 500), Receive(0, 40_000)), (peer(0, Receive(0, 700), Send(0, 80)),)),
    Connection(own(0, Send(0, 700), Receive(0, 80)), (peer(0, Receive(0, 500), Send(0, 40_000)),)),
)


def read(name: str, of: Scenario, role: Role, first_ns: int | None = None) -> DriverReport:
    """The report of one recorded end; ``first_ns``: when its first line was written."""
    output = (TRACES / name / f"{role.value}.out").read_bytes()
    written = [] if first_ns is None else [Written(first_ns, output.find(b"\n") + 1)]
    return parse(output, of, role, 0, first_ns=first_ns, written=written)
