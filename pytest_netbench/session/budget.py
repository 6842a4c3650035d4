"""How long may each test run? The session's budget, shared out over its tests, gated ones first."""

from __future__ import annotations

from dataclasses import dataclass

GATED = 4
"""How much more time a gated test gets than another: that one needs a few rounds, this one pairs that decide."""


@dataclass
class Budget:
    """Seconds for all rounds of the session, None for as many as it takes; what a test leaves goes to later ones."""

    total: float | None = None
    gated: int = 0
    others: int = 0

    def share(self, *, gated: bool) -> float | None:
        """What the next test may take; it is then no longer among those that wait."""
        weight = GATED if gated else 1
        waiting = max(weight, GATED * self.gated + self.others)
        self.gated = max(0, self.gated - gated)
        self.others = max(0, self.others - (not gated))
        return None if self.total is None else max(0.0, self.total) * weight / waiting

    def spend(self, seconds: float) -> None:
        """A test took so long."""
        if self.total is not None:
            self.total -= seconds
