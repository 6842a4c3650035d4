"""How is a verdict said? In sentences: what got slower, on which side, by how much, and how sure that is."""

from __future__ import annotations

from pytest_netbench.result.model import Comparison, MetricVerdict, Verdict
from pytest_netbench.result.words import count

STORED = "baseline "
"""How the name of a stored reference begins."""

_HUGE = 10.0  # as a share: from here on times are said


def percent(value: float) -> str:
    """A share as a percentage: ``6.3 %``."""
    return f"{100 * value:.3g} %" if abs(value) < _HUGE else f"{value + 1:.3g} times"


def signed(value: float) -> str:
    """The same with its sign: ``+6.3 %``; for more than elevenfold ``12 times``."""
    return f"+{percent(value)}" if 0 < value < _HUGE else percent(value)


def basis(one: MetricVerdict) -> str:
    """On how much a verdict rests: ``20 pairs``, against a baseline ``6 rounds``."""
    return count(one.n, "round" if one.against.startswith(STORED) else "pair")


def change(effect: float) -> str:
    """An effect on costs in words: ``6.3 % worse``, ``2.1 % better``, ``12 times as costly``, ``unchanged``."""
    if abs(effect) < 5e-5:  # noqa: PLR2004 - what would be shown as zero
        return "unchanged"
    if effect >= _HUGE:
        return f"{percent(effect)} as costly"
    return f"{percent(effect)} worse" if effect > 0 else f"{percent(-effect)} better"


def outlook(one: MetricVerdict) -> str:
    """What it would take to decide what stayed open, and what can be seen here."""
    needed = "" if one.required is None or one.required <= one.n else f"it needs about {one.required:,} pairs"
    return "; ".join(part for part in (needed, sight(one)) if part)


def sight(one: MetricVerdict) -> str:
    """What so many pairs can see here."""
    return (
        ""
        if one.detectable is None
        else f"the smallest regression that {basis(one)} detect here is {percent(one.detectable)}"
    )


def side(name: str) -> str:
    """On which side a metric is measured, as words to go on with; empty where that is both."""
    return next((f" on the {role}" for role in ("server", "client") if name.startswith(f"{role}.")), "")


def line(name: str, one: MetricVerdict) -> str:
    """A verdict in one line: ``server.cpu_per_byte: fail, 6.3 % worse (4.9 % to 7.7 %), 20 pairs``."""
    words = f"{name}: {one.state.value if one.gated else 'not gated'}"
    if one.effect is not None:
        words += f", {change(one.effect)}"
    if one.interval is not None:
        words += f" ({signed(one.interval.low)} to {signed(one.interval.high)})"
    if one.n:
        words += f", {basis(one)}"
    return f"{words}; {one.reason}" if one.reason else words


def sentence(name: str, one: MetricVerdict, compared: Comparison | None) -> str:
    """The first line of a failure: what got slower, where, by how much, against what."""
    if one.state is not Verdict.FAIL or one.effect is None or one.interval is None:
        return f"{name}{side(name)} is {one.state.value} against {one.against}: {one.reason}"
    what = f"{name}{side(name)} got {change(one.effect)}"
    than = "as" if one.effect >= _HUGE else "than"
    if compared is None or one.against.startswith(STORED):
        arms = f"{than} {one.against}"
    else:
        arms = f"in {compared.cand} {than} in {compared.ref}"
    return (
        f"{what} {arms} (95 % interval {signed(one.interval.low)} to {signed(one.interval.high)}, "
        f"{basis(one)}): {one.reason}"
    )
