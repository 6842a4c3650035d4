"""What do verdicts do to tests? They are only shown, they fail for regressions, or also for what stays open."""

from __future__ import annotations

from enum import Enum


class Mode(Enum):
    """What verdicts do to tests (``--netbench-gate``)."""

    OFF = "off"
    """They are shown, none fails."""
    WARN = "warn"
    """A regression fails; what stays open passes with a warning."""
    STRICT = "strict"
    """What stays open fails, too."""
