"""Which scenarios does the interop matrix have, which pairs of drivers, and what is a good round of them?"""

from __future__ import annotations

import functools
import json
import re
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
from pytest_netbench.cli.main import UNSUPPORTED, main
from pytest_netbench.drivers.registry import KNOWN
from pytest_netbench.drivers.support import unsupported
from pytest_netbench.errors import DriverMissing
from pytest_netbench.roles import Role
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.lower import lower
from tests.real.test_faults import SHOWN

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
    "download_for_a_time": download(seconds=200 * ms, connections=2),
    "upload_for_a_time": fan_in(clients=2, seconds=200 * ms),
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


def check_rounds(name: str, one: Scenario, server: str, client: str, rounds: int = 3) -> list[dict[str, Any]]:
    """Every round counts: as many bytes received as sent on every stream, as many accepts as connects.

    What the machine does to a round is passed over (fixture ``steady``), no other reason is. A scenario that meets
    a fault of a real driver is refused with its name, and an expected failure: in ``test_faults`` the fault is shown,
    by a test that fails when it is gone.
    """
    one.write(f"{name}.json")
    command = ["run", f"{name}.json", "--server-driver", server, "--client-driver", client, "--rounds", str(rounds)]
    for driver, role in ((server, Role.SERVER), (client, Role.CLIENT)):
        try:
            KNOWN[driver].locate()
        except DriverMissing as error:
            pytest.skip(str(error))
        if (refused := unsupported(KNOWN[driver], analyse(one), role)) is not None:
            fault = refused.partition(": ")[2]
            assert without_numbers(fault) in shown(), f"no test shows this fault of {driver}: {fault}"
            assert main(command) == UNSUPPORTED
            pytest.xfail(f"{driver}: {fault}")
    main([*command, "--out", "out"])
    (test,) = json.loads(Path("out/results.json").read_text())["tests"]
    reasons = [reason for each in test["rounds"] for reason in each["validity"]]
    ends = [Role.SERVER] * (server == "s2n-native-tls") + [Role.CLIENT] * (client == "s2n-native-tls")
    if reasons and all(any(kept_back(reason, end) for end in ends) for reason in reasons):
        pytest.xfail("s2n-native-tls: either end may keep back the last of what it sends")
    assert not reasons
    found: list[dict[str, Any]] = test["rounds"]
    return found


CLOSED_EARLY = {
    Role.SERVER: re.compile("the servers sent [0-9,]+ bytes, the clients received|bytes to the clients, they received"),
    Role.CLIENT: re.compile(
        "the clients sent [0-9,]+ bytes, the servers received|bytes to the servers, they received|"
        "server-.*: connection .*, receive .* bytes: the peer closed, .* bytes are missing"
    ),
}
CLIENT_SAYS = re.compile("connection .*, stream .*, receive .* bytes: the peer closed, .* bytes are missing\n")


def kept_back(reason: str, end: Role) -> bool:
    """Whether an end didn't send the last of what it said it had sent, and nothing else was wrong.

    A raw stream then ends early, which a real client takes for all, and ours for a failure; in frames it has no end,
    for which a client waits in vain. It takes a full socket at the end of the server's program, as in ``test_faults``.
    """
    if CLOSED_EARLY[end].search(reason):
        return True
    if end is Role.CLIENT:
        return False
    if "driver tls as client 0 failed" in reason:
        said = [text for text in _left("client-*/driver.err") if text]
        return bool(said) and all(map(CLIENT_SAYS.fullmatch, said))
    finished = sum(text.count("] sfin[") for text in _left("server-*/driver.out"))
    heard = sum(text.count("] rfin[") for text in _left("client-*/driver.out"))
    return "client-0 failed in RUNNING: deadline" in reason and finished > heard


def _left(pattern: str) -> list[str]:
    return [one.read_text() for one in Path("out/runs").rglob(pattern)]


def without_numbers(fault: str) -> str:
    """A fault that is known, whatever the scenario's own numbers are."""
    return re.sub("[0-9]+", "N", fault)


@functools.cache
def shown() -> frozenset[str]:
    """The faults of the real drivers that tests show."""
    return frozenset(without_numbers(finding.why) for one in SHOWN for finding in analyse(one).findings)
