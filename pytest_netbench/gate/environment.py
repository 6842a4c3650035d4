"""Did both arms run in the same environment, but for what they are meant to change? Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_netbench.gate.arms import CAND, REF
from pytest_netbench.result.model import Round

PATH = frozenset({"interface", "mtu", "qdisc", "tso", "gso", "gro"})
"""Facts that belong to the link between hosts."""


@dataclass(frozen=True, slots=True)
class Meant:
    """What two arms are meant to change: these ``facts``, and whatever got a value that an option of one arm says.

    ``ref``, ``cand``: values of options that only that arm has, as text.
    """

    facts: frozenset[str] = frozenset()
    ref: frozenset[str] = frozenset()
    cand: frozenset[str] = frozenset()

    def covers(self, fact: str, ref: str | None, cand: str | None) -> bool:
        """Whether a fact may have these values in the two arms."""
        return ref == cand or fact in self.facts or ref in self.ref or cand in self.cand


def differences(first: Mapping[str, Round], later: Mapping[str, Round], meant: Meant) -> Iterator[str]:
    """In what the environment of a pair isn't what it should be, a sentence each; both pairs by their arms.

    Its rounds must not differ from each other but for what is meant, nor from those of the first pair at all: an arm
    stays what it is. A fact that a round doesn't tell isn't compared.
    """
    for host in sorted(later[REF].environment.keys() | later[CAND].environment.keys()):
        facts = {arm: one.environment.get(host, {}) for arm, one in later.items()}
        before = {arm: one.environment.get(host, {}) for arm, one in first.items()}
        for fact in sorted(facts[REF].keys() | facts[CAND].keys()):
            now = {arm: facts[arm].get(fact) for arm in (REF, CAND)}
            was = {arm: before[arm].get(fact, now[arm]) for arm in (REF, CAND)}
            if None not in now.values() and not meant.covers(fact, now[REF], now[CAND]):
                yield f"{host}: {fact} differs between the arms: {_both(now, later)}"
            elif any(now[arm] is not None and was[arm] != now[arm] for arm in now):
                yield f"{host}: {fact} changed: {_both(was, first)}; {_both(now, later)}"


def _both(values: Mapping[str, str | None], rounds: Mapping[str, Round]) -> str:
    return " and ".join(f"{value} in round {rounds[arm].index} of {arm}" for arm, value in values.items())
