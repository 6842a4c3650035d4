"""What do pairs of rounds say of a metric? Log ratios, without the pairs that something outside has spoilt."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_netbench.gate.arms import CAND, REF
from pytest_netbench.gate.environment import Meant, differences
from pytest_netbench.gate.estimate import log_ratio
from pytest_netbench.result.catalogue import describe
from pytest_netbench.result.model import Round

MOST_EXCLUDED = 0.2
"""The share of pairs that may be left out; with more, the verdict is invalid."""

BLOCK = 2
"""Pairs whose order is decided by one coin."""

FOREIGN = 0.5
"""How much more of the CPU than usual in this test other programs may take, as a share of all cores."""


_SHOWN = 3  # of many differences, this many are spelled out


class NoRatio(Exception):
    """A metric has no ratio in these pairs: an arm lacks it, or it isn't above zero; the text says which."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A round of each arm, one directly after the other; ``order``: which was first."""

    ref: Round
    cand: Round
    order: tuple[str, str]

    @property
    def rounds(self) -> Mapping[str, Round]:
        """Both by their arm."""
        return {REF: self.ref, CAND: self.cand}


def broken(pairs: Sequence[Pair]) -> str | None:
    """The first reason why a round doesn't count that isn't from outside, or None."""
    for pair in pairs:
        for name, one in pair.rounds.items():
            own = [reason for reason in one.validity if reason not in one.exogenous]
            if own:
                return f"round {one.index} of {name} doesn't count: {'; '.join(own)}"
    return None


def unequal(pairs: Sequence[Pair], meant: Meant) -> str | None:
    """In what the environment of these pairs' rounds differs though no arm is meant to change it, or None."""
    for pair in pairs:
        if found := list(differences(pairs[0].rounds, pair.rounds, meant)):
            more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            return "; ".join(found[:_SHOWN]) + more
    return None


def usable(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The pairs that nothing from outside has spoilt, by rules that don't know which arm is which."""
    foreign = [one.foreign for pair in pairs for one in pair.rounds.values() if one.foreign is not None]
    most = statistics.median(foreign) + FOREIGN if foreign else 1.0
    return tuple(
        pair
        for pair in pairs
        if all(not one.exogenous and (one.foreign or 0.0) <= most for one in pair.rounds.values())
    )


def too_many_excluded(pairs: Sequence[Pair], counting: Sequence[Pair]) -> bool:
    """Whether more pairs were left out than may be."""
    return len(pairs) - len(counting) > MOST_EXCLUDED * len(pairs)


def ratios(pairs: Sequence[Pair], name: str) -> list[float]:
    """The log ratios of a metric, above zero where the candidate is worse.

    :raises NoRatio: if an arm lacks the metric, or a value isn't above zero.
    """
    better = describe(name).better
    found = []
    for pair in pairs:
        for arm, one in pair.rounds.items():
            if name not in one.metrics:
                raise NoRatio(f"round {one.index} of {arm} gave no {name}")
        try:
            found.append(log_ratio(pair.ref.metrics[name], pair.cand.metrics[name], better))
        except ValueError as error:
            raise NoRatio(f"{name}, rounds {pair.ref.index} and {pair.cand.index}: {error}") from None
    return found


def blocks(pairs: Sequence[Pair], name: str) -> list[list[float]]:
    """The same by blocks, whose order one coin decided; of a block with a pair that is left out, the other one's.

    :raises NoRatio: as ``ratios`` does.
    """
    kept = {id(one) for one in usable(pairs)}
    return [
        ratios([one for one in pairs[at : at + BLOCK] if id(one) in kept], name) for at in range(0, len(pairs), BLOCK)
    ]


def in_order(rounds: Sequence[Round]) -> tuple[Pair, ...]:
    """The pairs that the rounds of two arms are, in the order in which they were run."""
    found = []
    for one, other in zip(rounds[::2], rounds[1::2], strict=False):
        arms = {one.arm: one, other.arm: other}
        if set(arms) == {REF, CAND}:
            found.append(Pair(arms[REF], arms[CAND], (str(one.arm), str(other.arm))))
    return tuple(found)


def shared(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """The metrics that every round of both arms gave."""
    every = [set(one.metrics) for pair in pairs for one in pair.rounds.values()]
    return tuple(name for name in (pairs[0].ref.metrics if pairs else ()) if all(name in one for one in every))
