"""What if a peer fails in the middle of an operation? Each of them, over every wire, at either end, by each fault."""

from __future__ import annotations

import contextlib
import re
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_netbench.roles import Role
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.certificates import certify
from tests.drivers.builtin.builtin_processes import (
    DEADLINE,
    HERE,
    Done,
    Running,
    dialling,
    run,
    scenario,
    serving,
    written,
)
from tests.drivers.builtin.line import Fault, Line, line_to

OPEN = m.OpenBidirectionalStream(0)
STAYS = m.Sleep(60_000)
MUCH = 500_000_000
CLOSED = "the peer closed"
GONE = "connection reset by peer|broken pipe|the peer closed"
"""How it is said that nobody takes what is sent: what the kernel knows depends on what came first."""

NOT_OVER_QUIC = ("send", "receive finish")
"""aioquic takes whatever the peer sends, and the end of receiving waits for nobody."""

SAMPLE = {("tcp", Fault.RESET), ("tcp-frames", Fault.CLOSED), ("tls", Fault.CLOSED), ("tls-frames", Fault.RESET),
          ("quic", Fault.CLOSED)}  # fmt: skip


@dataclass(frozen=True)
class Wire:
    """A transport, with or without frames."""

    transport: str
    framed: bool

    @property
    def env(self) -> dict[str, str]:
        return {} if self.transport == "quic" else {"MULTIPLEX": str(self.framed).lower()}


WIRES = {
    "tcp": Wire("tcp", framed=False),
    "tcp-frames": Wire("tcp", framed=True),
    "tls": Wire("tls", framed=False),
    "tls-frames": Wire("tls", framed=True),
    "quic": Wire("quic", framed=True),
}


@dataclass(frozen=True)
class Stuck:
    """An operation that waits for its peer: the programs on the client's one stream, ours and that of the peer.

    ``says``: how the line calls the operation. ``closed``: what it says of a peer that closes in order, None if that is
    a good end. ``waits``: what it adds when it is ended. ``framed``: there is no such wait on a raw stream.
    """

    ours: tuple[m.ConnectionOp, ...]
    theirs: tuple[m.ConnectionOp, ...]
    says: str
    closed: str | None
    waits: str = ""
    framed: bool = False


OPERATIONS = {
    "receive": Stuck((m.Receive(0, 1000),), (m.Send(0, 400), STAYS), "stream 0, receive 1,000 bytes",
                     "the peer closed, 600 bytes are missing", ": 600 are missing"),
    "receive all": Stuck((m.ReceiveAll(0),), (m.Send(0, 400), STAYS), "stream 0, receive all",
                         "the peer closed before the stream was finished"),
    "send": Stuck((m.Send(0, MUCH),), (STAYS,), f"stream 0, send {MUCH:,} bytes", GONE, ": "),
    "send at a rate": Stuck((m.SendRate(0, 1, 600), m.Send(0, 1000)), (STAYS,), "stream 0, send 1,000 bytes", GONE),
    "receive finish": Stuck((m.ReceiveFinish(0),), (STAYS,), "stream 0, receive finish", None, framed=True),
    "accept": Stuck((), (STAYS, OPEN), "stream 0 of the peer, accept", CLOSED, framed=True),
}  # fmt: skip


def between(name: str, ours: Role) -> m.Scenario:
    """The operation at that end, its peer at the other."""
    one = OPERATIONS[name]
    if name == "accept":
        mine, peer = m.Connection(peer_streams=((m.Receive(0, 1),),)), m.Connection(one.theirs)
    elif ours is Role.CLIENT:
        mine, peer = m.Connection((OPEN, *one.ours)), m.Connection(peer_streams=(one.theirs,))
    else:
        mine, peer = m.Connection(peer_streams=(one.ours,)), m.Connection((OPEN, *one.theirs))
    near, far = (mine, peer) if ours is Role.CLIENT else (peer, mine)
    return certify(m.Scenario("test", (m.Client((m.Connect(0, 0, 0),), (near,)),), (m.Server((far,)),)))


def expected(name: str, wire: Wire, fault: Fault) -> str | None:
    """What the line says of the fault; None if there is none."""
    one = OPERATIONS[name]
    if one.closed == GONE:
        return GONE
    if fault is Fault.RESET:
        return "connection reset by peer"
    return None if name == "receive all" and not wire.framed else one.closed


CASES = [
    pytest.param(name, wire, role, fault, id=f"{name}-{key}-{role.value}-{fault.name.lower()}",
                 marks=[] if (key, fault) in SAMPLE else pytest.mark.deep)
    for key, wire in WIRES.items() for name, one in OPERATIONS.items() for role in Role
    for fault in (Fault.CLOSED, Fault.RESET, Fault.SILENT)
    if (wire.framed or not one.framed) and not (key == "quic" and (fault is Fault.RESET or name in NOT_OVER_QUIC))
]  # fmt: skip


@contextlib.contextmanager
def disturbed(one: m.Scenario, wire: Wire, role: Role, fault: Fault, folder: Path) -> Iterator[Running]:
    """The end that is tested, in the middle of its operation, after the fault. QUIC's peer is signalled instead."""
    path = written(one, folder)
    with contextlib.ExitStack() as stack:
        server, address = stack.enter_context(serving(path, transport=wire.transport, **wire.env))
        line: Line | None = None
        if wire.transport != "quic":
            line, address = stack.enter_context(line_to(address))
        client = stack.enter_context(dialling(path, address, transport=wire.transport, **wire.env))  # type: ignore[arg-type]  # the environment's names
        ours, peer = (client, server) if role is Role.CLIENT else (server, client)
        _asleep(line, ours, peer)
        if line is not None:
            line.has(fault)
        else:
            peer.process.send_signal(signal.SIGTERM if fault is Fault.CLOSED else signal.SIGSTOP)
        yield ours


