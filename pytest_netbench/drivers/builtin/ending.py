"""How does the driver end? Its exit statuses, and the errors that lead to them.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Exit statuses of the driver."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNSUPPORTED = 127


class DriverError(Exception):
    """The driver ends with one line on standard error, and this status."""

    status = Status.FAILED


class Failed(DriverError):
    """The network, or a peer, did what the scenario doesn't say; names connection, stream and operation."""


class NoMore(Failed):
    """The peer has closed in order, and will open no stream any more."""


class Misused(DriverError):
    """The environment, the command line or the scenario is wrong."""

    status = Status.USAGE


class Unsupported(DriverError):
    """The scenario is right, but this driver can't carry it."""

    status = Status.UNSUPPORTED


class Ended(Exception):
    """The peer is gone from a stream that a time may cut: its timer was earlier than ours, which isn't a failure."""


class Stopped(BaseException):
    """A signal asks the driver to end, wherever it is; ``waiting``: what it waited for, if that is known."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal
        self.waiting = ""
