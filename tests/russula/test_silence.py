"""Does nothing at all cross the network while a benchmark runs? Read from the counters of an interface."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from pytest_netbench.hosts import namespace

WINDOW = 2.2
"""Seconds in which keepalive, with probes after one second of idleness, sends two on each connection."""
HELD_BACK = 0.03
"""Seconds for which a kernel keeps an acknowledgement back, at least."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What both experiments saw, at the same time, each in a network of its own."""
    if reason := namespace.why_not_own():
        pytest.skip(f"no network of its own here: {reason}")
    running = {}
    for kind in ("hushed", "probed"):
        folder = tmp_path_factory.mktemp(kind)
        command = (sys.executable, "-m", "tests.russula.silent_round", str(folder), str(WINDOW), kind)
        running[kind] = subprocess.Popen(namespace.within(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ended = {kind: (process.communicate(timeout=250), process.returncode) for kind, process in running.items()}
    assert all(status == 0 for _, status in ended.values()), ended
    return {kind: json.loads(out) for kind, ((out, _), _) in ended.items()}


def test_not_a_packet_crosses_in_the_silent_window(seen: dict[str, Any]) -> None:
    """Of a server's and a client's connections: no byte, no acknowledgement, no probe; and russula says the same."""
    assert seen["hushed"]["in"] == [0, 0]
    assert seen["hushed"]["silent_bytes"] == [0, 0]


def test_nothing_that_is_due_is_left_for_the_window(seen: dict[str, Any]) -> None:
    """When all are known to have accepted the instant, the last acknowledgement has gone already, well before it."""
    assert seen["hushed"]["waiting"] == [0, 0]
    assert seen["probed"]["waiting"][0] > 0 or seen["probed"]["known_s"] > HELD_BACK  # this machine was away meanwhile


def test_the_counter_sees_what_crosses_outside_of_it(seen: dict[str, Any]) -> None:
    """Before and after the window each command is seen, so that nothing means nothing."""
    for kind in ("before", "after"):
        packets, size = seen["hushed"][kind]
        assert packets > 10
        assert size > 1000


def test_without_hushing_the_kernel_the_counter_sees_probes(seen: dict[str, Any]) -> None:
    """The same round with keepalive left on: packets cross, though nobody says anything."""
    packets, _ = seen["probed"]["in"]
    assert packets >= 2
    assert seen["probed"]["silent_bytes"] == [0, 0]


def test_keepalive_is_off_in_the_window_and_on_outside(seen: dict[str, Any]) -> None:
    """Of both ends: a client's from the instant to its end, a server's from RUNNING to STOPPING."""
    hushed = seen["hushed"]
    assert hushed["probing_before"] == [True] * 4
    assert sorted(hushed["probing_served"]) == [False] * 2 + [True] * 2
    assert hushed["probing_in"] == [False] * 4
    assert hushed["probing_after"] == [True] * 4
