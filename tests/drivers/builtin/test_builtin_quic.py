"""Does the driver `quic` carry scenarios, and name what goes wrong? Processes with each other, and by hand."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.errors import DriverMissing
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.catalog import connect, download, ping, request_response, upload
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
from tests.drivers.builtin.test_builtin_multiplex import between, ends, exchange
from tests.drivers.builtin.test_builtin_tls import configured, well

pytest.importorskip("aioquic", reason="pip install 'pytest-netbench[quic]'")

EXCHANGE = scenario((m.Send(0, 10_000), m.Receive(0, 300_000)), (m.Receive(0, 10_000), m.Send(0, 300_000)))
CASES = {
    "connect": connect(connections=5),
    "exchange": EXCHANGE,
    "server_sends": scenario((m.Receive(0, 50),), (m.Send(0, 50),)),
    "streams": request_response(response=100_000, count=3, parallel=True),
    "many_streams": exchange(150, 100, 100),
    "timed": ping(time=0.1, size=[5_000], streams=2),
    "down_for_a_time": download(seconds=0.1),
    "up_for_a_time": upload(seconds=0.1, connections=2),
    "rated": scenario((m.SendRate(0, 1000, 2), m.Send(0, 5000)), (m.ReceiveAll(0),)),
    "both_open": between(
        m.Connection(
            (m.OpenSendStream(0), m.Send(0, 40_000), m.SendFinish(0),
             m.OpenBidirectionalStream(1), m.Send(1, 5), *ends(1)),
            ((m.ReceiveAll(0),),),
        ),
        m.Connection(
            (m.OpenSendStream(0), m.Send(0, 30_000), m.SendFinish(0)), ((m.ReceiveAll(0),), (m.Receive(1, 5), *ends(1)))
        ),
    ),
}  # fmt: skip


def both(one: m.Scenario, folder: Path) -> tuple[Done, Done]:
    return run(certify(one), folder, transport="quic")


@pytest.mark.parametrize("name", CASES)
def test_scenarios_are_carried_over_quic(name: str, tmp_path: Path) -> None:
    """Each stream is one of QUIC's, byte for byte; the handshake is part of connecting."""
    server, client = both(CASES[name], tmp_path)
    assert (server.status, server.errors, client.status, client.errors) == (0, "", 0, "")
    for far, near in zip(server.seen.connections, client.seen.connections, strict=True):
        assert far.key == near.key
        theirs = {(one.stream, not one.opened_here): one for one in far.streams}
        for here in near.streams:
            there = theirs[here.stream, here.opened_here]
            cut = here.cut or there.cut
            assert here.received == there.sent or (cut and here.received < there.sent)
            assert there.received == here.sent or (cut and there.received < here.sent)
    assert all(one.connect_s for one in client.seen.connections)


@pytest.mark.parametrize(
    "options",
    [
        {"quic.alpn": "other"},
        {"quic.max_mtu": "1500"},
        {"quic.gso": "true", "quic.max_mtu": "1500"},
        {"quic.congestion_control": "cubic"},
        {"quic.send_buffer": "65536", "quic.receive_buffer": "65536"},
        {"tls.cipher": "TLS_CHACHA20_POLY1305_SHA256"},
        {"processes": "2"},
    ],
    ids=str,
)
def test_options_are_kept(options: Mapping[str, str], tmp_path: Path) -> None:
    """With each, all is carried."""
    one = configured(EXCHANGE, options, {} if "processes" in options else options)
    well(both(one, tmp_path))


@pytest.mark.parametrize("name", ["reno", "cubic"])
def test_the_congestion_control_is_the_one_that_is_chosen(name: str) -> None:
    """As aioquic is told it: nothing that goes over the wire says which it is."""
    quic = pytest.importorskip("pytest_netbench.drivers.builtin.quic")
    one = certify(configured(EXCHANGE, {"quic.congestion_control": name}))
    for own in (*one.clients, *one.servers):
        assert quic.wire(one, own)._made.congestion_control_algorithm == name


@pytest.mark.parametrize(
    ("server", "client", "text"),
    [
        ({"quic.alpn": "h3"}, {}, "QUIC handshake: QUIC ended with error 0x178: no common alpn protocols"),
        (
            {"tls.cipher": "TLS_AES_128_GCM_SHA256"},
            {"tls.cipher": "TLS_AES_256_GCM_SHA384"},
            "0x128: no supported cipher suite",
        ),
    ],
)
def test_ends_that_do_not_agree_are_told(
    server: Mapping[str, str], client: Mapping[str, str], text: str, tmp_path: Path
) -> None:
    """One line at each end, and the server goes on."""
    far, near = both(configured(EXCHANGE, server, client), tmp_path)
    assert (near.status, near.errors.count("\n"), far.status) == (1, 1, 0)
    assert near.errors.startswith("connection 0 to server 0 ")
    assert text.lower() in near.errors.lower()
    assert len(far.seen.problems) == 1


