"""Does a driver keep its contract? It is run through small rounds of the catalogue, and each promise is answered."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_netbench import run as one_round
from pytest_netbench.drivers.driver import Driver, Level
from pytest_netbench.drivers.execution import DriverFailure, Execution
from pytest_netbench.drivers.job import Job, Reason
from pytest_netbench.drivers.version import version_of
from pytest_netbench.errors import NetbenchError, RunError, Unsupported
from pytest_netbench.result.words import count
from pytest_netbench.roles import Role
from pytest_netbench.scenario import catalog
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.session.bench import Netbench
from pytest_netbench.session.planning import NoClock, provider, turn
from pytest_netbench.settings.marker import Spec
from pytest_netbench.settings.plan import Plan
from pytest_netbench.telemetry.gather import read_host
from pytest_netbench.units import KB, MB, ms

if TYPE_CHECKING:
    from pytest_netbench.hosts.provider import Provider
    from pytest_netbench.session.session import Session

SCENARIOS: Mapping[str, Callable[[], Scenario]] = {
    "connect": lambda: catalog.connect(connections=3),
    "ping": lambda: catalog.ping(time=50 * ms, size=[1 * KB]),
    "request_response": lambda: catalog.request_response(response=100 * KB, connections=2),
    "download": lambda: catalog.download(1 * MB, connections=2),
    "upload": lambda: catalog.upload(1 * MB),
    "download for a time": lambda: catalog.download(seconds=1),
    "upload for a time": lambda: catalog.upload(seconds=1),
    "fan_out": lambda: catalog.fan_out(servers=2, response=500 * KB),
    "fan_in": lambda: catalog.fan_in(clients=2, upload=500 * KB),
    "bidi": lambda: catalog.bidi(500 * KB),
    "handshakes": lambda: catalog.handshakes(seconds=1),
    "requests": lambda: catalog.requests(seconds=100 * ms, parallel=2),
    "open_loop": lambda: catalog.open_loop(rate=100),
    "idle": lambda: catalog.idle(connections=20),
}
"""One small round of each entry of the catalogue, of some that say how much also of how long."""

TIMEOUT, REFUSED_TIMEOUT = 20.0, 15.0
_TRIES = 3
"""A busy machine may spoil a round, by its start or from outside: then it is run again."""


class Answer(Enum):
    """How a promise stands; the value is what people see."""

    KEPT = "pass"
    BROKEN = "fail"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise of a driver's contract, and how it stands; ``remedy``: what to do where it is broken."""

    name: str
    answer: Answer
    detail: str
    remedy: str = ""


_REMEDIES: Mapping[str, str] = {
    Reason.DEADLINE: "a server has to listen at the address and port that it is given, a client has to end by itself",
    Reason.ENDED: "a client ends with status 0 when all is done, a server serves until SIGTERM",
    Reason.MISSING: "install it, or say where it is: `path` in its section of the configuration",
    Reason.PORT: "end what has that port, or let the row take any: {port} in its command line",
}


_ENDING = "at SIGTERM a server ends soon, by the signal or with status 0, or one that `ends` names (level command)"

_TELLS: Mapping[Level, str] = {
    Level.NETBENCH: "bytes and connections that it tells have to be those that were, and those of the scenario",
    Level.COMMAND: "what it prints has to fit its `output`, and what that tells to be what was done",
    Level.INTEROP: "every file has to come whole, and both programs have to end well",
}
"""What to do where a round doesn't count."""


async def promises(session: Session, driver: Driver, peer: Driver) -> AsyncIterator[Promise]:
    """Every promise of a driver, as it is found out; ``peer`` plays the role that the driver doesn't have.

    :raises NetbenchError: if there are no hosts to run it on.
    """
    try:
        where = ", ".join(str(path) for path in dict.fromkeys(driver.locate().values()))
    except NetbenchError as error:
        lines = str(error).splitlines()
        yield Promise("is here", Answer.BROKEN, lines[0], driver.install or _REMEDIES[Reason.MISSING])
        return
    yield Promise("is here", Answer.KEPT, where)
    yield Promise("tells its version", Answer.KEPT, version_of(driver))
    endings: list[Mapping[str, Any]] = []
    listened = False
    async with provider(session) as hosts:
        for name, make in SCENARIOS.items():
            found = await _round(session, hosts, name, make(), driver, peer, endings)
            listened = listened or bool(endings)
            yield found
            if not listened and found.answer is Answer.BROKEN:
                break  # a server that doesn't come up won't for the others
    if Role.SERVER in driver.commands:
        if endings:
            yield Promise("listens", Answer.KEPT, f"{count(len(endings), 'server')}, seen in the kernel's socket table")
        yield _ends(endings)
    if Role.CLIENT in driver.commands:
        server = driver if Role.SERVER in driver.commands else peer
        if (trial := _trial(driver, server)) is not None:
            yield await _refused(trial)
            if endings:  # its server comes up
                yield await _unknown(trial)


