"""On which side of the transport does a host stand?"""

from __future__ import annotations

from enum import Enum


class Role(Enum):
    """The side that a host plays; its value is the word in files, messages and metric names."""

    SERVER = "server"
    CLIENT = "client"
