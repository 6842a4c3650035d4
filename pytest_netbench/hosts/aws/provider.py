"""How do EC2 instances serve tests? Launched when a test needs them, used again by the next, gone at the end."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, TypeAlias

from pytest_netbench.errors import HostError, UsageError
from pytest_netbench.hosts.aws import journal, prices, request
from pytest_netbench.hosts.aws.api import Aws, Where
from pytest_netbench.hosts.aws.cleanup import Cleanup
from pytest_netbench.hosts.aws.launch import Launcher
from pytest_netbench.hosts.aws.plan import Launch, Slot, attempts, fits, slots
from pytest_netbench.hosts.aws.preflight import Site, preflight
from pytest_netbench.hosts.aws.ready import Preparer, Ready
from pytest_netbench.hosts.aws.reaper import Reaper, clean
from pytest_netbench.hosts.aws.settings import settings_from
from pytest_netbench.hosts.aws.ssm import Commands
from pytest_netbench.hosts.ledger import KEPT, MADE, REMOVED
from pytest_netbench.hosts.model import Fleet, Host, Hosts, Need
from pytest_netbench.hosts.provider import Provider, ProviderContext
from pytest_netbench.result.model import Cost
from pytest_netbench.roles import Role

Way: TypeAlias = tuple[Launch, ...]

HURRY = 4.0
"""Seconds for a clean-up that somebody waits for who will kill us: the rest is the reaper's."""
ANSWERS = 2.0
"""Seconds for a worker that lives to take a connection."""
LEAST_LIFE = 120.0
"""Seconds that a host must still have to live when a test begins."""
EMULATED = (
    "emulated AWS: hosts are processes on this machine's loopback, and their figures say nothing about EC2; "
    "what is proved is the way there"
)


@dataclass
class _Place:
    """A host of this run, the slot that it fills, and since when a test has it."""

    slot: Slot
    ready: Ready
    dollars_second: float
    taken: float = field(default_factory=time.monotonic)


