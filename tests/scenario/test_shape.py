"""Is a plain transfer told from everything else?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_netbench.errors import Unsupported
from pytest_netbench.scenario.builder import build
from pytest_netbench.scenario.catalog import (
    connect,
    download,
    fan_in,
    fan_out,
    handshakes,
    ping,
    request_response,
    upload,
)
from pytest_netbench.scenario.extensions import Repeat
from pytest_netbench.scenario.model import ClientScope, Count, Scenario, Time
from pytest_netbench.scenario.shape import Kind, Shape, shape


def streams(number: int) -> Scenario:
    """A download on several streams of one connection."""
    b = build("streams")
    server, client = b.server(), b.client()
    with client.connect(server) as connection, connection.client.scope() as threads:
        for _ in range(number):
            with threads.thread(), connection.stream() as (near, far):
                near.send(10)
                near.receive(1000)
                far.receive(10)
                far.send(1000)
    return b.scenario()


@pytest.mark.parametrize(
    ("scenario", "found"),
    [
        (download(5000, request=10), Shape(Kind.DOWNLOAD, 5000, 1, 1, True, 1, 1)),
        (download(5000, request=10, connections=3), Shape(Kind.DOWNLOAD, 5000, 1, 3, True, 1, 1)),
        (upload(5000), Shape(Kind.UPLOAD, 5000, 1, 1, True, 1, 1)),
        (fan_out(servers=4, request=10, response=5000), Shape(Kind.DOWNLOAD, 5000, 1, 1, True, 4, 1)),
        (fan_in(clients=4, upload=5000), Shape(Kind.UPLOAD, 5000, 1, 1, True, 1, 4)),
        (connect(connections=7), Shape(Kind.CONNECT, 1, 1, 7, False, 1, 1)),
        (download(seconds=1.5, connections=2), Shape(Kind.DOWNLOAD, 0, 1, 2, True, 1, 1, 1.5)),
        (fan_in(clients=2, seconds=2), Shape(Kind.UPLOAD, 0, 1, 1, True, 1, 2, 2.0)),
        (request_response(10, 5000), Shape(Kind.DOWNLOAD, 5000, 1, 1, True, 1, 1)),
        (streams(3), Shape(Kind.DOWNLOAD, 1000, 3, 1, True, 1, 1)),
    ],
    ids=[
        *("download", "3 connections", "upload", "fan_out", "fan_in", "connect", "for a time", "up for a time"),
        *("request_response", "streams"),
    ],
)
def test_a_plain_transfer_is_recognised(scenario: Scenario, found: Shape) -> None:
    """By what it does, not by its name: files have none."""
    assert shape(scenario) == found


@pytest.mark.parametrize(
    ("scenario", "why"),
    [
        (ping(time=0.1, size=[1000]), "no `iterate`"),
        (request_response(10, 5000, delay=0.1), "no `sleep`"),
        (request_response(10, 5000, client_send_rate=100), "no `send_rate`"),
        (request_response(1000, 1000), "1,000 bytes there and 1,000 back are neither"),
        (request_response(10, 5000, count=2), "one request and one response on each stream"),
        (request_response(10, 5000, connections=2), "2 connections come one after another"),
        (request_response(servers=0), "clients that dial"),
    ],
    ids=["ping", "delay", "rate", "neither", "two requests", "one after another", "nobody"],
)
def test_everything_else_is_unsupported_by_name(scenario: Scenario, why: str) -> None:
    """What a plain transfer doesn't have is named."""
    with pytest.raises(Unsupported, match=why):
        shape(scenario)


def repeated(*loops: Any) -> Scenario:
    """One dial of a byte each way, in loops: one, or several beside each other."""
    made = connect(1)
    program: tuple[Any, ...] = loops if len(loops) == 1 else (ClientScope(tuple((one,) for one in loops)),)
    return replace(made, clients=(replace(made.clients[0], scenario=program),))


DIAL = connect(1).clients[0].scenario
SECOND = Repeat(Time(1000), DIAL)


@pytest.mark.parametrize(
    ("scenario", "found"),
    [
        (handshakes(seconds=1), Shape(Kind.CONNECT, 1, 1, 1, True, 1, 1, 1.0)),
        (repeated(SECOND), Shape(Kind.CONNECT, 1, 1, 1, True, 1, 1, 1.0)),
        (repeated(SECOND, SECOND), Shape(Kind.CONNECT, 1, 1, 2, True, 1, 1, 1.0)),
        (repeated(replace(SECOND, value=Count(7))), Shape(Kind.CONNECT, 1, 1, 7, False, 1, 1)),
    ],
    ids=["handshakes", "for a time", "two beside each other", "so many times"],
)
def test_handshakes_may_go_on_for_a_time(scenario: Scenario, found: Shape) -> None:
    """What counts is then how many there were."""
    assert shape(scenario) == found


def test_clients_that_differ_are_unsupported() -> None:
    """All clients do the same in a plain transfer."""
    b = build("differ")
    server = b.server()
    for size in (1000, 2000):
        client = b.client()
        with client.connect(server) as connection, connection.stream() as (near, far):
            near.send(1)
            near.receive(size)
            far.receive(1)
            far.send(size)
    with pytest.raises(Unsupported, match="all carry the same"):
        shape(b.scenario())
