"""Do the arms' senders let goodput show what the transport does? Where the application is the limit, it can't; pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_netbench.gate.arms import CAND, REF
from pytest_netbench.gate.pairs import Pair
from pytest_netbench.gate.words import percent
from pytest_netbench.result.model import Round
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.own_time import own_time

if TYPE_CHECKING:
    from pytest_netbench.scenario.model import Scenario

LIMITED = ("goodput", "goodput.slowest_client")
LOADS = (".offered", ".achieved")
"""Metrics, and ends of those of traces, that say nothing of a transport that waits for its sender."""

ASKED = 0.9
"""From which share on the time that a round takes is what its scenario's own rates and pauses ask for."""

IDLE = 0.1
"""From which share on senders slept for so long that what the transport did with the rest says too little of it."""


def refusal(name: str, scenario: Scenario, rate: float) -> str | None:
    """Why a metric can't be gated on a link of so many bytes per second, whatever the transport does; or None."""
    own, found = own_time(scenario), analyse(scenario)
    payload = max(found.client_to_server_bytes or 0, found.server_to_client_bytes or 0)
    if not _depends(name) or not payload or own < ASKED * payload / rate:
        return None
    return (
        f"{name} is gated, but it would be what the scenario's own rates and pauses ask for: they take {own:.3g} s, "
        f"the link carries the payload in {payload / rate:.3g} s"
    )


def limited(name: str, pairs: Sequence[Pair]) -> str | None:
    """Why a metric says nothing of the transport in these pairs, or None; medians count: any round may be late."""
    if not _depends(name):
        return None
    arms = {arm: [pair.rounds[arm] for pair in pairs] for arm in (REF, CAND)}
    asked = _medians({arm: [one.sending.asked for one in rounds if one.sending] for arm, rounds in arms.items()})
    if max(asked.values(), default=0.0) >= ASKED:
        return f"{name} is what the scenario's own rates and pauses ask for: {_shares(asked)} of its time"
    idle = _medians(
        {arm: [own for one in rounds if (own := idle_by_itself(one)) is not None] for arm, rounds in arms.items()}
    )
    if max(idle.values(), default=0.0) >= IDLE:
        return f"the application limits {name}: senders slept with nothing under way in {_shares(idle)} of its time"
    return None


def idle_by_itself(one: Round) -> float | None:
    """For which share of the time that goodput covers senders slept though they could have sent.

    What other programs took of the processors may have kept them from it; where that isn't known, this isn't.
    """
    if one.sending is None or one.sending.idle is None or one.foreign is None:
        return None
    return max(0.0, one.sending.idle - one.foreign)


def _depends(name: str) -> bool:
    return name in LIMITED or name.endswith(LOADS)


def _medians(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {arm: statistics.median(some) for arm, some in values.items() if some}


def _shares(found: Mapping[str, float]) -> str:
    return " and ".join(f"{percent(share)} ({arm})" for arm, share in found.items())