class AwsProvider(Provider):
    """Hosts on EC2; ``[providers.aws]`` says where."""

    name: ClassVar[str] = "aws"
    parallel: ClassVar[bool] = False
    forecasts: ClassVar[bool] = True
    salvages_cheaply: ClassVar[bool] = False

    @classmethod
    def refuses(cls, need: Need) -> str | None:
        """Emulated links, and MTUs that EC2's interfaces don't have."""
        if need.link is not None:
            return "EC2's network is what it is: no link is emulated there"
        if need.mtu not in {None, request.MTU}:
            return f"EC2's interfaces have an MTU of {request.MTU}, {need.mtu} is needed"
        return None

    def __init__(self, context: ProviderContext) -> None:
        self._context = context
        self._settings = settings_from(context.settings)
        self._places: dict[str, _Place] = {}
        self._costs: dict[int, tuple[float, float | None, tuple[_Place, ...]]] = {}
        self._work = threading.Lock()
        self._aws: Aws | None = None
        self._reaper: Reaper | None = None
        self._emulation: Any = None
        self._ended = False

    # --- begin and end -----------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self._begin)
        except BaseException:
            await asyncio.to_thread(self._stop_emulation)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._context.hurried():
            self.sweep()
        elif not self._ended:
            await asyncio.to_thread(self._end)

    def _begin(self) -> None:
        if self._settings.emulate:
            self._emulate()
        ledger, settings = self._context.ledger, self._settings
        self._aws = aws = Aws(Where.of(settings))
        aws.warm_up("ssm", "s3")
        expires = int(time.time() + settings.life)
        self._expires = time.monotonic() + settings.life
        self._identity = request.Identity(ledger.run, settings.owner, expires)
        self._site = preflight(aws, settings, self._types())
        self._launcher = Launcher(aws, ledger, settings, self._site, self._identity)
        commands = Commands(aws, ledger.run, settings.poll, self._launcher.look)
        self._preparer = Preparer(aws, ledger, settings, self._site, commands, self._context.drivers)
        journal.begin(ledger, aws.where, self._site.network.bucket, self._site.network.vpc)
        lifelines = [self._emulation.lifeline] if self._emulation is not None else []
        self._reaper = None if self._context.keep else Reaper(ledger.path, lifelines)

    def _types(self) -> frozenset[str]:
        named = {kind.type for need in self._context.upcoming() for kind in need.kinds.values()} - {""}
        return frozenset((*self._settings.types, *named))

    def _emulate(self) -> None:
        """Start an AWS on this machine, with the stack in it."""
        from pytest_netbench.testing.aws.emulation import started_for

        if self._context.keep:
            raise UsageError("--netbench-keep-hosts: emulated hosts end with the run that emulates them")
        self._emulation = started_for(self._context.ledger, self._settings.stack)
        self._settings = settings_from({**self._context.settings, **self._emulation.settings(), "emulate": True})

    def _stop_emulation(self) -> None:
        emulation, self._emulation = self._emulation, None
        if emulation is not None:
            emulation.stop_for(self._context.ledger)

    def sweep(self) -> None:
        """Remove everything, now; what would take too long is left to the reaper."""
        if self._ended:
            return
        try:
            if self._context.hurried():
                with _undisturbed():
                    self._hand_over()
            else:
                self._end()
        except HostError as error:
            run = self._context.ledger.run
            print(f"netbench: {run} isn't removed: {error}\n`netbench reap {run}` tries again", file=sys.stderr)  # noqa: T201

    def _end(self) -> None:
        """Remove everything, and wait until it is gone."""
        self._ended = True
        if self._aws is not None:
            self._aws.stop()
        if self._context.keep:
            self._context.ledger.made(KEPT, self._context.run)
            return
        try:
            with self._work:
                clean(self._context.ledger.path)
            if self._reaper is not None:
                self._reaper.dismiss()
        finally:
            if self._reaper is not None:
                self._reaper.hand_over()
            self._stop_emulation()

    def _hand_over(self) -> None:
        """Ask for the end of all hosts, as far as that is quick; the reaper does the rest."""
        self._ended = True
        if self._aws is not None:
            self._aws.stop()
        worker = threading.Thread(target=self._terminate_quietly, daemon=True)
        worker.start()
        worker.join(HURRY)
        if self._reaper is not None:
            self._reaper.hand_over()
        if self._emulation is not None:
            self._emulation.abandon(self._context.ledger)

    def _terminate_quietly(self) -> None:
        with suppress(HostError):
            cleanup = Cleanup.of(self._context.ledger.run, self._context.ledger.held(), self._write)
            if cleanup is not None:
                cleanup.terminate()

    def _write(self, event: str, kind: str, name: str, data: Mapping[str, Any] | None) -> None:
        if event == MADE:
            self._context.ledger.made(kind, name, data)
        elif event == REMOVED:
            self._context.ledger.removed(kind, name)

    # --- hosts for a test --------------------------------------------------------------------------

    @asynccontextmanager
    async def fleet(self, need: Need) -> AsyncIterator[Fleet]:
        """Hosts for one test; those that later tests don't need are gone when it is left."""
        places = await asyncio.to_thread(self._exclusively, need)
        made = Fleet(
            servers=tuple(self._host(one) for one in places if one.slot.role is Role.SERVER),
            clients=tuple(self._host(one) for one in places if one.slot.role is Role.CLIENT),
            note=self._note(places),
            credentials=self._preparer.coordinator if places else None,
        )
        began = time.monotonic()
        self._costs[id(made)] = began, None, tuple(places)
        try:
            yield made
        finally:
            self._costs[id(made)] = began, time.monotonic(), tuple(places)
        await asyncio.to_thread(self._release)

    def _exclusively(self, need: Need) -> list[_Place]:
        with self._work:
            return self._hosts(need)

    def _hosts(self, need: Need) -> list[_Place]:
        if self._ended or time.monotonic() > self._expires - LEAST_LIFE:
            raise HostError(f"the run's hosts have lived for {self._settings.life:g} s: raise [providers.aws] life")
        wanted = slots(need)
        if self._preparer.issue(self._names(need)):
            self._retire(list(self._places))
        self._retire([slot.name for slot in wanted if slot.name in self._places and not self._serves(slot)])
        missing = [slot for slot in wanted if slot.name not in self._places]
        if missing:
            self._launch(missing, need)
        self._bring(need, [self._places[slot.name] for slot in wanted])
        return [self._places[slot.name] for slot in wanted]

    def _names(self, need: Need) -> list[str]:
        """The names of all workers, of this test and those to come, so that one authority certifies all."""
        most = dict.fromkeys(Role, 0)
        for one in (need, *self._context.upcoming()):
            most[Role.SERVER] = max(most[Role.SERVER], one.servers)
            most[Role.CLIENT] = max(most[Role.CLIENT], one.clients)
        if sum(most.values()) > self._settings.max_hosts:
            raise UsageError(f"{sum(most.values())} hosts are needed: [providers.aws] max_hosts is lower")
        return [f"{role.value}-{index}" for role, count in most.items() for index in range(count)]

    def _serves(self, slot: Slot) -> bool:
        """Whether the host in this place is of the right kind, and its worker takes connections."""
        place = self._places[slot.name]
        one = place.ready.instance
        if not fits(slot.kind, Hosts(one.type, one.placement or "none", one.zone)):
            return False
        try:
            with socket.create_connection((self._address(place.ready), self._settings.port), ANSWERS):
                return True
        except OSError:
            return False

    def _launch(self, missing: Sequence[Slot], need: Need) -> None:
        site = self._extended([slot.kind.type for slot in missing if slot.kind.type])
        beside = {one.ready.instance.zone for one in self._places.values()}
        ways = attempts(
            missing,
            self._settings,
            sorted(site.network.subnets),
            site.offered,
            site.types,
            beside=next(iter(beside)) if len(beside) == 1 else "",
        )
        first = next(ways)
        self._check_cost(need, first)
        types = [site.types[launch.type] for launch in first]
        programs = self._preparer.programs(need.drivers, types)
        if not self._places:
            self._launcher.may_launch(first[0], site.network.subnets[first[0].zone])
        made = self._launcher.launch(_chained(first, ways))
        ready = self._preparer.prepare({slot.name: one for slot, one in made.items()}, programs)
        by_name = {one.name: one for one in ready}
        for slot in missing:
            one = by_name[slot.name]
            self._places[slot.name] = _Place(slot, one, self._price(one.instance.type))

    def _extended(self, types: Sequence[str]) -> Site:
        """The site, with types that nobody had foreseen."""
        new = frozenset(types) - set(self._site.types)
        if new:
            assert self._aws is not None
            more = preflight(self._aws, self._settings, new)
            self._site.offered.update(more.offered)  # type: ignore[attr-defined]
            self._site.types.update(more.types)  # type: ignore[attr-defined]
            self._site.images.update(more.images)  # type: ignore[attr-defined]
        return self._site

    def _bring(self, need: Need, places: Sequence[_Place]) -> None:
        """Programs that the hosts of earlier tests don't have yet."""
        wanted = self._preparer.programs(need.drivers, [])
        lacking = [one for one in places if not {blob.path for blob in wanted} <= one.ready.programs]
        if lacking:
            hosts = {one.ready.name: one.ready.instance for one in lacking}
            for place, ready in zip(lacking, self._preparer.prepare(hosts, wanted), strict=True):
                have = place.ready.programs | ready.programs
                place.ready = Ready(ready.name, ready.instance, ready.pin, ready.facts, have)

    def _retire(self, names: Sequence[str]) -> None:
        """Let hosts go."""
        going = [self._places.pop(name) for name in names if name in self._places]
        self._launcher.terminate([one.ready.instance.id for one in going])

    def _release(self) -> None:
        """Let those go that no test needs any more; without a forecast, none."""
        upcoming = self._context.upcoming()
        if not upcoming or self._ended:
            return
        needed = {slot.name for need in upcoming for slot in slots(need)}
        with self._work, suppress(HostError):
            self._retire([name for name in self._places if name not in needed])

    # --- what a test sees --------------------------------------------------------------------------

    def _address(self, ready: Ready) -> str:
        public = self._settings.control == "public" and ready.instance.public
        return ready.instance.public if public else ready.instance.private

    def _host(self, place: _Place) -> Host:
        ready, one = place.ready, place.ready.instance
        return Host(
            name=ready.name,
            role=place.slot.role,
            index=place.slot.index,
            control=f"tcp://{self._address(ready)}:{self._settings.port}",
            data=one.private,
            facts={
                "instance": one.id,
                "type": one.type,
                "zone": one.zone,
                "placement": one.placement or "none",
                "image": one.image,
                "network": self._site.types[one.type].network,
                **ready.facts,
            },
            pin=ready.pin,
        )

    def _note(self, places: Sequence[_Place]) -> str:
        zones = {one.ready.instance.zone for one in places}
        far = [f"hosts are in {len(zones)} zones: {', '.join(sorted(zones))}"] if len(zones) > 1 else []
        return "; ".join([*([EMULATED] if self._settings.emulated else []), *far])

    async def salvage(self, host: Host, into: Path) -> None:
        """The end of the worker's log, by SSM; a host that doesn't answer has none."""
        place = self._places.get(host.name)
        if place is None or self._ended:
            return
        with suppress(HostError):
            await asyncio.to_thread(self._save_log, place.ready, into)

    def _save_log(self, ready: Ready, into: Path) -> None:
        text = self._preparer.log(ready)
        into.mkdir(parents=True, exist_ok=True)
        (into / "worker.log").write_text(text)

    # --- money -------------------------------------------------------------------------------------

    def _price(self, type_: str) -> float:
        assert self._aws is not None
        if self._settings.emulated and type_ not in prices.table().types:
            return 0.0
        return prices.table().second(type_, self._aws.where.region, self._settings.price)

    def _check_cost(self, need: Need, launches: Way) -> None:
        types = [one.type for one in launches for _ in one.slots]
        zones = {one.zone for one in launches} | {one.ready.instance.zone for one in self._places.values()}
        wanted = prices.estimate(
            [self._price(one) for one in types], self._settings.life, need.volume, len(zones), prices.table()
        )
        spent = sum(one.dollars_second for one in self._places.values()) * self._settings.life
        prices.check(spent, wanted, self._settings.max_cost)

    def cost(self, fleet: Fleet) -> Cost | None:
        """Host-seconds of the test, and dollars at list prices."""
        if id(fleet) not in self._costs:
            return None
        began, ended, places = self._costs[id(fleet)]
        seconds = (ended if ended is not None else time.monotonic()) - began
        dollars = sum(one.dollars_second for one in places) * seconds
        return Cost(seconds * len(places), dollars, prices.table().as_of)


def _chained(first: Way, rest: Iterator[Way]) -> Iterator[Way]:
    yield first
    yield from rest


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No signal cuts this short."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