# --- rounds ------------------------------------------------------------------------------------


async def _round(
    session: Session,
    hosts: Provider,
    name: str,
    scenario: Scenario,
    driver: Driver,
    peer: Driver,
    endings: list[Mapping[str, Any]],
) -> Promise:
    """One entry of the catalogue: supported or not, valid or why not."""
    sides = {role: driver if role in driver.commands else peer for role in Role}
    try:
        trial = one_round.trial(scenario, sides[Role.SERVER], sides[Role.CLIENT], {}, TIMEOUT)
    except Unsupported as error:
        return Promise(name, Answer.UNSUPPORTED, str(error))
    plan = Plan(
        nodeid=f"doctor-{name}",
        spec=Spec(scenario=scenario),
        server_driver=sides[Role.SERVER],
        client_driver=sides[Role.CLIENT],
        rounds=1,
        warmup=0,
        timeout=TIMEOUT,
        budget=None,
    )
    async with hosts.fleet(plan.spec.need()) as fleet:
        bench = Netbench(
            plan, fleet, hosts, asyncio.get_running_loop(), session.name, session.staging, Path(), nullcontext
        )
        reasons: tuple[str, ...] = ()
        for index in range(_TRIES):
            stage = bench.stage(trial, index)
            try:
                async with turn(NoClock()):
                    done = await one_round.carry_out(stage)
            except Unsupported as error:
                return Promise(name, Answer.UNSUPPORTED, str(error))
            except RunError as error:
                return _failed(name, str(error), sides[Role.SERVER])
            endings += [_ending(stage.folder / host.name / "host.json") for host in stage.servers]
            reasons = tuple(one for one in done.validity if " apart" not in one and one not in done.exogenous)
            if not done.validity:
                break
    if reasons:
        return Promise(name, Answer.BROKEN, "\n".join(reasons), _TELLS[driver.level])
    told = f"; {'; '.join(done.untold)}" if done.untold else ""
    return Promise(name, Answer.KEPT, f"{done.duration_s * 1e3:.0f} ms{told}")


def _failed(name: str, text: str, server: Driver) -> Promise:
    if f": {Reason.PORT}" in text and server.port:
        why = f"{server.name} always listens at port {server.port}, and several of it meet in one network here"
        return Promise(name, Answer.UNSUPPORTED, why, _REMEDIES[Reason.PORT])
    remedy = next((words for reason, words in _REMEDIES.items() if f": {reason}" in text), "")
    return Promise(name, Answer.BROKEN, text.removeprefix("round 0: "), remedy)


