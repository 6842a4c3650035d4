"""Is what the driver `tls` does secure, what it refuses named? Processes with each other, and peers made by hand."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.catalog import connect, download, ping, request_response, upload
from pytest_netbench.scenario.certificates import certify
from tests.drivers.builtin.builtin_processes import (
    DEADLINE,
    Done,
    Running,
    accepting,
    dial,
    dialling,
    reset,
    run,
    scenario,
    serving,
    written,
)

EXCHANGE = scenario((m.Send(0, 100_000), m.Receive(0, 3_000_000)), (m.Receive(0, 100_000), m.Send(0, 3_000_000)))
CASES = {
    "connect": connect(connections=5),
    "exchange": EXCHANGE,
    "server_sends": scenario((m.Receive(0, 50),), (m.Send(0, 50),)),
    "small_answers": scenario(
        (m.Iterate(m.Count(300), (m.Send(0, 10), m.Receive(0, 7), m.Receive(0, 8))),),
        (m.Iterate(m.Count(300), (m.Receive(0, 10), m.Send(0, 15))),),
    ),
    "streams": request_response(response=500_000, count=5, parallel=True),
    "timed": ping(time=0.1, size=[50_000]),
    "timed_streams": ping(time=0.1, size=[50_000], streams=2),
    "down_for_a_time": download(seconds=0.1),
    "up_for_a_time": upload(seconds=0.1, connections=2),
    "rated": scenario((m.SendRate(0, 1000, 2), m.Send(0, 5000)), (m.ReceiveAll(0),)),
}


def configured(one: m.Scenario, server: Mapping[str, str], client: Mapping[str, str] | None = None) -> m.Scenario:
    """The same with options at each end, the same at both if one is given."""
    return replace(
        one,
        clients=tuple(replace(each, configuration=server if client is None else client) for each in one.clients),
        servers=tuple(replace(each, configuration=server) for each in one.servers),
    )


def both(one: m.Scenario, folder: Path) -> tuple[Done, Done]:
    return run(certify(one), folder, transport="tls")


def well(ends: tuple[Done, Done]) -> None:
    """Both ended well, and what was sent was received."""
    server, client = ends
    assert (server.status, server.errors, client.status, client.errors) == (0, "", 0, "")
    for far, near in zip(server.seen.connections, client.seen.connections, strict=True):
        for there, here in zip(far.streams, near.streams, strict=True):
            cut = here.cut or there.cut
            assert here.received == there.sent or (cut and here.received < there.sent)
            assert there.received == here.sent or (cut and there.received < here.sent)


@pytest.mark.parametrize("name", CASES)
def test_scenarios_are_carried_in_tls(name: str, tmp_path: Path) -> None:
    """Duplex and multiplexed, byte for byte; the handshake is part of connecting."""
    ends = both(CASES[name], tmp_path)
    well(ends)
    assert all(one.connect_s for one in ends[1].seen.connections)


@pytest.mark.parametrize(
    "options",
    [
        {"tls.version": "1.2"},
        {"tls.version": "1.3"},
        {"tls.cipher": "ECDHE-ECDSA-CHACHA20-POLY1305"},
        {"tls.alpn": "netbench"},
        {"tls.connection_id": "sni"},
        {"tcp.nodelay": "false", "tcp.send_buffer": "65536"},
    ],
    ids=str,
)
def test_options_are_kept_by_both_ends(options: Mapping[str, str], tmp_path: Path) -> None:
    """What is chosen is what is spoken."""
    well(both(configured(CASES["streams"], options), tmp_path))


@pytest.mark.parametrize(
    ("server", "client", "text"),
    [
        ({"tls.version": "1.2"}, {"tls.version": "1.3"}, "tlsv1 alert protocol version"),
        ({}, {"tls.alpn": "h3"}, "ALPN 'h3' is asked for, the peer has none of that name"),
        ({"tls.alpn": "netbench"}, {"tls.alpn": "h3"}, "ALPN 'h3' is asked for, the peer has none of that name"),
        (
            {"tls.cipher": "ECDHE-ECDSA-AES128-GCM-SHA256"},
            {"tls.cipher": "ECDHE-ECDSA-AES256-GCM-SHA384"},
            "alert handshake failure",
        ),
    ],
)
def test_ends_that_do_not_agree_are_told(
    server: Mapping[str, str], client: Mapping[str, str], text: str, tmp_path: Path
) -> None:
    """The client fails with one line that names the connection and the handshake; the server goes on."""
    far, near = both(configured(EXCHANGE, server, client), tmp_path)
    assert (near.status, near.errors.count("\n"), far.status) == (1, 1, 0)
    assert near.errors.startswith("connection 0 to server 0 ")
    assert "TLS handshake: " in near.errors
    assert text in near.errors
    words = ("TLS handshake: ", "the peer closed", "reset by peer")
    assert all(any(one in problem for one in words) for problem in far.seen.problems)


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        ({"tls.version": "1.1"}, 2, "configuration: tls.version: expected 1.2 or 1.3, found '1.1'"),
        ({"tls.chipher": "x"}, 2, "'tls.chipher' is not an option; did you mean 'tls.cipher'?"),
        ({"tls.cipher": "NO-SUCH"}, 127, "tls.cipher=NO-SUCH: OpenSSL"),
        ({"tls.cipher": "ECDHE-ECDSA-AES128-GCM-SHA256", "tls.version": "1.3"}, 2, "is one of TLS 1.2"),
    ],
)
@pytest.mark.parametrize("role", ["server", "client"])
def test_what_cannot_be_chosen_is_named(
    role: str, options: Mapping[str, str], status: int, text: str, tmp_path: Path
) -> None:
    """Before anything listens or connects."""
    path = written(certify(configured(EXCHANGE, options)), tmp_path)
    done = Running(role, path, {"SERVER_0": "127.0.0.1:1"}, transport="tls").wait()
    assert done.status == status
    assert text in done.errors


@pytest.mark.parametrize(
    ("role", "text"),
    [("server", "private_key: TLS needs certificate 1"), ("client", "trusts no certificate authority")],
)
def test_a_scenario_without_certificates_is_refused(role: str, text: str, tmp_path: Path) -> None:
    """By what is missing."""
    done = Running(role, written(EXCHANGE, tmp_path), {"SERVER_0": "127.0.0.1:1"}, transport="tls").wait()
    assert done.status == 2
    assert text in done.errors


# --- trust -------------------------------------------------------------------------------------


def _failure(server: m.Scenario, client: m.Scenario, folder: Path) -> str:
    """What a client of one file says to a server of another."""
    (folder / "s").mkdir()
    with (
        serving(written(server, folder / "s"), transport="tls") as (_, address),
        dialling(written(client, folder), address, transport="tls") as running,
    ):
        done = running.wait()
    assert done.status == 1
    assert done.errors.count("\n") == 1
    return done.errors


def test_an_authority_that_is_unknown_is_not_trusted(tmp_path: Path) -> None:
    """The same scenario with certificates of another making."""
    assert "unable to get local issuer certificate" in _failure(certify(EXCHANGE), certify(EXCHANGE), tmp_path)


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    """The name that is checked is the connection's number and the scenario's id."""
    one = certify(EXCHANGE)
    said = _failure(one, replace(one, id="other"), tmp_path)
    assert "hostname mismatch, certificate is not valid for '0.other.net'" in said


def test_an_id_that_begins_with_a_dash_is_a_name_all_the_same(tmp_path: Path) -> None:
    """The real generator makes such ids, OpenSSL's own check takes them for no names; a wrong one is still refused."""
    one = certify(replace(EXCHANGE, id="-a"))
    well(run(one, tmp_path, transport="tls"))
    said = _failure(one, replace(one, id="-b"), tmp_path)
    assert "hostname mismatch, certificate is not valid for '0.-b.net'" in said


