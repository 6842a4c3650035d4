"""Do our drivers and the real ones run the same scenarios with each other, byte for byte, over every wire?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench import (
    KB,
    MB,
    Scenario,
    bidi,
    connect,
    download,
    fan_in,
    fan_out,
    handshakes,
    ms,
    ping,
    request_response,
    requests,
    upload,
)
from pytest_netbench.cli.main import main
from pytest_netbench.drivers.registry import KNOWN
from pytest_netbench.drivers.support import unsupported
from pytest_netbench.errors import DriverMissing
from pytest_netbench.roles import Role
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.lower import lower

FILES = Path(__file__).parents[1] / "data" / "scenarios"
ENDS = (m.SendFinish(0), m.ReceiveFinish(0))


def scopes() -> Scenario:
    """Repetitions in repetitions on one stream; then connections beside each other, and one after they joined."""
    ask = m.Iterate(m.Count(3), (m.Profile(0, (m.Send(0, 70_000), m.Receive(0, 70_000))),), 1)
    answer = m.Iterate(m.Count(3), (m.Receive(0, 70_000), m.Send(0, 70_000)))
    one = m.Connect(0, 0, 0)
    return m.Scenario(
        "scopes",
        (
            m.Client(
                (m.ClientScope(((one,), (m.ClientSleep(2), one))), one),
                (m.Connection((m.OpenBidirectionalStream(0), ask, *ENDS)),),
            ),
        ),
        (m.Server((m.Connection(peer_streams=((answer, *ENDS),)),)),),
        traces=("exchange", "turn"),
    )


def nested() -> Scenario:
    """Streams in threads, threads in threads, which wait for each other at a checkpoint and then join."""

    def ask(stream: int, *before: m.ConnectionOp) -> tuple[m.ConnectionOp, ...]:
        ends = (m.SendFinish(stream), m.ReceiveFinish(stream))
        return (*before, m.OpenBidirectionalStream(stream), m.Send(stream, 20_000), m.Receive(stream, 90_000), *ends)

    near = (
        m.Scope((ask(0), (m.Scope(((*ask(1), m.Unpark(7)), ask(2))),), ask(3, m.Park(7)))),
        *ask(4),
    )
    far = tuple(
        (m.Receive(one, 20_000), m.Send(one, 90_000), m.SendFinish(one), m.ReceiveFinish(one)) for one in range(5)
    )
    client = m.Client((m.Connect(0, 0, 0),), (m.Connection(near),))
    return m.Scenario("nested", (client,), (m.Server((m.Connection(peer_streams=far),)),))


ONE_STREAM = {
    "connect": connect(connections=20),
    "ping": ping(time=100 * ms, size=[1 * KB, 10 * KB]),
    "request_response": request_response(response=1 * MB, connections=3),
    "fan_out": fan_out(servers=3, response=1 * MB),
    "parallel": fan_in(clients=3, upload=1 * MB),
    "rates": request_response(response=300 * KB, server_send_rate=(100 * KB, 50 * ms)),
    "scopes": scopes(),
    "several_servers": request_response(servers=3, response=100 * KB),
    "delay": request_response(response=10 * KB, delay=20 * ms),
    "download": download(2 * MB, connections=3),
    "upload": upload(2 * MB),
    "bidi": bidi(2 * MB, connections=2),
    "lowered": lower(handshakes(), 20),
    "generated_incast": Scenario.read(FILES / "incast_5_servers.json"),
}
MANY_STREAMS = {
    "connect": request_response(response=1, count=2, connections=10),
    "ping": ping(time=100 * ms, size=[1 * KB, 10 * KB], streams=3),
    "request_response": request_response(response=1 * MB, count=3),
    "fan_out": request_response(servers=3, response=1 * MB, count=2),
    "parallel": request_response(response=1 * MB, count=5, parallel=True),
    "rates": request_response(response=300 * KB, count=2, server_send_rate=(100 * KB, 50 * ms)),
    "scopes": nested(),
    "lowered": lower(requests(1 * KB, 10 * KB), 30),
    "generated_parallel": Scenario.read(FILES / "request_response_count_20_parallel.json"),
}
WIRES = [("tcp", "s2n-tcp"), ("tls", "s2n-native-tls"), ("tls", "s2n-tls"), ("quic", "s2n-quic")]
PAIRS = [pair for ours, real in WIRES for pair in ((ours, real), (real, ours), (real, real))]
PAIRS += [(name, name) for name in ("tcp", "tls", "quic")]
CASES = [(f"{name}-{count}", one) for count, table in (("one", ONE_STREAM), ("many", MANY_STREAMS))
         for name, one in table.items()]  # fmt: skip

SAMPLE = [
    ("ping-one", "tcp", "s2n-tcp"),
    ("ping-one", "s2n-tcp", "tcp"),
    ("parallel-one", "tcp", "s2n-tcp"),
    ("fan_out-one", "s2n-tcp", "tcp"),
    ("parallel-many", "tcp", "s2n-tcp"),
    ("scopes-many", "s2n-tcp", "tcp"),
    ("lowered-many", "tcp", "s2n-tcp"),
    ("lowered-one", "s2n-tcp", "tcp"),
    ("request_response-one", "tls", "s2n-native-tls"),
    ("request_response-many", "s2n-native-tls", "tls"),
    ("ping-one", "s2n-tls", "tls"),
    ("rates-many", "tls", "s2n-tls"),
    ("connect-one", "quic", "s2n-quic"),
    ("request_response-many", "s2n-quic", "quic"),
]


def valid_rounds(name: str, server: str, client: str, folder: Path, rounds: int = 3) -> list[dict[str, Any]]:
    """Run a scenario with these drivers; its rounds that count.

    Drivers that can't be armed may begin too far apart on a busy machine; no other reason makes a round invalid here.
    """
    for driver in (server, client):
        try:
            KNOWN[driver].locate()
        except DriverMissing as error:
            pytest.skip(str(error))
        role = Role.SERVER if driver == server else Role.CLIENT
        if (why := unsupported(KNOWN[driver], analyse(dict(CASES)[name]), role)) is not None:
            pytest.skip(f"unsupported by {driver}: {why}")
    dict(CASES)[name].write(folder / f"{name}.json")
    sides = ["--server-driver", server, "--client-driver", client]
    main(["run", str(folder / f"{name}.json"), *sides, "--rounds", str(rounds), "--out", str(folder / "out")])
    (test,) = json.loads((folder / "out" / "results.json").read_text())["tests"]
    found = [one["validity"] for one in test["rounds"]]
    if client == "s2n-native-tls" and any("received" in reason for one in found for reason in one):
        pytest.xfail(f"its client takes a closed connection for the end of the data: {found}")
    assert not [reason for one in found for reason in one if "apart" not in reason]
    valid: list[dict[str, Any]] = [one for one in test["rounds"] if not one["validity"]]
    return valid


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.real
@pytest.mark.parametrize(("name", "server", "client"), SAMPLE)
def test_both_sides_count_the_same_bytes(name: str, server: str, client: str, tmp_path: Path) -> None:
    """A round between two drivers is valid: as many bytes received as sent, as many accepts as connects."""
    assert valid_rounds(name, server, client, tmp_path)[0]["metrics"]["goodput"] > 0


@pytest.mark.deep
@pytest.mark.parametrize(("server", "client"), [pytest.param(*pair, id="/".join(pair)) for pair in PAIRS])
@pytest.mark.parametrize("name", dict(CASES))
def test_every_scenario_between_all_drivers(name: str, server: str, client: str, tmp_path: Path) -> None:
    """The whole matrix, in both roles where two drivers speak the same wire."""
    assert valid_rounds(name, server, client, tmp_path)