def _ending(path: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(path.read_bytes())["ending"]
    return found


def _ends(endings: list[Mapping[str, Any]]) -> Promise:
    name = "ends at SIGTERM"
    if not endings:
        return Promise(name, Answer.BROKEN, "no server of it came so far")
    bad = [one for one in endings if not one["expected"]]
    if bad:
        how = f"status {bad[0]['status']}" if bad[0]["signal"] is None else f"signal {bad[0]['signal']}"
        why = f"it ended with {how}, in {len(bad)} of {count(len(endings), 'server')}: {bad[0]['reason']}"
        return Promise(name, Answer.BROKEN, why.removesuffix(": "), _ENDING)
    return Promise(name, Answer.KEPT, f"all of {count(len(endings), 'server')}")


# --- a client by itself ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Trial:
    """What one client is given, and a server that does its scenario."""

    client: Driver
    server: Driver
    scenario: Scenario
    text: bytes

    async def refused(self) -> DriverFailure | tuple[str, ...]:
        """Run the client where nobody listens."""
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # bound, and not listening: whoever dials is refused
            return await self._dial(f"127.0.0.1:{nobody.getsockname()[1]}", self.text)

    async def served(self, text: bytes) -> DriverFailure | tuple[str, ...]:
        """Run the client with another file of the scenario than its server has."""
        with _places(self.text) as (inbox, outbox):
            job = Job(Role.SERVER, 0, self.server.name, bind="127.0.0.1")
            async with Execution(self.server, job, inbox=inbox, outbox=outbox) as server:
                return await self._dial((await server.start_server())["address"], text)

    async def _dial(self, address: str, text: bytes) -> DriverFailure | tuple[str, ...]:
        """The client's failure, or the problems that it reports."""
        job = Job(Role.CLIENT, 0, self.client.name, bind="127.0.0.1", peers=(address,), timeout_s=REFUSED_TIMEOUT)
        with _places(text) as (inbox, outbox):
            async with Execution(self.client, job, inbox=inbox, outbox=outbox) as client:
                try:
                    await client.start_client()
                    await client.run_client(time.monotonic_ns())
                except DriverFailure as error:
                    return error
            return read_host(outbox, self.client, self.scenario, Role.CLIENT, 0, "client").driver.problems


@contextmanager
def _places(text: bytes) -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory(prefix="netbench-doctor-") as name:
        inbox, outbox = Path(name, "inbox"), Path(name, "outbox")
        for place in (inbox, outbox):
            place.mkdir()
        (inbox / "scenario.json").write_bytes(text)
        yield inbox, outbox


def _trial(client: Driver, server: Driver) -> _Trial | None:
    """The first entry of the catalogue that both do, with certificates where one needs them."""
    for make in SCENARIOS.values():
        try:
            scenario = one_round.trial(make(), server, client, {}).scenario
        except Unsupported:
            continue
        with tempfile.NamedTemporaryFile() as file:
            scenario.write(file.name)
            return _Trial(client, server, scenario, Path(file.name).read_bytes())
    return None


async def _refused(trial: _Trial) -> Promise:
    """Where nobody listens, a client says so."""
    name = "tells that nobody listens"
    ended = await trial.refused()
    if isinstance(ended, DriverFailure):
        if ended.reason is Reason.DEADLINE and trial.client.level is Level.INTEROP:
            return Promise(name, Answer.UNSUPPORTED, f"{ended.detail}: the runner's contract doesn't ask for it")
        if ended.reason is Reason.DEADLINE:
            return Promise(name, Answer.BROKEN, ended.detail, "a client gives up, with a status other than 0")
        return Promise(name, Answer.KEPT, ended.detail)
    if ended:
        return Promise(name, Answer.KEPT, ended[0])
    return Promise(name, Answer.BROKEN, "it ended with status 0", "end with another, and say why on standard error")


_MALFORMED = "exited with status 2"
"""As the real drivers end at a file that they can't read."""


async def _unknown(trial: _Trial) -> Promise:
    """What a client doesn't know it doesn't do by half: it exits with 127."""
    name, driver = "refuses what it can't do", trial.client
    if driver.level is Level.COMMAND:
        return Promise(name, Answer.KEPT, "told by the lines that it has")
    if driver.level is Level.INTEROP:
        commands = {
            role: replace(one, env={**one.env, "TESTCASE": "netbench"}) for role, one in driver.commands.items()
        }
        ended = await replace(trial, client=replace(driver, commands=commands)).refused()
        unknown = "the test case `netbench`"
    else:
        document = json.loads(trial.text)
        for program in document["clients"][0]["connections"]:
            program["ops"].insert(0, {"levitate": {"stream_id": 0}})
        ended = await trial.served(json.dumps(document).encode())
        unknown = "the operation `levitate`"
    if isinstance(ended, DriverFailure) and (ended.reason is Reason.UNSUPPORTED or _MALFORMED in ended.detail):
        return Promise(name, Answer.KEPT, f"given {unknown}: {ended.detail}")
    how = ended.detail if isinstance(ended, DriverFailure) else "it ended with status 0"
    return Promise(
        name, Answer.BROKEN, f"given {unknown}: {how}", "exit with status 127: its tests are skipped, not failed"
    )
