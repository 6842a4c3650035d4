"""Does a round count in which EC2's network held packets back? An emulated card answers as ENA's does."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import struct
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.hosts.model import Fleet, Host
from pytest_netbench.roles import Role
from pytest_netbench.run import Stage, carry_out, trial
from pytest_netbench.scenario.catalog import ping
from pytest_netbench.telemetry import allowances
from tests.worker_rounds import serving

ETHTOOL, SIZES, NAMES, VALUES = 0x8946, 0x37, 0x1B, 0x1D
ENA = (
    "tx_timeout",
    "bw_in_allowance_exceeded",
    "bw_out_allowance_exceeded",
    "pps_allowance_exceeded",
    "conntrack_allowance_exceeded",
    "conntrack_allowance_available",
    "linklocal_allowance_exceeded",
)


class Card:
    """The driver of one interface: its counters, and how much each grows whenever it is asked."""

    def __init__(self, interface: str, growth: dict[str, int]) -> None:
        self.interface, self.growth, self.values = interface, growth, dict.fromkeys(ENA, 1_000)

    def ioctl(self, sock: Any, request: int, argument: Any, *more: Any) -> Any:
        """As the kernel: ``struct ifreq`` with a pointer to one of ethtool's structs, which is filled in place."""
        if request != ETHTOOL:
            return REAL(sock, request, argument, *more)
        name, address = struct.unpack_from("16sP", argument)
        if name.rstrip(b"\0").decode() != self.interface:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        (command,) = struct.unpack("I", ctypes.string_at(address, 4))
        if command == SIZES:
            assert struct.unpack("IIQ", ctypes.string_at(address, 16))[2] == 1 << 1
            ctypes.memmove(address + 16, struct.pack("I", len(ENA)), 4)
        elif command == NAMES:
            assert struct.unpack("III", ctypes.string_at(address, 12)) == (NAMES, 1, len(ENA))
            ctypes.memmove(address + 12, b"".join(one.encode().ljust(32, b"\0") for one in ENA), 32 * len(ENA))
        elif command != VALUES:  # something else about the card, which it doesn't tell
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        else:
            assert struct.unpack("II", ctypes.string_at(address, 8)) == (VALUES, len(ENA))
            ctypes.memmove(address + 8, struct.pack(f"{len(ENA)}Q", *self.values.values()), 8 * len(ENA))
            for counter, more_of_it in self.growth.items():
                self.values[counter] += more_of_it
        return argument


REAL = fcntl.ioctl


@pytest.fixture
def put_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a card in the place of this machine's."""

    def put(**growth: int) -> None:
        monkeypatch.setattr(fcntl, "ioctl", Card("lo", growth).ioctl)

    return put


def test_the_allowances_are_read_from_a_cards_driver(put_in: Any) -> None:
    """Those that say that something was exceeded, and no others."""
    put_in()
    assert allowances.exceeded() == {name: 1_000 for name in ENA if name.endswith("_exceeded")}


async def one_round(folder: Path) -> tuple[str, ...]:
    """Why a round on a worker of this process doesn't count."""
    scenario = ping(time=0.05, size=[1000])
    (folder / "round").mkdir()
    file = folder / "scenario.json"
    scenario.write(file)
    async with serving(registry.table(), folder) as address:
        server, client = (Host(one.value, one, 0, address, "127.0.0.1") for one in (Role.SERVER, Role.CLIENT))
        fleet, tcp = Fleet((server,), (client,)), registry.KNOWN["tcp"]
        return (await carry_out(Stage(trial(scenario, tcp, tcp, {}), fleet, "r", 0, folder / "round", file))).validity


@pytest.mark.parametrize("counter", [one for one in ENA if one.endswith("_exceeded")])
async def test_a_round_in_which_one_was_exceeded_does_not_count(tmp_path: Path, put_in: Any, counter: str) -> None:
    """Bandwidth in and out, packets, tracked connections: the host and the counter are named."""
    put_in(**{counter: 3, "tx_timeout": 1})
    said = await one_round(tmp_path)
    assert [one for one in said if "the network held back" in one and f"above its share ({counter})" in one]


async def test_what_was_exceeded_before_does_not_matter(tmp_path: Path, put_in: Any) -> None:
    """Counters of a thousand that don't grow; what is left of the tracked connections may."""
    put_in(conntrack_allowance_available=5)
    assert not [one for one in await one_round(tmp_path) if "held back" in one]
