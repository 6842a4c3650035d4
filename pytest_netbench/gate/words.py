"""How is a verdict said? In sentences: what got slower, on which side, by how much, and how sure that is."""

from __future__ import annotations

from pytest_netbench.result.model import Comparison, MetricVerdict, Verdict
from pytest_netbench.result.words import count

_HUGE = 10.0  # as a share: from here on times are said


def percent(value: float) -> str:
    """A share as a percentage: ``6.3 %``."""
    return f"{100 * value:.3g} %" if abs(value) < _HUGE else f"{value + 1:.3g} times"


def signed(value: float) -> str:
    """The same with its sign: ``+6.3 %``."""
    return f"+{percent(value)}" if value > 0 else percent(value)


def change(effect: float) -> str:
    """An effect in words: ``6.3 % worse``, ``2.1 % better``, ``unchanged``."""
    if abs(effect) < 5e-5:  # noqa: PLR2004 - what would be shown as zero
        return "unchanged"
    return f"{percent(effect)} worse" if effect > 0 else f"{percent(-effect / (1 + effect))} better"


def about(one: MetricVerdict) -> str:
    """How sure a verdict is, and what it would take: for what stayed open."""
    parts = [f"{signed(one.effect)}" if one.effect is not None else "no figure"]
    if one.interval is not None:
        parts[0] += (
            f" (95 % interval {signed(one.interval.low)} to {signed(one.interval.high)}, {count(one.n, 'pair')})"
        )
    if one.required is not None and one.required > one.n:
        parts.append(f"it needs about {one.required:,} pairs")
    if one.detectable is not None:
        parts.append(f"the smallest regression that {count(one.n, 'pair')} detect here is {percent(one.detectable)}")
    return "; ".join(parts)


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
        words += f", {count(one.n, 'pair')}"
    return f"{words}; {one.reason}" if one.reason else words


def sentence(name: str, one: MetricVerdict, compared: Comparison | None) -> str:
    """The first line of a failure: what got slower, where, by how much, against what."""
    if one.state is not Verdict.FAIL or one.effect is None or one.interval is None:
        return f"{name}{side(name)} is {one.state.value} against {one.against}: {one.reason}"
    what = f"{name}{side(name)} got {change(one.effect)}"
    arms = f"in {compared.cand} than in {compared.ref}" if compared is not None else f"than {one.against}"
    return (
        f"{what} {arms} (95 % interval {signed(one.interval.low)} to {signed(one.interval.high)}, "
        f"{count(one.n, 'pair' if compared is not None else 'round')}): {one.reason}"
    )
