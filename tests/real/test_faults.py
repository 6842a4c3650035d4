"""Do the real drivers still fail where we say that they do? Each fault by a scenario that shows it, and is refused.

A fault that is gone makes its test fail: then the finding goes, too. Those that need bad luck are tried many times.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.cli.main import main
from pytest_netbench.drivers import registry
from pytest_netbench.drivers.support import unsupported
from pytest_netbench.errors import DriverMissing
from pytest_netbench.result.validity import judge
from pytest_netbench.roles import Role
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.catalog import ping, request_response
from pytest_netbench.scenario.certificates import certify
from pytest_netbench.telemetry.gather import read_host
from pytest_netbench.units import KB, ms
from russula import WorkerFailed
from tests import steady
from tests.drivers.builtin.builtin_processes import scenario
from tests.drivers.builtin.test_builtin_multiplex import between, exchange
from tests.worker_rounds import Round, serving

pytestmark = [pytest.mark.real, pytest.mark.deep]

OPEN = m.OpenBidirectionalStream(0)


async def outcome(one: m.Scenario, folder: Path, server: str, client: str | None = None, **job: Any) -> tuple[str, ...]:
    """Run a round; why it failed or doesn't count, nothing if all went well."""
    names = {Role.SERVER: server, Role.CLIENT: client or server}
    for name in names.values():
        try:
            registry.KNOWN[name].locate()
        except DriverMissing as missing:
            pytest.skip(str(missing))
    one = certify(one)
    one.write(folder / "scenario.json")
    async with serving(registry.KNOWN, folder) as address:
        round_ = Round(address, folder / "scenario.json", folder / "results", server, timeout_s=3.0, **job)
        round_.of = {role: {"driver": name} for role, name in names.items()}
        try:
            await round_.play()
        except WorkerFailed as failed:
            return (str(failed),)
    hosts = [
        read_host(folder / "results" / role.value, registry.KNOWN[name], one, role, 0, role.value)
        for role, name in names.items()
    ]
    return steady.reasons(one, hosts, armed=False)


def unfinished(*near: m.ConnectionOp) -> m.Scenario:
    """A client whose program has no finishes at its end."""
    return between(m.Connection((OPEN, *near)), m.Connection(peer_streams=((m.ReceiveAll(0),),)))


