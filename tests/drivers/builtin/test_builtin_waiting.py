"""Does a client whose peer says nothing name, when it is ended, what it waited for? And one whose peer resets?"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.certificates import certify
from tests.drivers.builtin.builtin_processes import (
    DEADLINE,
    HERE,
    Running,
    accepting,
    dialling,
    reset,
    scenario,
    written,
)
from tests.drivers.builtin.test_builtin_multiplex import between

OPEN = m.OpenBidirectionalStream(0)
MANY = {"MULTIPLEX": "true"}


def program(*near: m.ConnectionOp, far: tuple[tuple[m.ConnectionOp, ...], ...] = ((),)) -> m.Scenario:
    return between(m.Connection((OPEN, *near)), m.Connection(peer_streams=far))


CASES: Mapping[str, tuple[m.Scenario, dict[str, str], str]] = {
    "receive": (program(m.Send(0, 5), m.Receive(0, 1000)), {},
                "stream 0, receive 1,000 bytes: 1,000 are missing"),
    "send": (program(m.Send(0, 500_000_000)), {}, "stream 0, send 500,000,000 bytes: "),
    "receive all": (program(m.Send(0, 5), m.ReceiveAll(0)), {}, "stream 0, receive all"),
    "receive, multiplexed": (program(m.Send(0, 5), m.Receive(0, 1000)), MANY,
                             "stream 0, receive 1,000 bytes: 1,000 are missing"),
    "send beyond the window": (program(m.Send(0, 300_000)), MANY,
                               "stream 0, send 300,000 bytes: 44,000 are left"),
    "receive finish": (program(m.Send(0, 5), m.SendFinish(0), m.ReceiveFinish(0)), MANY, "stream 0, receive finish"),
    "open": (between(m.Connection(tuple(m.OpenBidirectionalStream(one) for one in range(101))),
                     m.Connection(peer_streams=((),) * 101)), MANY, "stream 100, open"),
    "accept": (between(m.Connection((OPEN, m.Send(0, 1)), ((m.Receive(0, 1),),)),
                       m.Connection((m.OpenBidirectionalStream(0),), ((),))), MANY,
               "stream 0 of the peer, accept"),
    "beside each other": (between(
        m.Connection((m.Scope(tuple((m.OpenBidirectionalStream(one), m.Receive(one, 7)) for one in range(5))),)),
        m.Connection(peer_streams=((),) * 5)), MANY, "; and 2 more"),
    "sleep": (program(m.Send(0, 5), m.Sleep(20_000)), {}, ", sleep"),
    "its end": (program(m.Send(0, 5)), MANY, ", its end"),
}  # fmt: skip


def _sleeps(client: Running) -> None:
    """Wait until it waits."""
    quiet = 0
    while quiet < 200:
        state = Path(f"/proc/{client.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        quiet = quiet + 1 if state == "S" else 0


@contextmanager
def silent(
    one: m.Scenario, folder: Path, env: Mapping[str, str], transport: str
) -> Iterator[tuple[Running, socket.socket]]:
    """A client that has come to wait for a server that accepts and says nothing, and its connection there."""
    path = written(one, folder)
    with accepting() as (listening, address), dialling(path, address, transport=transport, **env) as client:  # type: ignore[arg-type]
        connection, _ = listening.accept()
        connection.settimeout(DEADLINE)
        with connection:
            connection.recv(1)
            _sleeps(client)
            yield client, connection


@pytest.mark.parametrize("name", CASES)
def test_a_peer_that_says_nothing(name: str, tmp_path: Path) -> None:
    """When its deadline comes, one line has connection, stream and operation."""
    one, env, text = CASES[name]
    with silent(one, tmp_path, env, "tcp") as (client, _):
        done = client.stop()
    assert done.status == -signal.SIGTERM
    assert done.errors.startswith(f"ended by SIGTERM, waiting: connection 0 to server 0 ({HERE}:")
    assert text in done.errors
    assert done.errors.count("\n") == 1


def test_a_peer_that_says_nothing_in_a_handshake(tmp_path: Path) -> None:
    """TLS over a server that accepts alone."""
    with silent(certify(scenario((m.Send(0, 1),))), tmp_path, {}, "tls") as (client, _):
        done = client.stop()
    assert done.errors.endswith("), TLS handshake\n")


@pytest.mark.parametrize("name", [name for name in CASES if name not in {"sleep", "its end"}])
def test_a_reset_in_the_middle_of_each_operation(name: str, tmp_path: Path) -> None:
    """It ends with status 1 and one line."""
    one, env, text = CASES[name]
    with silent(one, tmp_path, env, "tcp") as (client, connection):
        reset(connection)
        done = client.wait()
    assert done.status == 1
    assert done.errors.startswith(f"connection 0 to server 0 ({HERE}:")
    assert done.errors.count("\n") == 1
    assert text.split(":")[0] in done.errors or "; and" in text
    assert "reset" in done.errors or "broken pipe" in done.errors
