"""Which hosts does a run have, and which serve the next test? Used again where they fit, launched where they don't.

Calls block, and belong to one thread at a time.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

from pytest_netbench.errors import HostError, UsageError
from pytest_netbench.hosts.aws import journal, prices, request
from pytest_netbench.hosts.aws.api import Aws
from pytest_netbench.hosts.aws.bundle import bundle
from pytest_netbench.hosts.aws.launch import Launcher
from pytest_netbench.hosts.aws.plan import Launch, Slot, attempts, fits, slots
from pytest_netbench.hosts.aws.preflight import Site, preflight
from pytest_netbench.hosts.aws.prices import Estimate, Rate
from pytest_netbench.hosts.aws.ready import Preparer, Ready
from pytest_netbench.hosts.aws.settings import AwsSettings
from pytest_netbench.hosts.aws.ssm import Commands
from pytest_netbench.hosts.model import Hosts, Need
from pytest_netbench.hosts.provider import ProviderContext
from russula.credentials import Credentials

Way: TypeAlias = tuple[Launch, ...]

ANSWERS = 2.0
"""Seconds for a worker that lives to take a connection."""
SPARE_LIFE = 120.0
"""Seconds that a host must still have to live beyond what a test takes at least, if it may live so long."""


@dataclass
class Place:
    """A host of this run, the slot that it fills, and what it costs."""

    slot: Slot
    ready: Ready
    rate: Rate


class Pool:
    """The hosts of one run.

    :raises HostError: from its making, if hosts can't be made there; nothing is made yet.
    """

    def __init__(self, context: ProviderContext, settings: AwsSettings, aws: Aws) -> None:
        self._context, self._settings, self._aws = context, settings, aws
        self._expires = time.monotonic() + settings.life
        identity = request.Identity(context.ledger.run, settings.owner, self.expires, secrets.token_hex(8))
        named = {kind.type for need in context.upcoming() for kind in need.kinds.values()} - {""}
        self._site = preflight(aws, settings, frozenset((*settings.types, *named)))
        self._launcher = Launcher(aws, context.ledger, settings, self._site, identity)
        commands = Commands(aws, context.ledger.run, settings.poll, self._launcher.look)
        self._preparer = Preparer(aws, context.ledger, settings, self._site, commands, context.drivers)
        self._preparer.store(bundle())
        self._places: dict[str, Place] = {}
        self._spent = 0.0
        journal.begin(context.ledger, aws.where, self._site.network.bucket, self._site.network.vpc)

    @property
    def credentials(self) -> Credentials:
        """The coordinator's."""
        return self._preparer.credentials

    def logs(self, names: Sequence[str]) -> Mapping[str, str]:
        """The ends of the logs of hosts' workers, as far as they answer.

        :raises HostError: if AWS says no.
        """
        return self._preparer.logs(self._named(names))

    def renew(self, names: Sequence[str]) -> None:
        """Put fresh workers in the place of those of these hosts.

        :raises HostError: for the first that isn't up again; with what it said.
        """
        self._preparer.renew(self._named(names))

    def _named(self, names: Sequence[str]) -> list[Ready]:
        return [self._places[name].ready for name in names if name in self._places]

    def network_of(self, type_: str) -> str:
        """What AWS says of a type's network."""
        return self._site.types[type_].network

    def hosts(self, need: Need) -> list[Place]:
        """The hosts for a test, each with a worker that listens.

        :raises HostError: if one can't be made; names it, and what was said.
        :raises UsageError: if they could cost more than they may.
        """
        wanted = slots(need)
        self._see_to_their_life(need)
        if len(wanted) > self._settings.max_hosts:
            raise UsageError(f"{len(wanted)} hosts are needed, [providers.aws] max_hosts is {self._settings.max_hosts}")
        self._retire([slot.name for slot in wanted if slot.name in self._places and not self._serves(slot)])
        missing = [slot for slot in wanted if slot.name not in self._places]
        if missing:
            self._launch(missing, need)
        else:
            self._check_cost(need, ())
        places = [self._places[slot.name] for slot in wanted]
        self._bring(need, places)
        self._spent += self.data_dollars(need, places)
        return places

    @property
    def expires(self) -> int:
        """When the present hosts end themselves, in seconds since the epoch."""
        return int(time.time() + self._expires - time.monotonic())

    def _see_to_their_life(self, need: Need) -> None:
        """No host's time is over in the middle of a test: those that have too little left give way to new ones.

        :raises UsageError: if none may live as long as the test takes.
        """
        life = self._settings.life
        wanted = need.seconds + min(SPARE_LIFE, life / 4)
        if wanted > life:
            raise UsageError(
                f"this test takes {need.seconds:g} s at least, hosts live for {life:g} s: [providers.aws] life"
            )
        if time.monotonic() + wanted > self._expires:
            self._retire(list(self._places))
            self._expires = time.monotonic() + life
            self._launcher.expires(self.expires)
            self._preparer.issue()

    def _serves(self, slot: Slot) -> bool:
        """Whether the host in this place is of the right kind, and its worker takes connections."""
        place = self._places[slot.name]
        one = place.ready.instance
        if not fits(slot.kind, Hosts(one.type, one.placement or "none", one.zone)):
            return False
        try:
            with socket.create_connection((self.address(place.ready), self._settings.port), ANSWERS):
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
        self._tell(first, self._allow(first, need))
        if not self._places:
            for launch in first:
                self._launcher.may_launch(launch, site.network.subnets[launch.zone])
        made = self._launcher.launch(chain([first], self._allowed(ways, need)))
        programs = self._preparer.programs(need.drivers, [])
        ready = self._preparer.prepare({slot.name: one for slot, one in made.items()}, programs)
        by_name = {one.name: one for one in ready}
        for slot in missing:
            one = by_name[slot.name]
            self._places[slot.name] = Place(slot, one, self._price(one.instance.type))

    def _allow(self, way: Way, need: Need) -> Estimate:
        """Refuse a way that has no quota, costs too much, or whose hosts couldn't run the drivers; what it may cost."""
        self._site.check_quota([one.type for one in way for _ in one.slots])
        wanted = self._check_cost(need, way)
        self._preparer.programs(need.drivers, [self._site.types[one.type] for one in way])
        return wanted

    def _allowed(self, ways: Iterator[Way], need: Need) -> Iterator[Way]:
        """Where the first way had no room: the others, without those that would be refused."""
        for way in ways:
            try:
                wanted = self._allow(way, need)
            except (HostError, UsageError):
                continue
            self._tell(way, wanted)
            yield way

    def _tell(self, way: Way, wanted: Estimate) -> None:
        """Say what is going to be launched, and what it may cost."""
        zones = ", ".join(sorted({one.zone for one in way}))
        self._context.say(f"launching in {zones}: {wanted.brief}")

    def _extended(self, types: Sequence[str]) -> Site:
        """The site, with types that nobody had foreseen."""
        new = frozenset(types) - set(self._site.types)
        if new:
            self._site.learn(preflight(self._aws, self._settings, new))
        return self._site

    def _bring(self, need: Need, places: Sequence[Place]) -> None:
        """Programs that the hosts of earlier tests don't have yet."""
        wanted = self._preparer.programs(need.drivers, [])
        lacking = [one for one in places if not {blob.path for blob in wanted} <= one.ready.programs]
        if lacking:
            hosts = {one.ready.name: one.ready.instance for one in lacking}
            for place, ready in zip(lacking, self._preparer.prepare(hosts, wanted), strict=True):
                have = place.ready.programs | ready.programs
                place.ready = replace(ready, programs=have)

    def _retire(self, names: Sequence[str]) -> None:
        """Let hosts go."""
        going = [self._places.pop(name) for name in names if name in self._places]
        now = time.monotonic()
        self._spent += sum(one.rate.second * (now - one.ready.instance.born) for one in going)
        self._launcher.terminate([one.ready.instance.id for one in going])

    def release(self) -> None:
        """Let those go that no test needs any more; without a forecast, none."""
        upcoming = self._context.upcoming()
        if not upcoming:
            return
        needed = {slot.name for need in upcoming for slot in slots(need)}
        with suppress(HostError):
            self._retire([name for name in self._places if name not in needed])

    def address(self, ready: Ready) -> str:
        """Where its worker is reached from here."""
        public = self._settings.control == "public" and ready.instance.public
        return ready.instance.public if public else ready.instance.private

    def data_dollars(self, need: Need, places: Sequence[Place]) -> float:
        """What the data of a test between these hosts costs."""
        zones = {one.ready.instance.zone for one in places}
        return prices.table().between_zones(need.volume, len(zones))

    def _price(self, type_: str) -> Rate:
        if self._settings.emulated and type_ not in prices.table().types:
            return Rate(type_)
        return prices.table().rate(type_, self._aws.where.region, self._settings.price)

    def _check_cost(self, need: Need, launches: Way) -> Estimate:
        rates = [self._price(one.type) for one in launches for _ in one.slots]
        zones = {one.zone for one in launches} | {one.ready.instance.zone for one in self._places.values()}
        wanted = prices.estimate(rates, self._settings.life, need.volume, len(zones))
        spent = self._spent + sum(one.rate.second for one in self._places.values()) * self._settings.life
        prices.check(spent, wanted, self._settings.max_cost)
        return wanted