# --- peers made by hand ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"", "TLS handshake: the peer closed"),
        (b"GET / HTTP/1.1\r\n\r\n", "TLS handshake: http request"),
        (bytes(300), "TLS handshake: "),
        (b"\x16\x03\x01\x02\x00\x01", "TLS handshake: the peer closed"),
    ],
)
def test_a_client_without_tls_ends_alone(said: bytes, text: str, tmp_path: Path) -> None:
    """One line for it, and the next client is served."""
    path = written(certify(EXCHANGE), tmp_path)
    with serving(path, transport="tls") as (server, address):
        with dial(address) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(said)
        with dialling(path, address, transport="tls") as client:
            assert client.wait().status == 0
        done = server.stop()
    (problem,) = done.seen.problems
    assert problem.startswith("connection 0 from ")
    assert text in problem


@pytest.mark.parametrize("by_reset", [False, True])
def test_a_server_that_ends_in_the_handshake_is_a_failure(by_reset: bool, tmp_path: Path) -> None:
    """Closed or reset."""
    path = written(certify(EXCHANGE), tmp_path)
    with accepting() as (listening, address), dialling(path, address, transport="tls") as client:
        connection, _ = listening.accept()
        connection.recv(5)
        if by_reset:
            reset(connection)
        else:
            connection.recv(65536)
            connection.close()
        done = client.wait()
    assert done.status == 1
    assert "TLS handshake: " in done.errors
    assert ("reset" if by_reset else "the peer closed") in done.errors