def _client_of(server: m.Scenario, client: m.Scenario, folder: Path) -> Done:
    (folder / "s").mkdir()
    with (
        serving(written(server, folder / "s"), transport="quic") as (_, address),
        dialling(written(client, folder), address, transport="quic") as running,
    ):
        return running.wait()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda _: certify(EXCHANGE), "unable to get local issuer certificate"),
        (lambda one: replace(one, id="other"), "doesn't match"),
    ],
)
def test_a_server_that_is_not_trusted(change: Callable[[m.Scenario], m.Scenario], text: str, tmp_path: Path) -> None:
    """An unknown authority, and another name."""
    one = certify(EXCHANGE)
    done = _client_of(one, change(one), tmp_path)
    assert done.status == 1
    assert "QUIC handshake: " in done.errors
    assert text in done.errors


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """The server names it, and the client is told by the end of the connection."""
    one = certify(EXCHANGE)
    asks = replace(one, clients=(replace(one.clients[0], scenario=(m.Connect(0, 3, 0),)),), servers=one.servers * 1)
    asks = replace(asks, servers=(replace(one.servers[0], connections=one.servers[0].connections * 4),))
    (tmp_path / "s").mkdir()
    with serving(written(one, tmp_path / "s"), transport="quic") as (server, address):
        with dialling(written(asks, tmp_path), address, transport="quic") as client:
            done = client.wait()
        seen = server.stop()
    assert done.status == 1
    assert "the peer closed" in done.errors
    assert "it asks for program 3, this server has 1" in seen.errors


def test_a_stream_that_is_not_there(tmp_path: Path) -> None:
    """The client opens one more than the server has programs for; both ends say so."""
    ask = (m.OpenBidirectionalStream(0), m.Send(0, 5), m.Receive(0, 5))
    more = (m.OpenBidirectionalStream(1), m.Send(1, 5), *ask)
    answer = (m.Receive(0, 5), m.Receive(0, 5), m.Send(0, 5))
    one = certify(between(m.Connection(ask), m.Connection(peer_streams=(answer,))))
    other = between(m.Connection(more), m.Connection(peer_streams=(answer, (m.Receive(1, 5),))))
    asks = replace(
        one,
        clients=(replace(one.clients[0], connections=other.clients[0].connections),),
        servers=(replace(one.servers[0], connections=other.servers[0].connections),),
    )
    (tmp_path / "s").mkdir()
    with serving(written(one, tmp_path / "s"), transport="quic") as (server, address):
        with dialling(written(asks, tmp_path), address, transport="quic") as client:
            done = client.wait()
        seen = server.stop()
    assert done.status == 1
    for said in (done.errors, seen.errors):
        assert "it opens stream 1, there are programs for 1" in said


def test_nobody_listens(tmp_path: Path) -> None:
    """The kernel says so, as over TCP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HERE, 0))
        address = f"{HERE}:{one.getsockname()[1]}"
    with dialling(written(certify(EXCHANGE), tmp_path), address, transport="quic") as client:
        done = client.wait()
    assert done.status == 1
    assert "QUIC handshake: connection refused" in done.errors.lower().replace("quic handshake", "QUIC handshake")


def test_garbage_disturbs_nobody(tmp_path: Path) -> None:
    """What is no packet is dropped; a client that comes after it is served."""
    path = written(certify(EXCHANGE), tmp_path)
    initial, strange = b"\xc0\x00\x00\x00\x01\x08", b"\xc0\xde\xad\xbe\xef"
    with serving(path, transport="quic") as (server, address):
        host, _, port = address.rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            for text in (b"", b"\xff" * 1500, bytes(1200), initial + bytes(1300), strange + bytes(1300)):
                one.sendto(text, (host, int(port)))
        with dialling(path, address, transport="quic") as client:
            assert client.wait().status == 0
        done = server.stop()
    assert done.status == 0


def test_a_client_that_dies_is_told_in_the_end(tmp_path: Path) -> None:
    """Its server waits for what it says, and goes on with others."""
    one = certify(scenario((m.Send(0, 5), m.Sleep(20_000)), (m.Receive(0, 5), m.Receive(0, 5))))
    path = written(one, tmp_path)
    with serving(path, transport="quic") as (server, address):
        with dialling(path, address, transport="quic") as client:
            client.process.terminate()
            client.wait()
        done = server.stop()
    assert done.status == 0


def test_without_aioquic_it_is_unsupported(tmp_path: Path) -> None:
    """Status 127 and the line that installs it; where tests are planned, it is missing."""
    import os
    import subprocess

    from tests.drivers.builtin.builtin_processes import DRIVER

    path = written(certify(EXCHANGE), tmp_path)
    done = subprocess.run(
        (*DRIVER, "quic", "server"),
        env={**os.environ, "SCENARIO": str(path)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )  # with -S, nothing that was installed is found
    assert done.returncode == 127
    assert "pip install 'pytest-netbench[quic]'" in done.stderr
    row: Any = replace(registry.KNOWN["quic"], modules=("no_such_module",))
    with pytest.raises(DriverMissing, match="no module no_such_module\npip install"):
        row.locate()


def test_what_this_host_cannot_do_is_named(tmp_path: Path) -> None:
    """A packet that is too small for QUIC."""
    one = certify(configured(EXCHANGE, {"quic.max_mtu": "1227"}))
    with serving(written(certify(EXCHANGE), tmp_path), transport="quic") as (_, address):
        done = Running("client", written(one, tmp_path), {"SERVER_0": address}, transport="quic").wait()
    assert done.status == 2
    assert "quic.max_mtu: expected at least 1228 bytes here" in done.errors
