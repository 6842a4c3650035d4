"""Does it speak to the real TCP driver? As its client and as its server, with what both can do."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.catalog import connect, fan_out, ping, request_response
from tests.drivers.builtin.builtin_processes import DEADLINE, HERE, dial, dialling, scenario, serving, written

pytestmark = pytest.mark.real

PATH = f"{os.environ.get('PATH', '')}:{Path.home() / '.cargo/bin'}"
BOTH = ["connect", "ping", "request_response", "fan_out", "rates", "scopes", "beside"]
EXCHANGE = (m.Send(0, 70_000), m.Receive(0, 70_000))
ANSWER = (m.Receive(0, 70_000), m.Send(0, 70_000))


def _scenario(name: str) -> m.Scenario:
    one = m.Connect(0, 0, 0)
    return {
        "connect": lambda: connect(connections=30),
        "ping": lambda: ping(time=0.6, size=[1000, 50_000]),
        "request_response": lambda: request_response(response=3_000_000),
        "fan_out": lambda: fan_out(servers=3, response=500_000),
        "rates": lambda: request_response(response=50_000, server_send_rate=(20_000, 0.01)),
        "scopes": lambda: scenario(
            (m.Profile(0, (m.Iterate(m.Count(3), EXCHANGE, 1),)),), (m.Iterate(m.Count(3), ANSWER),)
        ),
        "beside": lambda: scenario(EXCHANGE, ANSWER, client=(m.ClientScope(((one,), (m.ClientSleep(2), one))), one)),
    }[name]()


def _real(role: str) -> str:
    found = shutil.which(f"s2n-netbench-driver-{role}-tcp", path=PATH)
    if found is None:
        pytest.skip("s2n-netbench-driver-tcp isn't installed: cargo install --locked s2n-netbench-driver-tcp@0.1.0")
    return found


def _env(path: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "SCENARIO": str(path), "TRACE": "disabled", **more}


@contextlib.contextmanager
def _real_server(path: Path) -> Iterator[str]:
    """A real server on a port that was free a moment ago, and its address."""
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            with _free_port() as port:
                pass
            process = subprocess.Popen(
                (_real("server"), "--ip", HERE), env=_env(path, PORT=str(port)), stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait, DEADLINE)
            stack.callback(process.kill)
            while process.poll() is None:
                with contextlib.suppress(ConnectionRefusedError):
                    dial(f"{HERE}:{port}").close()
                    yield f"{HERE}:{port}"
                    return
    pytest.fail("no port stayed free")


@contextlib.contextmanager
def _free_port() -> Iterator[int]:
    import socket

    with socket.create_server((HERE, 0)) as one:
        yield one.getsockname()[1]


@pytest.mark.parametrize("name", BOTH)
def test_a_real_client_is_served(tmp_path: Path, name: str) -> None:
    """It ends well, and the server has nothing to complain about but cut streams."""
    client, one = _real("client"), _scenario(name)
    path = written(one, tmp_path)
    with serving(path) as (server, address):
        servers = {f"SERVER_{index}": address for index in range(len(one.servers))}
        done = subprocess.run(
            (client,), env=_env(path, **servers), stderr=subprocess.PIPE, text=True, timeout=DEADLINE, check=False
        )
        seen = server.stop()
    assert (done.returncode, seen.status, seen.errors) == (0, 0, "")
    for connection in seen.seen.connections:
        (stream,) = connection.streams
        assert stream.cut or stream.received


@pytest.mark.parametrize("name", BOTH)
def test_a_real_server_serves(tmp_path: Path, name: str) -> None:
    """The client ends well and has all bytes that its programs ask for."""
    one = _scenario(name)
    path = written(one, tmp_path)
    with _real_server(path) as address:
        more = {f"SERVER_{index}": address for index in range(1, len(one.servers))}
        with dialling(path, address, **more) as client:  # type: ignore[arg-type]  # the environment's names
            done = client.wait()
    assert (done.status, done.errors) == (0, "")
    assert done.seen.connections
    for connection in done.seen.connections:
        assert connection.streams[0].received


def test_a_real_server_that_dies_is_a_failure(tmp_path: Path) -> None:
    """Where the real client would say that all is well with half of the data."""
    path = written(scenario((m.Send(0, 10), m.Receive(0, 10_000_000_000)), (m.Receive(0, 10), m.Send(0, 10))), tmp_path)
    with _real_server(path) as address, dialling(path, address) as client:
        done = client.wait()
    assert done.status == 1
    assert "stream 0, receive 10,000,000,000 bytes: the peer closed, 9,999,999,990 bytes are missing" in done.errors
