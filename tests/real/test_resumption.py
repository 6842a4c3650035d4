"""Which real servers let a session be resumed, and take early data? Our clients try, and tell what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_netbench.result.extended import undone
from pytest_netbench.roles import Role
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.certificates import certify
from pytest_netbench.telemetry.model import Ending, HostReport
from tests.drivers.builtin.builtin_processes import Done, dialling, scenario, written
from tests.drivers.builtin.test_builtin_tls import configured
from tests.real.real_server import real_server

pytestmark = pytest.mark.real

TIMES = 5
ONE_BYTE = (m.Send(0, 1), m.Receive(0, 1)), (m.Receive(0, 1), m.Send(0, 1))


def dialled(
    server: str, client: str, folder: Path, options: Mapping[str, str] | None = None, *, early_data: bool = False
) -> Done:
    """A client that dials once, then with the session of the connection before."""
    again = (m.Connect(0, 0, 0, None, resume=True, early_data=early_data),) * TIMES
    one = scenario(*ONE_BYTE, client=(m.Connect(0, 0, 0), *again))
    path = written(configured(certify(one), {}, options or {}), folder)
    with real_server(server, path) as address, dialling(path, address, transport=client) as running:
        done = running.wait()
    assert (done.status, done.errors) == (0, "")
    assert len(done.seen.connections) == TIMES + 1
    return done


def reasons(done: Done) -> tuple[str, ...]:
    """What a result says of such a round."""
    one = scenario(*ONE_BYTE, client=(m.Connect(0, 0, 0), m.Connect(0, 0, 0, None, resume=True)))
    host = HostReport("client-0", Role.CLIENT, 0, True, 0, 1, done.seen, Ending(0, None, True), None)
    return tuple(undone(one, (), (host,)))


def test_native_tls_goes_on_with_sessions(tmp_path: Path) -> None:
    """OpenSSL's server gives tickets, and knows them again: every connection resumes."""
    done = dialled("s2n-native-tls", "tls", tmp_path)
    assert [one.resumed for one in done.seen.connections] == [None, *[True] * TIMES]
    assert reasons(done) == ()


@pytest.mark.parametrize(
    ("server", "client", "options"),
    [
        ("s2n-tls", "tls", {"tls.connection_id": "sni", "tls.version": "1.3"}),
        ("s2n-tls", "tls", {"tls.connection_id": "sni", "tls.version": "1.2"}),
        ("s2n-quic", "quic", {}),
    ],
    ids=["s2n-tls 1.3", "s2n-tls 1.2", "s2n-quic"],
)
def test_other_real_servers_give_no_session(server: str, client: str, options: dict[str, str], tmp_path: Path) -> None:
    """Every handshake is a whole one, all is carried, and the result says so."""
    done = dialled(server, client, tmp_path, options)
    assert [one.resumed for one in done.seen.connections] == [None, *[False] * TIMES]
    assert reasons(done) == (f"client-0: resumed: 0/{TIMES} connections",)


def test_early_data_without_a_session_waits_for_the_handshake(tmp_path: Path) -> None:
    """With nothing to go on with, it is sent after the handshake, and counted as not taken."""
    done = dialled("s2n-quic", "quic", tmp_path, early_data=True)
    assert [one.early_data for one in done.seen.connections] == [None, *[False] * TIMES]
    assert [one.streams[0].received for one in done.seen.connections] == [1] * (TIMES + 1)
