"""What must not get worse, and by how much? The limits that a test declares for a metric, before anything is run."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_netbench.errors import UsageError


@dataclass(frozen=True, slots=True)
class Gate:
    """Limits for one metric, as shares of the reference's value.

    ``fail_above``: a regression confirmed to be larger than this fails (default 1 %, for p99 and beyond 5 %).
    ``must_detect``: a regression of this size has to be seen, or the verdict is inconclusive (5 %, 20 %).

    :raises UsageError: unless 0 <= fail_above < must_detect.
    """

    fail_above: float | None = None
    must_detect: float | None = None

    def __post_init__(self) -> None:
        low = self.fail_above if self.fail_above is not None else 0.0
        if not 0 <= low < 1 or (self.must_detect is not None and not low < self.must_detect < 1):
            raise UsageError(
                f"Gate(fail_above={self.fail_above}, must_detect={self.must_detect}): "
                "shares of 1 are expected, with 0 <= fail_above < must_detect < 1"
            )