@pytest.mark.parametrize(("name", "wire", "role", "fault"), CASES)
def test_a_peer_that_fails_in_the_middle_of_an_operation(
    name: str, wire: Wire, role: Role, fault: Fault, tmp_path: Path
) -> None:
    """A status, and one line that names connection, stream and operation; a silent peer's, when the time is up."""
    one = OPERATIONS[name]
    with disturbed(between(name, role), wire, role, fault, tmp_path) as ours:
        if role is Role.CLIENT:
            done = ours.stop() if fault is Fault.SILENT else ours.wait()
        else:
            done = _served(ours, ends=fault is Fault.SILENT or expected(name, wire, fault) is None)
    if fault is Fault.SILENT:
        _is_ended(done, role, "sleep" if name == "send at a rate" else f"{one.says}{one.waits}")
        return
    why = expected(name, wire, fault)
    if why is None:
        assert (done.status, done.errors) == (0, "")
        return
    title = f"connection 0 {'to server 0 (' if role is Role.CLIENT else 'from '}{HERE}:"
    assert done.status == (1 if role is Role.CLIENT else 0)
    assert re.fullmatch(re.escape(title) + rf"\d+\)?, {re.escape(one.says)}: ({why})\n", done.errors), done.errors
    assert done.seen.problems == (done.errors.strip(),)


def _served(server: Running, *, ends: bool) -> Done:
    """The end of a server: at once if it has nothing to say, else when it has said it."""
    said = ""
    if not ends:
        assert server.process.stderr is not None
        said = server.process.stderr.readline()
    done = server.stop()
    return Done(done.status, said + done.errors, done.report)


def _is_ended(done: Done, role: Role, waits: str) -> None:
    """Only a client can tell that this isn't the end that it should have."""
    if role is Role.SERVER:
        assert (done.status, done.errors) == (0, "")
        return
    assert done.status == -signal.SIGTERM
    assert done.errors.startswith(f"ended by SIGTERM, waiting: connection 0 to server 0 ({HERE}:")
    assert waits in done.errors
    assert done.errors.count("\n") == 1


def _asleep(line: Line | None, *processes: Running) -> None:
    """Wait until all have had nothing to do for a while: all that could come has come."""
    until, quiet = time.monotonic() + DEADLINE, 0
    while quiet < _LOOKS:  # so many, and not so long: a test that was away itself has seen nothing meanwhile
        select.select([], [], [], 0.001)  # the line's turn
        busy = line is not None and not line.idle()
        quiet = 0 if busy or any(_state(one) != "S" for one in processes) else quiet + 1
        assert time.monotonic() < until


def _state(one: Running) -> str:
    return Path(f"/proc/{one.process.pid}/stat").read_text().rpartition(")")[2].split()[0]


_LOOKS = 130
"""Of a millisecond and a little each."""


# --- too much, and what is no TLS any more -----------------------------------------------------


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
@pytest.mark.parametrize("extra", [1, 300_000])
def test_a_peer_that_sends_too_much(extra: int, wire: Wire, role: Role, tmp_path: Path) -> None:
    """It is told at the end, also where more comes than a window holds: what was asked for has been received."""
    takes, gives = (m.Send(0, 1), m.Receive(0, 1000)), (m.Receive(0, 1), m.Send(0, 1000 + extra), m.Sleep(50))
    near, far = (takes, gives) if role is Role.CLIENT else (gives, takes)
    late = (m.Sleep(50),)  # it is there when the end comes
    near, far = ((*near, *late), far) if role is Role.CLIENT else (near, (*far, *late))
    server, client = run(certify(scenario(near, far)), tmp_path, transport=wire.transport, **wire.env)
    done = client if role is Role.CLIENT else server
    assert done.status == (1 if role is Role.CLIENT else 0)
    assert re.search(r"stream 0, end: the peer has sent [\d,]+ bytes more than are received\n$", done.errors), (
        done.errors
    )
    assert done.errors.count("\n") == 1
    assert done.seen.connections[0].streams[0].received == 1000


@pytest.mark.parametrize("framed", [False, True])
def test_what_is_spoilt_on_its_way(framed: bool, tmp_path: Path) -> None:
    """TLS notices; whoever gets the record first names it, the other end is told."""
    ask, answer = (m.Send(0, 9), m.Receive(0, 9)), (m.Receive(0, 9), m.Send(0, 9))
    many = m.Count(100_000_000)
    one = certify(scenario((m.Iterate(many, ask),), (m.Iterate(many, answer),)))
    wire = WIRES["tls-frames" if framed else "tls"]
    path = written(one, tmp_path)
    with (
        serving(path, transport="tls", **wire.env) as (server, address),
        line_to(address) as (line, there),
        dialling(path, there, transport="tls", **wire.env) as client,  # type: ignore[arg-type]  # the environment's
    ):
        line.carried.wait(DEADLINE)
        line.has(Fault.SPOILT)
        done, served = client.wait(), _served(server, ends=False)
    assert (done.status, done.errors.count("\n"), served.errors.count("\n")) == (1, 1, 1)
    for said in (done.errors, served.errors):
        assert "stream 0, " in said
        assert "bad record mac" in said
