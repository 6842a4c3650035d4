"""Which of a test's options reach which side? By their prefix, by whose they are, by who is on the other side; pure.

``server.`` and ``client.`` before a name give an option to that side alone. This file runs on hosts: standard library
only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from pytest_netbench.drivers.registry import KNOWN
from pytest_netbench.errors import Unsupported, UsageError, nearest
from pytest_netbench.roles import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_netbench.drivers.driver import Driver, OptionValue

_SIDES = {f"{role.value}.": role for role in Role}


def of_side(options: Mapping[str, object], driver: Driver, role: Role, peer: Driver | None = None) -> dict[str, object]:
    """A side's own options, by their names in its driver's row; those that meeting ``peer`` asks for come first.

    :raises UsageError: if a prefix gives an option to the side whose it isn't.
    """
    found: dict[str, object] = dict(driver.meets.get(peer.family or peer.name, {})) if peer is not None else {}
    for given, value in options.items():
        side = next((one for prefix, one in _SIDES.items() if given.startswith(prefix)), None)
        if side not in {None, role}:
            continue
        name = bare(given)
        owner = driver.options[name].role if name in driver.options else None
        if owner is None or owner is role:
            found[name] = value
        elif side is not None:
            raise UsageError(f"option {given!r}: only a {owner.value} has it")
    return found


def bare(given: str) -> str:
    """An option's name in its driver's row, without the side to which it is given."""
    return given.partition(".")[2] if given.startswith(tuple(_SIDES)) else given


def check_options(driver: Driver, options: Mapping[str, object]) -> dict[str, OptionValue]:
    """The options of a driver's side, known to be of the right types.

    :raises UsageError: names the option and the nearest known one, or what was expected.
    :raises Unsupported: for an option that only other drivers have: the test can't be run as it says with this one.
    """
    checked: dict[str, OptionValue] = {}
    for name, value in options.items():
        if name not in driver.options:
            _refuse(driver, name)
        if (problem := driver.options[name].problem(value)) is not None:
            raise UsageError(f"driver {driver.name}, option {name!r}: {problem}")
        assert isinstance(value, (bool, int, str))
        checked[name] = value
    return checked


def _refuse(driver: Driver, name: str) -> NoReturn:
    others = [one.name for one in KNOWN.values() if name in one.options]
    if others:
        raise Unsupported(f"driver {driver.name} has no option {name!r}, only {', '.join(others)}")
    raise UsageError(f"driver {driver.name} has no option {name!r}: {nearest(name, driver.options)}")
