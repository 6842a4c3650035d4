"""Are the ready-made scenarios those of the real generator, and ours safe for every driver?"""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench import KB, MB, Scenario, connect, download, fan_in, fan_out, ms, ping, request_response, upload
from pytest_netbench.drivers.install import GENERATOR, generator
from pytest_netbench.errors import UsageError
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.netbench_json import render

FILES = Path(__file__).parents[1] / "data" / "scenarios"
OURS = [download(), upload(), fan_out(servers=3), fan_in(clients=3), download(seconds=1), fan_in(seconds=1)]


def same(ours: Scenario, real: Scenario) -> bool:
    """Equal but for the certificates, whose keys are new each time."""
    return render(replace(ours, certificates=real.certificates)) == render(real)


@pytest.mark.parametrize(
    ("ours", "name"),
    [
        (connect(connections=200), "connect_200"),
        (ping(time=2, size=[1 * KB, 100 * KB]), "ping_2s"),
        (request_response(), "request_response_10MB"),
        (request_response(servers=5, response=5 * MB), "incast_5_servers"),
        (request_response(count=20, parallel=True, response=1 * MB), "request_response_count_20_parallel"),
    ],
    ids=str,
)
def test_the_real_generators_files_are_made_byte_for_byte(ours: Scenario, name: str) -> None:
    """Operations, order, ids of everything, and the scenario's own id."""
    assert same(ours, Scenario.read(FILES / f"{name}.json"))


@pytest.mark.parametrize(
    ("made", "id_"),
    [
        (connect(), "kUjUaNyBXyVbWEh4gh6CqCdGVXMLf29PJdDa7UTJGk4"),
        (ping(), "CPB66nPdswwoHl6ZwlRw4MaOjeDQ1kZbuhVycUfFkso"),
        (request_response(), "azgtD5DOm0VWdR0-cDNX4fZnU8iGSlSG--wagztbqSg"),
    ],
    ids=str,
)
def test_the_defaults_have_the_real_ids(made: Scenario, id_: str) -> None:
    """The generator's three, without parameters."""
    assert made.id == id_


@pytest.mark.parametrize("scenario", OURS, ids=str)
def test_our_own_meet_no_fault_of_a_real_driver(scenario: Scenario) -> None:
    """Nothing that is known to hang one, and an id that every host name may have."""
    assert analyse(scenario).findings == ()
    assert re.fullmatch("[a-z0-9]{1,63}", scenario.id)


def test_bytes_and_hosts_are_as_asked() -> None:
    """Many servers answer one client; many clients send to one server."""
    out, into = analyse(fan_out(servers=4, request=1 * KB, response=2 * MB)), analyse(fan_in(clients=3, upload=5 * MB))
    assert (out.servers, out.clients, out.server_to_client_bytes) == (4, 1, 8 * MB)
    assert (into.servers, into.clients, into.client_to_server_bytes) == (1, 3, 15 * MB)


def test_a_time_may_say_how_much() -> None:
    """As many bytes as there is time for; its server would go on until the client ends."""
    down, up = analyse(download(seconds=2, connections=3)), analyse(fan_in(clients=3, seconds=2))
    assert (down.client_to_server_bytes, down.server_to_client_bytes) == (3 * KB, None)
    assert (up.client_to_server_bytes, up.server_to_client_bytes) == (None, 0)
    with pytest.raises(UsageError, match="5 bytes, or for 1 s"):
        download(5, seconds=1)


@pytest.mark.parametrize(
    "make",
    [lambda: connect(connections=-1), lambda: ping(streams=0), lambda: ping(time=0.0001), lambda: fan_in(clients=0)],
)
def test_amounts_that_make_no_sense_are_refused(make: Any) -> None:
    """With the parameter's name and what was expected."""
    with pytest.raises(UsageError, match=r"(connections|streams|time|clients): "):
        make()


PREFIX = "--request_response."
AWAY_FROM_DEFAULTS: list[tuple[Scenario, str, list[str]]] = [
    (
        ping(connections=2, streams=3, time=250 * ms, size=[1500, 1024, 2 * MB, 1]),
        "ping",
        ["--ping.connections", "2", "--ping.streams", "3", "--ping.time", "250ms", "--ping.size", "1500B,1KiB,2MB,1B"],
    ),
    (
        request_response(
            2 * KB,
            3 * MB,
            delay=50 * ms,
            unblock=1 * KB,
            count=3,
            connections=2,
            servers=2,
            parallel=True,
            client_send_rate=1 * KB,
            client_receive_rate=(10 * KB, 50 * ms),
            server_send_rate=2 * KB,
            server_receive_rate=3 * KB,
        ),
        "request_response",
        [
            *(PREFIX + "request_size", "2KB", PREFIX + "response_size", "3MB", PREFIX + "response_delay", "50ms"),
            *(PREFIX + "response_unblock", "1KB", PREFIX + "count", "3", PREFIX + "connections", "2"),
            *(PREFIX + "servers", "2", PREFIX + "parallel", PREFIX + "client_send_rate", "1KBps"),
            *(PREFIX + "client_receive_rate", "10KB/50ms", PREFIX + "server_send_rate", "2KBps"),
            *(PREFIX + "server_receive_rate", "3KBps"),
        ],
    ),
    (
        request_response(unblock=99 * MB, count=2),
        "request_response",
        [PREFIX + "response_unblock", "99MB", PREFIX + "count", "2"],
    ),
    (request_response(servers=0), "request_response", [PREFIX + "servers", "0"]),
    (connect(connections=0), "connect", ["--connect.connections", "0"]),
]


@pytest.mark.real
@pytest.mark.skipif(generator() is None, reason=f"the real generator isn't installed: {GENERATOR.install}")
@pytest.mark.parametrize(("ours", "name", "options"), AWAY_FROM_DEFAULTS, ids=range(len(AWAY_FROM_DEFAULTS)))
def test_the_generator_itself_agrees(ours: Scenario, name: str, options: list[str], tmp_path: Path) -> None:
    """With every parameter away from its default, its file is ours."""
    subprocess.run([str(generator()), *options, tmp_path], check=True, capture_output=True)
    assert same(ours, Scenario.read(tmp_path / f"{name}.json"))
