"""Did it get worse? Limits, pairs, the decision and its verdict, stored baselines; standard library only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_netbench.gate.limits import Gate

__all__ = ["Gate"]


def __getattr__(name: str) -> object:
    if name != "Gate":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_netbench.gate.limits import Gate

    return Gate
