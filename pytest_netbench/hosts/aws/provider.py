"""How do EC2 instances serve tests? Launched when a test needs them, used again by the next, gone at the end."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from pytest_netbench.drivers.driver import Driver
from pytest_netbench.errors import HostError, UsageError
from pytest_netbench.hosts.aws import prices, request
from pytest_netbench.hosts.aws.api import Aws, Where
from pytest_netbench.hosts.aws.bundle import bundle
from pytest_netbench.hosts.aws.cargo import declared, programs
from pytest_netbench.hosts.aws.pool import Place, Pool
from pytest_netbench.hosts.aws.reaper import Reaper, clean
from pytest_netbench.hosts.aws.settings import settings_from
from pytest_netbench.hosts.ledger import KEPT, MADE, append
from pytest_netbench.hosts.model import Fleet, Host, Need
from pytest_netbench.hosts.provider import Provider, ProviderContext
from pytest_netbench.result.model import Cost
from pytest_netbench.roles import Role

EMULATED = (
    "emulated AWS: hosts are processes of this machine, and their figures say nothing about EC2; "
    "what is proved is the way there"
)


@dataclass(frozen=True, slots=True)
class _Span:
    """When a test had its hosts, by the monotonic clock; what they cost a second, and its data as a whole."""

    began: float
    dollars_second: float
    data_dollars: float
    ended: float | None = None


class AwsProvider(Provider):
    """Hosts on EC2; ``[providers.aws]`` says where."""

    name: ClassVar[str] = "aws"
    brings: ClassVar[bool] = True
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

    @classmethod
    def look_for(cls, driver: Driver, settings: Mapping[str, object]) -> None:
        """On this machine, or on the image where the settings say so."""
        on_image = settings_from(settings).programs
        if not on_image:
            driver.locate()
        for program in programs(driver):
            if declared(program, on_image) is None:
                driver.find(program)

    def __init__(self, context: ProviderContext) -> None:
        self._context = context
        self._settings = settings_from(context.settings)
        self._costs: dict[int, _Span] = {}
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
        threading.Thread(target=bundle, daemon=True).start()  # while AWS is asked
        self._pool = Pool(self._context, settings, aws)
        lifelines = [self._emulation.lifeline] if self._emulation is not None else []
        self._reaper = None if self._context.keep else Reaper(ledger.path, lifelines)

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
        """Remove everything, now; where that may not take its time, it is left to the reaper."""
        if self._ended:
            return
        if self._context.hurried():
            self.hurry()
            return
        try:
            self._end()
        except HostError as error:
            run = self._context.ledger.run
            print(f"netbench: {run} isn't removed: {error}\n`netbench reap {run}` tries again", file=sys.stderr)  # noqa: T201

    def hurry(self) -> None:
        """Hand everything over to the reaper, at once: it begins as soon as its pipe is closed; or keep it."""
        if self._ended:
            return
        self._ended = True
        if self._aws is not None:
            self._aws.stop()
        if self._context.keep:
            self._note_kept()
        if self._reaper is not None:
            self._reaper.hand_over()
        if self._emulation is not None:
            self._emulation.abandon()

    def _end(self) -> None:
        """Remove everything, and wait until it is gone."""
        self._ended = True
        if self._aws is not None:
            self._aws.stop()
        if self._context.keep:
            self._note_kept()
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

    def _note_kept(self) -> None:
        """That what there is stays, and until when; as a reaper would, since signals call this amid anything."""
        if hasattr(self, "_pool"):
            ledger = self._context.ledger
            append(ledger.path, MADE, KEPT, ledger.run, {"until": self._pool.expires})

    # --- hosts for a test --------------------------------------------------------------------------

    @asynccontextmanager
    async def fleet(self, need: Need) -> AsyncIterator[Fleet]:
        """Hosts for one test; those that later tests don't need are gone when it is left."""
        places = await asyncio.to_thread(self._exclusively, need)
        made = Fleet(
            servers=tuple(self._host(one) for one in places if one.slot.role is Role.SERVER),
            clients=tuple(self._host(one) for one in places if one.slot.role is Role.CLIENT),
            note=self._note(places),
            credentials=self._pool.credentials if places else None,
        )
        span = self._costs[id(made)] = _Span(
            time.monotonic(), sum(one.rate.second for one in places), self._pool.data_dollars(need, places)
        )
        try:
            yield made
        finally:
            self._costs[id(made)] = replace(span, ended=time.monotonic())
        await asyncio.to_thread(self._release)

    def _release(self) -> None:
        with self._work:
            if not self._ended:
                self._pool.release()

    def _exclusively(self, need: Need) -> list[Place]:
        with self._work:
            if self._ended:
                raise HostError("this run is being ended")
            return self._pool.hosts(need)

    # --- what a test sees --------------------------------------------------------------------------

    def _host(self, place: Place) -> Host:
        ready, one = place.ready, place.ready.instance
        return Host(
            name=ready.name,
            role=place.slot.role,
            index=place.slot.index,
            control=f"tcp://{self._pool.address(ready)}:{self._settings.port}",
            data=one.private,
            facts={
                "instance": one.id,
                "type": one.type,
                "zone": one.zone,
                "placement": one.placement or "none",
                "image": one.image,
                "network": self._pool.network_of(one.type),
                **ready.facts,
            },
            pin=ready.pin,
        )

    def _note(self, places: Sequence[Place]) -> str:
        zones = {one.ready.instance.zone for one in places}
        far = [f"hosts are in {len(zones)} zones: {', '.join(sorted(zones))}"] if len(zones) > 1 else []
        return "; ".join([*([EMULATED] if self._settings.emulated else []), *far])

    async def renew(self, fleet: Fleet) -> None:
        """End the workers and start new ones, by SSM."""
        await asyncio.to_thread(self._pool.renew, [host.name for host in fleet.all])

    async def salvage(self, hosts: Sequence[Host], into: Path) -> None:
        """The ends of workers' logs, by SSM; of those that answer; in their place, why there are none."""
        if not self._ended:
            await asyncio.to_thread(self._save_logs, [host.name for host in hosts], into)

    def _save_logs(self, names: Sequence[str], into: Path) -> None:
        try:
            logs = self._pool.logs(names)
        except HostError as error:
            logs = dict.fromkeys(names, f"no log: {error}\n")
        for name, text in logs.items():
            (into / name).mkdir(parents=True, exist_ok=True)
            (into / name / "worker.log").write_text(text)

    # --- money -------------------------------------------------------------------------------------

    def cost(self, fleet: Fleet) -> Cost | None:
        """Host-seconds of the test, and dollars at list prices; the data's, as far as its scenario tells."""
        span = self._costs.get(id(fleet))
        if span is None:
            return None
        seconds = (time.monotonic() if span.ended is None else span.ended) - span.began
        dollars = span.dollars_second * seconds + span.data_dollars
        return Cost(seconds * len(fleet.all), dollars, prices.table().as_of)
