"""What do hosts cost? A dated table of list prices, an upper bound before anything is made, and what it came to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pytest_netbench.errors import UsageError
from pytest_netbench.hosts.aws.request import DISK_GB

HOUR, MONTH, GB = 3600.0, 730 * 3600.0, 1e9
LEAST = 1e-9
"""Dollars that are none: sums of the same parts in another order differ by less."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Dollars an hour of one host: its machine, its public address, its disk."""

    type: str
    machine: float = 0.0
    address: float = 0.0
    disk: float = 0.0

    @property
    def second(self) -> float:
        """Dollars a second, all together."""
        return (self.machine + self.address + self.disk) / HOUR

    def __str__(self) -> str:
        return (
            f"{self.type} at ${self.machine:.4f} + ${self.address:.4f} of public address "
            f"+ ${self.disk:.4f} of {DISK_GB} GB gp3 an hour"
        )


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars: an hour of a type, an hour of a public address, a GB and month of disk, of the bucket, and of logs.

    ``between_zones_gb``: a GB between zones, each way.
    """

    as_of: str
    regions: frozenset[str]
    types: Mapping[str, float]
    address_hour: float
    disk_gb_month: float
    bucket_gb_month: float
    logs_gb_month: float
    between_zones_gb: float

    def rate(self, type_: str, region: str, own: Mapping[str, float]) -> Rate:
        """What one host costs; ``own`` prices come first.

        :raises UsageError: if neither has a price of it: nothing is launched at an unknown price.
        """
        hour = own.get(type_)
        if hour is None:
            hour = self.types.get(type_) if region in self.regions else None
        if hour is None:
            raise UsageError(
                f"no price of {type_} in {region} is known (table of {self.as_of}): "
                f'[providers.aws.price] "{type_}" = DOLLARS_AN_HOUR'
            )
        return Rate(type_, hour, self.address_hour, DISK_GB * self.disk_gb_month * HOUR / MONTH)

    def between_zones(self, volume: float, zones: int) -> float:
        """Dollars for so many bytes between hosts; within one zone, over private addresses, they are free."""
        return 2 * volume / GB * self.between_zones_gb if zones > 1 else 0.0


@cache
def table() -> Prices:
    """The table in this package."""
    found = json.loads(Path(__file__).with_name("prices.json").read_text())
    return Prices(
        found["as_of"],
        frozenset(found["same_in"]),
        found["types_hour"],
        found["public_ipv4_hour"],
        found["gp3_gb_month"],
        found["s3_gb_month"],
        found["logs_gb_month"],
        found["between_zones_gb_each_way"],
    )


@dataclass(frozen=True, slots=True)
class Estimate:
    """At most so many dollars: hosts to the end of their life, and data. As text, how they come about."""

    rates: tuple[Rate, ...]
    life: float
    volume: float
    zones: int
    prices: Prices

    @property
    def hosts_dollars(self) -> float:
        """The hosts', for ``life`` seconds each."""
        return sum(one.second for one in self.rates) * self.life

    @property
    def data_dollars(self) -> float:
        """That of ``volume`` bytes between them."""
        return self.prices.between_zones(self.volume, self.zones)

    @property
    def dollars(self) -> float:
        """Both together."""
        return self.hosts_dollars + self.data_dollars

    @property
    def brief(self) -> str:
        """In one line: which hosts, for how long, and what they and their data come to at most."""
        counted = ", ".join(f"{count} x {rate.type}" for rate, count in Counter(self.rates).items())
        data = f" with {self.volume / GB:.1f} GB between zones" if self.data_dollars else ""
        return f"{counted} for at most {self.life / HOUR:g} h, up to ${self.dollars:.2f}{data}"

    def __str__(self) -> str:
        hours = f"{self.life / HOUR:g} h"
        lines = [
            f"  {count} x {hours} of {rate} = ${count * rate.second * self.life:.2f}"
            for rate, count in Counter(self.rates).items()
        ]
        if self.data_dollars:
            each = f"${self.prices.between_zones_gb:g} each way"
            lines.append(f"  {self.volume / GB:.1f} GB between {self.zones} zones, {each} = ${self.data_dollars:.2f}")
        return "\n".join([*lines, f"  by the list prices of {self.prices.as_of}"])


def check(spent: float, wanted: Estimate, most: float) -> None:
    """Refuse what could cost more than it may, before it is made.

    :raises UsageError: shows how the estimate comes about, the cap, and the option that raises it.
    """
    if spent + wanted.dollars > most + LEAST:
        before = f" beside ${spent:.2f} of hosts that are there or were" if spent else ""
        raise UsageError(
            f"{len(wanted.rates)} hosts could cost ${wanted.dollars:.2f}{before}, at most ${most:.2f} may be spent: "
            f"--netbench-max-cost, fewer or smaller hosts, or a shorter [providers.aws] life\n{wanted}"
        )


def estimate(rates: Iterable[Rate], life: float, volume: float, zones: int) -> Estimate:
    """The upper bound for such hosts: ``life`` seconds until they end by themselves, ``volume`` bytes of a test."""
    return Estimate(tuple(rates), life, volume, zones, table())
