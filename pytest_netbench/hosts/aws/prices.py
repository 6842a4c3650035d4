"""What do hosts cost? A dated table of list prices, an upper bound before anything is made, and what it came to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pytest_netbench.errors import UsageError
from pytest_netbench.hosts.aws.request import DISK_GB

HOUR, MONTH, GB = 3600.0, 730 * 3600.0, 1e9


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars: an hour of a type, a public address an hour, a GB of disk a month, a GB between zones each way."""

    as_of: str
    regions: frozenset[str]
    types: Mapping[str, float]
    address_hour: float
    disk_gb_month: float
    between_zones_gb: float

    def second(self, type_: str, region: str, own: Mapping[str, float]) -> float:
        """Dollars that one host costs a second, with address and disk; ``own`` prices come first.

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
        return (hour + self.address_hour) / HOUR + DISK_GB * self.disk_gb_month / MONTH


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
        found["between_zones_gb_each_way"],
    )


@dataclass(frozen=True, slots=True)
class Estimate:
    """At most so many dollars: hosts to the end of their life, and data."""

    hosts: int
    hosts_dollars: float
    data_dollars: float

    @property
    def dollars(self) -> float:
        """Both together."""
        return self.hosts_dollars + self.data_dollars

    def __str__(self) -> str:
        return f"${self.dollars:.2f} (hosts ${self.hosts_dollars:.2f}, data ${self.data_dollars:.2f})"


def estimate(seconds: Iterable[float], life: float, volume: float, zones: int, prices: Prices) -> Estimate:
    """The upper bound for hosts of these prices a second.

    ``life``: seconds until they end by themselves. ``volume``: bytes that a test moves between hosts; within one zone,
    over private addresses, they are free.
    """
    each = list(seconds)
    data = 2 * volume / GB * prices.between_zones_gb if zones > 1 else 0.0
    return Estimate(len(each), sum(each) * life, data)


def check(spent: float, wanted: Estimate, most: float) -> None:
    """Refuse what could cost more than it may, before it is made.

    :raises UsageError: names the estimate, the cap, and the option that raises it.
    """
    if spent + wanted.dollars > most:
        before = f" beside ${spent:.2f} of hosts that are there" if spent else ""
        raise UsageError(
            f"{wanted.hosts} hosts could cost {wanted}{before}, at most ${most:.2f} may be spent: "
            f"--netbench-max-cost, fewer or smaller hosts, or a shorter [providers.aws] life"
        )
