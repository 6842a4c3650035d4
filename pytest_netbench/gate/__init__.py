"""Did it get worse? Limits, pairs, the decision and its verdict, stored baselines; standard library only."""

from pytest_netbench.gate.limits import Gate

__all__ = ["Gate"]
