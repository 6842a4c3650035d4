"""How does a deadline come when a test wants it, however busy the machine is? The loop's clock is put forward."""

from __future__ import annotations

import asyncio

AN_HOUR = 3600.0


def time_is_up() -> None:
    """For all that the running loop waits for with a deadline of less than an hour."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + AN_HOUR  # type: ignore[method-assign]
