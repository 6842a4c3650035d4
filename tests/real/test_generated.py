"""Do files of the real generator run, with every parameter away from its default? One at a time, and all at once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_netbench import Scenario
from pytest_netbench.drivers.install import GENERATOR, generator
from tests.real.interop_cases import PAIRS, check_rounds

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(generator() is None, reason=f"the real generator isn't installed: {GENERATOR.install}"),
]

QUICK = {
    "connect.connections": "20",
    "ping.time": "50ms",
    "ping.size": "1KB,20KB",
    "request_response.response_size": "1MB",
}
"""What keeps a round short; away from the defaults itself."""

AWAY = {
    "connect.connections": {"connect.connections": "7"},
    "ping.connections": {"ping.connections": "3"},
    "ping.streams": {"ping.streams": "2"},
    "ping.time": {"ping.time": "120ms"},
    "ping.size": {"ping.size": "1500B,3KiB,1B"},
    **{
        f"request_response.{name}": {f"request_response.{name}": value}
        for name, value in {
            "request_size": "300KB", "response_size": "70000B", "response_delay": "20ms", "response_unblock": "10KB",
            "count": "3", "connections": "2", "servers": "2", "client_send_rate": "50KB/10ms",
            "client_receive_rate": "100KB/10ms", "server_send_rate": "100KB/10ms", "server_receive_rate": "50KB/10ms",
        }.items()
    },
    "request_response.parallel": {
        "request_response.count": "4", "request_response.parallel": "", "request_response.response_unblock": "10KB"
    },
}  # fmt: skip
AWAY["all at once"] = {key: value for one in AWAY.values() for key, value in one.items()}
ALL_BUT_SLOW_RECEIVING = {
    key: value for key, value in AWAY["all at once"].items() if key != "request_response.client_receive_rate"
}
AWAY["all that every driver can"] = ALL_BUT_SLOW_RECEIVING
SAMPLE = [
    ("ping.streams", "tcp", "s2n-tcp"),
    ("request_response.parallel", "s2n-tcp", "tcp"),
    ("all that every driver can", "tcp", "s2n-tcp"),
    ("all that every driver can", "s2n-tcp", "tcp"),
    ("all at once", "quic", "quic"),
]


def generated(name: str, folder: Path) -> tuple[str, Scenario]:
    """The file that has this parameter; of several, that of requests and responses."""
    given = {**QUICK, **AWAY[name]}
    options = [one for key, value in given.items() for one in (f"--{key}", value) if one]
    subprocess.run([str(generator()), *options, folder], check=True, capture_output=True)
    module = name.partition(".")[0] if "." in name else "request_response"
    return module, Scenario.read(folder / f"{module}.json")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steady: None) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("name", "server", "client"), SAMPLE)
def test_a_file_of_the_real_generator_runs(name: str, server: str, client: str, tmp_path: Path) -> None:
    """Between our driver and the real one."""
    assert check_rounds(*generated(name, tmp_path), server, client, rounds=1)


@pytest.mark.deep
@pytest.mark.parametrize(("server", "client"), [pytest.param(*pair, id="/".join(pair)) for pair in PAIRS])
@pytest.mark.parametrize("name", AWAY)
def test_all_files_between_all_drivers(name: str, server: str, client: str, tmp_path: Path) -> None:
    """Every parameter alone, and all together."""
    assert check_rounds(*generated(name, tmp_path), server, client, rounds=1)
