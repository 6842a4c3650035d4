"""How far apart are two clocks? From round trips: offset, how sure it is, and how it drifts; pure.

The other side's clock was read between the two moments at which a question left and its answer came. The reading lies
in the middle, give or take half of the round trip (Cristian, "Probabilistic clock synchronization", 1989); of several
the shortest round trip is the surest (the filter of NTP, RFC 5905 part 10). All times in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One round trip: when it left here, what the clock there showed, when the answer came here."""

    sent_ns: int
    there_ns: int
    heard_ns: int

    @property
    def offset(self) -> Offset:
        """What this one round trip tells."""
        here = (self.sent_ns + self.heard_ns) // 2
        return Offset(here, self.there_ns - here, (self.heard_ns - self.sent_ns + 1) // 2)


@dataclass(frozen=True, slots=True)
class Offset:
    """At one moment here: the clock there shows so much more, to this uncertainty either way."""

    at_ns: int
    offset_ns: int
    uncertainty_ns: int

    @property
    def same_clock(self) -> bool:
        """Whether there may be no offset at all: then both sides read one clock, since two never agree so well."""
        return abs(self.offset_ns) <= self.uncertainty_ns


def estimate(samples: Iterable[Sample]) -> Offset:
    """The surest of several round trips; no offset where there may be none.

    :raises ValueError: without a sample.
    """
    best = min((sample.offset for sample in samples), key=lambda one: one.uncertainty_ns)
    if best.same_clock:
        return Offset(best.at_ns, 0, abs(best.offset_ns) + best.uncertainty_ns)
    return best


@dataclass(frozen=True, slots=True)
class Clock:
    """A worker's clock, from an estimate before the run, and one after it where there was one."""

    first: Offset
    last: Offset | None = None

    @property
    def drift(self) -> float:
        """Seconds that the clock there gains in a second; 0 where the two estimates don't show any."""
        first, last = self.first, self.last
        if last is None or last.at_ns == first.at_ns:
            return 0.0
        moved = last.offset_ns - first.offset_ns
        if abs(moved) <= first.uncertainty_ns + last.uncertainty_ns:
            return 0.0
        return moved / (last.at_ns - first.at_ns)

    def there(self, here_ns: int) -> int:
        """What the clock there shows at a moment of ours."""
        return here_ns + self.first.offset_ns + round(self.drift * (here_ns - self.first.at_ns))

    def here(self, there_ns: int) -> int:
        """Our moment at which the clock there shows this."""
        at = self.first.at_ns
        since = there_ns - self.first.offset_ns - at
        return at + round(since / (1 + self.drift))
