"""What does a log say? One JSON object a line: what happened, to whom, in which state, at what time of which clock."""

from __future__ import annotations

import json
import logging

WORKER = logging.getLogger("russula.worker")
COORDINATOR = logging.getLogger("russula.coordinator")


def note(
    log: logging.Logger, level: int, event: str, run: str, worker: str, *, at_ns: int, state: str = "", detail: str = ""
) -> None:
    """Write one line. ``at_ns``: the writer's own monotonic clock, as in every instant of a conversation."""
    if not log.isEnabledFor(level):
        return
    line = {"event": event, "run": run, "worker": worker, "clock_ns": at_ns}
    more = {"state": state, "detail": detail}
    log.log(level, "%s", json.dumps({**line, **{name: text for name, text in more.items() if text}}))