FAULTS = {
    "zero bytes, multiplexed": ("s2n-tcp", between(
        m.Connection((OPEN, m.OpenBidirectionalStream(1), m.Send(0, 0), m.Send(1, 1), m.Receive(1, 1))),
        m.Connection(peer_streams=((), (m.Receive(1, 1), m.Send(1, 1)))),
    )),
    "zero bytes, QUIC": ("s2n-quic", scenario((m.Send(0, 0), m.Receive(0, 1)), (m.Receive(0, 0), m.Send(0, 1)))),
    "ends in a rate": ("s2n-tcp", unfinished(m.SendRate(0, 1000, 5), m.Send(0, 3000))),
    "receives first": ("s2n-tcp", scenario((m.Receive(0, 10),), (m.Send(0, 10),))),
    "receives first, TLS": ("s2n-native-tls", scenario((m.Receive(0, 10),), (m.Send(0, 10),))),
    "receives all, then sends": (
        "s2n-tcp", scenario((m.Send(0, 10), m.Receive(0, 10)), (m.ReceiveAll(0), m.Send(0, 10)))
    ),
    "receives in a row": ("s2n-tcp", scenario(
        (m.Send(0, 1), m.Sleep(100), m.Receive(0, 10), m.Receive(0, 20), m.Send(0, 1)),
        (m.Receive(0, 1), m.Send(0, 30), m.Receive(0, 1)),
    )),
    "more than 200 streams": ("s2n-tcp", exchange(250, 1, 1)),
    "outlives its server": ("s2n-quic", scenario((m.Send(0, 1), m.Receive(0, 1), m.Sleep(300)),
                                                 (m.Receive(0, 1), m.Send(0, 1)))),
    "an id that begins with a dash": ("s2n-native-tls", replace(
        scenario((m.Send(0, 1), m.Receive(0, 1)), (m.Receive(0, 1), m.Send(0, 1))), id="-a"
    )),
    "a stream that is never opened": ("s2n-tcp", between(
        m.Connection((OPEN, m.Send(0, 1))), m.Connection(peer_streams=((m.Receive(0, 1),), (m.Receive(1, 1),)))
    )),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_there_and_its_scenario_is_refused(name: str, tmp_path: Path) -> None:
    """The real drivers hang or fail with each other; so the scenario is unsupported by them."""
    driver, one = FAULTS[name]
    assert unsupported(registry.KNOWN[driver], analyse(one), Role.CLIENT) is not None
    assert await outcome(one, tmp_path, driver) != ()


@pytest.mark.parametrize("name", FAULTS)
async def test_our_drivers_have_none_of_them(name: str, tmp_path: Path) -> None:
    """The same scenarios, where they make sense at all."""
    real, one = FAULTS[name]
    ours = {"s2n-tcp": "tcp", "s2n-native-tls": "tls", "s2n-quic": "quic"}[real]
    found = await outcome(one, tmp_path, ours)
    if name in {"a stream that is never opened", "receives all, then sends"}:
        assert len(found) == 1  # refused, with what is wrong
        return
    assert found == ()


RATED = scenario(
    (m.Send(0, 1), m.ReceiveRate(0, 100_000, 2000), m.Profile(0, (m.Receive(0, 500_000),))),
    (m.Receive(0, 1), m.Send(0, 500_000)),
)


async def test_a_rate_of_receiving_is_not_kept(tmp_path: Path) -> None:
    """In duplex mode, all that is there is read at once: 500 kB at 100 kB in 2 s came in far less than 8 s."""
    assert await outcome(RATED, tmp_path, "s2n-tcp") == ()
    report = read_host(tmp_path / "results/client", registry.KNOWN["s2n-tcp"], RATED, Role.CLIENT, 0, "client")
    assert report.driver.samples["outer"][0] < 4


RATED_OVER_QUIC = scenario(
    (m.Send(0, 1), m.ReceiveRate(0, 100_000, 100), m.Receive(0, 500_000)), (m.Receive(0, 1), m.Send(0, 500_000))
)


async def test_a_client_that_receives_slowly_over_quic_never_ends(tmp_path: Path) -> None:
    """Its server has closed when it has received the last of what was sent long ago."""
    assert unsupported(registry.KNOWN["s2n-quic"], analyse(RATED_OVER_QUIC), Role.CLIENT) is not None
    (why,) = await outcome(RATED_OVER_QUIC, tmp_path, "s2n-quic")
    assert "client failed in RUNNING: deadline" in why


NO_TIMES = scenario((m.Iterate(m.Count(0), (m.Send(0, 7),)),), (m.Receive(0, 7),))


async def test_a_count_of_0_runs_once(tmp_path: Path) -> None:
    """The server receives what should have been sent no time."""
    assert unsupported(registry.KNOWN["s2n-tcp"], analyse(NO_TIMES), Role.CLIENT) is not None
    assert await outcome(NO_TIMES, tmp_path, "s2n-tcp") == ()


async def seen(one: m.Scenario, folder: Path, driver: str, tries: int, **job: Any) -> bool:
    """Whether a fault that needs bad luck shows itself in one of so many rounds."""
    for number in range(tries):
        place = folder / str(number)
        place.mkdir()
        if await outcome(one, place, driver, **job):
            return True
    return False


async def test_one_thread_spins_when_a_write_blocks(tmp_path: Path) -> None:
    """Multiplexed on one thread, a hundred streams that send more than a socket takes never end; on several they do."""
    one = exchange(100, 1, 200_000)
    assert await seen(one, tmp_path, "s2n-tcp", 20, options={"multithreaded": False})
    (tmp_path / "threads").mkdir()
    assert await outcome(one, tmp_path / "threads", "s2n-tcp") == ()


ONE_WAY = between(
    m.Connection(tuple(op for one in range(20) for op in (m.OpenSendStream(one), m.Send(one, 1), m.SendFinish(one)))),
    m.Connection(peer_streams=tuple((m.ReceiveAll(one),) for one in range(20))),
)


async def test_streams_that_end_at_once_may_be_lost(tmp_path: Path) -> None:
    """Multiplexed, a stream whose end comes with its beginning may never be accepted."""
    assert unsupported(registry.KNOWN["s2n-tcp"], analyse(ONE_WAY), Role.SERVER) is not None
    assert await seen(ONE_WAY, tmp_path, "s2n-tcp", 20)


@pytest.fixture
def by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds by the command, on hosts with packets of 1,500 bytes."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("netbench.toml").write_text("timeout = 3\n")


def _found(one: m.Scenario, client: str, rounds: int, server: str = "s2n-native-tls") -> list[str]:
    """What the rounds between these two have against them; a round that fails is the last."""
    one.write("scenario.json")
    sides = ["--server-driver", server, "--client-driver", client]
    main(["run", "scenario.json", *sides, "--rounds", str(rounds), "--out", "out"])
    (test,) = json.loads(Path("out/results.json").read_text())["tests"]
    return [reason for each in test["rounds"] for reason in each["validity"]]


@pytest.mark.usefixtures("by_command")
def test_a_server_over_native_tls_keeps_back_the_last_of_what_it_sends() -> None:
    """What a full socket doesn't take at its program's end is lost. Its client takes what came for all; ours fails."""
    one = request_response(response=100_000, connections=10)
    assert "the clients received" in _found(one, "s2n-native-tls", 1)[0]
    assert "driver tls as client 0 failed" in _found(one, "tls", 1)[0]


@pytest.mark.usefixtures("by_command")
def test_a_client_over_native_tls_keeps_back_the_last_of_what_it_sends() -> None:
    """As its server does: most of 30 uploads come short. Its server takes what came for all; ours fails."""
    one = scenario((m.Send(0, 100_000),), (m.Receive(0, 100_000),), client=(m.Connect(0, 0, 0),) * 30)
    assert "the clients sent 3,000,000 bytes, the servers received" in _found(one, "s2n-native-tls", 1)[0]
    assert "bytes are missing" in _found(one, "s2n-native-tls", 1, server="tls")[0]


@pytest.mark.usefixtures("by_command")
def test_a_server_over_native_tls_may_keep_back_the_end_of_a_stream() -> None:
    """In frames, its client then waits for it for ever; one in some ten rounds."""
    found = _found(ping(time=50 * ms, size=[1 * KB, 20 * KB], streams=2), "s2n-native-tls", 100)
    assert any("client-0 failed in RUNNING: deadline" in reason for reason in found)


SHOWN = (*(one for _, one in FAULTS.values()), RATED, RATED_OVER_QUIC, NO_TIMES, ONE_WAY)
"""Scenarios that meet a fault which a test here shows."""


async def test_a_real_client_opens_more_than_200_streams_with_us(tmp_path: Path) -> None:
    """Our server lets it from the beginning, where its own would stop at 200."""
    assert await outcome(exchange(250, 10, 10), tmp_path, "tcp", "s2n-tcp") == ()


async def test_modes_that_differ_are_caught(tmp_path: Path) -> None:
    """The client alone in duplex mode receives nothing and exits with status 0: the round doesn't count."""
    names = request_response(response=100_000)
    names.write(tmp_path / "scenario.json")
    try:
        registry.KNOWN["s2n-tcp"].locate()
    except DriverMissing as missing:
        pytest.skip(str(missing))
    async with serving(registry.KNOWN, tmp_path) as address:
        round_ = Round(address, tmp_path / "scenario.json", tmp_path / "results", "s2n-tcp", timeout_s=3.0)
        round_.of = {Role.SERVER: {"multiplex": True}, Role.CLIENT: {"multiplex": False}}
        await round_.play()
    hosts = [
        read_host(tmp_path / "results" / role.value, registry.KNOWN["s2n-tcp"], names, role, 0, role.value)
        for role in Role
    ]
    assert judge(names, analyse(names), hosts, 0.0, armed=False, control_bytes=0)