def _by_hand(one: m.Scenario, address: str, name: str) -> ssl.SSLSocket:
    """A client of the test's own."""
    context = ssl.create_default_context(cadata=one.certificates[0].pem)
    connected = context.wrap_socket(dial(address), server_hostname=name)
    connected.settimeout(DEADLINE)
    return connected


@pytest.mark.parametrize(
    ("name", "options", "said", "text"),
    [
        ("0", {}, (9).to_bytes(8, "big"), "it asks for program 9, this server has 1"),
        ("7", {"tls.connection_id": "sni"}, b"", "it asks for program 7, this server has 1"),
        ("x", {"tls.connection_id": "sni"}, b"", "the client asks for the name 'x.test.net', expected NUMBER.ID.net"),
        ("0", {}, bytes(8 + 40_000), "stream 0, receive 100,000 bytes: the peer closed, 60,000 bytes are missing"),
    ],
)
def test_a_secure_client_that_asks_for_too_much(
    name: str, options: Mapping[str, str], said: bytes, text: str, tmp_path: Path
) -> None:
    """A wrong program, or an end in the middle: one line. An end without a notice is an end."""
    one = certify(configured(EXCHANGE, options))
    with serving(written(one, tmp_path), transport="tls") as (server, address):
        with _by_hand(one, address, f"{name}.test.net") as connection:
            connection.sendall(said)
            connection.shutdown(2)
        with contextlib.suppress(OSError), _by_hand(one, address, "0.test.net") as second:
            second.sendall(bytes(8 + 100_000))
            while second.recv(65536):
                pass
        done = server.stop()
    assert text in done.seen.problems[0]


def test_what_comes_in_one_record_is_taken_in_parts(tmp_path: Path) -> None:
    """What TLS has decoded already makes no socket readable, and is taken all the same."""
    one = certify(
        scenario((m.Send(0, 1),), (m.Receive(0, 10), m.Send(0, 1), m.Receive(0, 10), m.Sleep(5), m.Receive(0, 10)))
    )
    with serving(written(one, tmp_path), transport="tls") as (server, address):
        with _by_hand(one, address, "0.test.net") as connection:
            connection.sendall(bytes(8 + 30))
            assert connection.recv(100) == b"*"
            assert connection.recv(100) == b""
        done = server.stop()
    assert done.seen.problems == ()
    assert done.seen.connections[0].streams[0].received == 30


def test_a_notice_of_the_end_is_an_end(tmp_path: Path) -> None:
    """Also where it comes at once with the last bytes, and the connection stays open."""
    one = certify(scenario((m.Send(0, 100),), (m.Receive(0, 100),)))
    with serving(written(one, tmp_path), transport="tls") as (server, address):
        with _by_hand(one, address, "0.test.net") as connection:
            connection.sendall(bytes(8 + 30))
            connection.settimeout(0)
            with contextlib.suppress(ssl.SSLWantReadError):  # it gives none itself
                connection.unwrap()
            connection.settimeout(DEADLINE)
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                assert connection.recv(100) == b""
        done = server.stop()
    (problem,) = done.seen.problems
    assert "the peer closed, 70 bytes are missing" in problem


def test_a_download_through_small_buffers(tmp_path: Path) -> None:
    """Records that the socket takes in parts are tried again as they were."""
    one = configured(download(3_000_000, connections=2), {"tcp.send_buffer": "4096", "tcp.receive_buffer": "4096"})
    well(both(one, tmp_path))
