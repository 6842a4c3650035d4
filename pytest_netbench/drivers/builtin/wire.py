"""In which mode do connected sockets carry streams? One raw stream each (duplex), or many in frames (multiplex).

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import socket

from pytest_netbench.drivers.builtin.carrier import Channel
from pytest_netbench.drivers.builtin.duplex import Duplex
from pytest_netbench.drivers.builtin.engine import Engine
from pytest_netbench.drivers.builtin.multiplex import Multiplex


class Wire:
    """What all connections of this process have in common. ``patient``: a connection may wait in the kernel itself."""

    def __init__(self, *, multiplex: bool) -> None:
        self._multiplex = multiplex
        self.patient = not multiplex

    def carrier(
        self, connected: socket.SocketType, engine: Engine, preamble: bytes = b"", *, patient: bool = False
    ) -> Duplex | Multiplex:
        """What carries the streams of a socket; ``preamble``: what goes before all else."""
        if self._multiplex:
            return Multiplex(Channel(connected), engine, preamble)
        return Duplex(connected, engine, preamble, patient=patient)
