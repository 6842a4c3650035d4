"""How is a protocol tested without sockets, and without waiting? Shipped: who writes one proves it with these.

:func:`explore` walks every interleaving of both roles, with connections lost and sides crashed at every step.
:class:`Network` connects real coordinators and workers in memory; under :class:`VirtualLoop` no time passes, and with a
seed every delay, loss and stall comes again exactly.
"""

from __future__ import annotations

from russula.testing.exploring import Joint, Mishap, Walk, explore, unreached
from russula.testing.network import Faults, Network, memory_pair
from russula.testing.virtual import DeadlockError, VirtualLoop, run

__all__ = [
    "DeadlockError",
    "Faults",
    "Joint",
    "Mishap",
    "Network",
    "VirtualLoop",
    "Walk",
    "explore",
    "memory_pair",
    "run",
    "unreached",
]
