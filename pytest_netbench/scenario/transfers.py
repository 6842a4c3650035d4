"""Which transfers are ready-made? Downloads and uploads, one or many at once, so many bytes or for so long."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from pytest_netbench.errors import UsageError
from pytest_netbench.scenario.builder import Program, build
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.units import KB, MB

_GULP = 10 * MB
"""Bytes of a send that is repeated for a time."""

_LONGER = 0.5
"""Seconds for which a server would go on: its client ends the time. A real client that is left first spins for ever."""

_Talk: TypeAlias = Callable[[Program, Program], None]
"""What the client and the server of one stream do."""


def download(
    size: int | None = None, *, request: int = 1 * KB, connections: int = 1, seconds: float | None = None
) -> Scenario:
    """A server sends so many bytes (100 MB) on each connection, all at once; trace ``response`` from the request on.

    ``seconds``: for so long instead, as many as there is time for; then there are no traces.
    """
    return _talks("download", _down(request, size, 100 * MB, seconds), connections=connections)


def upload(size: int | None = None, *, answer: int = 1, connections: int = 1, seconds: float | None = None) -> Scenario:
    """A client sends so many bytes (100 MB) on each connection, all at once, and hears ``answer`` bytes when all came.

    ``seconds``: for so long instead, as many as there is time for; then there are no answers and no traces.
    """
    return _talks("upload", _up(answer, size, 100 * MB, seconds), connections=connections)


def fan_out(
    servers: int = 10, *, request: int = 1 * KB, response: int | None = None, seconds: float | None = None
) -> Scenario:
    """Many servers answer one client at once (incast), with 10 MB each: traces ``request`` and ``response``.

    ``seconds``: for so long instead, as ``download``.
    """
    return _talks("fan_out", _down(request, response, 10 * MB, seconds), servers=servers)


def fan_in(clients: int = 8, *, upload: int | None = None, answer: int = 1, seconds: float | None = None) -> Scenario:
    """Many clients send 10 MB each to one server at once (incast); each hears ``answer`` bytes when its own are there.

    ``seconds``: for so long instead, as ``upload``.
    """
    return _talks("fan_in", _up(answer, upload, 10 * MB, seconds), clients=clients)


def bidi(bytes: int = 100 * MB, *, connections: int = 1) -> Scenario:  # noqa: A002  as in the format
    """Both sides send so many bytes on each connection at the same time; trace ``exchange`` until both have all."""

    def both(near: Program, far: Program) -> None:
        for one in (near, far):
            with one.profile("exchange"), one.scope() as threads:
                with threads.thread():
                    one.send(bytes)
                with threads.thread():
                    one.receive(bytes)

    return _talks("bidi", both, connections=connections)


def how_many(name: str, value: int, least: int = 1) -> int:
    """How many of something.

    :raises UsageError: if that is no whole number, or too small.
    """
    if type(value) is not int or value < least:
        raise UsageError(f"{name}: expected a whole number of at least {least}, found {value!r}")
    return value


def _talks(title: str, talk: _Talk, *, servers: int = 1, clients: int = 1, connections: int = 1) -> Scenario:
    """The same on each connection between each client and each server, all at once."""
    b = build(title)
    served = [b.server() for _ in range(how_many("servers", servers))]
    for _ in range(how_many("clients", clients)):
        client = b.client()
        with client.scope() as threads:
            for server in served * how_many("connections", connections):
                with threads.thread(), client.connect(server) as connection, connection.stream() as (near, far):
                    talk(near, far)
    return b.finish()


def _down(request: int, size: int | None, default: int, seconds: float | None) -> _Talk:
    if seconds is None:
        return partial(_exchange, request, default if size is None else size)
    _how_long_only(size, seconds)
    return partial(_pour_down, request, seconds)


def _up(answer: int, size: int | None, default: int, seconds: float | None) -> _Talk:
    if seconds is None:
        return partial(_exchange, default if size is None else size, answer)
    _how_long_only(size, seconds)
    return partial(_pour_up, seconds)


def _how_long_only(size: int | None, seconds: float) -> None:
    if size is not None:
        raise UsageError(f"{size:,} bytes, or for {seconds:g} s? Say how much or how long, not both")


def _exchange(request: int, response: int, near: Program, far: Program) -> None:
    with near.profile("exchange"):
        with near.profile("request"):
            near.send(request)
        with near.profile("response"):
            near.receive(response)
    with far.profile("exchange"):
        with far.profile("request"):
            far.receive(request)
        with far.profile("response"):
            far.send(response)


def _pour_down(request: int, seconds: float, near: Program, far: Program) -> None:
    near.send(request)
    with near.iterate(time=seconds):
        near.receive_all()
    far.receive(request)
    with far.iterate(time=seconds + _LONGER):
        far.send(_GULP)


def _pour_up(seconds: float, near: Program, far: Program) -> None:
    with near.iterate(time=seconds):
        near.send(_GULP)
    far.receive_all()
