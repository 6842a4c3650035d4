"""How fast are the built-in drivers? Throughput, round trips, connects, CPU, traces, memory, beside iperf3 and others.

Each round of ours has one of the reference beside it, in turns first and second, all in fresh processes.
"""

from __future__ import annotations

import math
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

import tracing
from contestants import Run, blocking_pings, carry_out, connects, download, iperf3, ours, pings, real, run
from figures import Better, Figure, main, median, missing, ratio

from pytest_netbench.roles import Role
from pytest_netbench.scenario.catalog import idle
from pytest_netbench.scenario.model import Scenario

S2N = "s2n-netbench-driver-tcp isn't installed (`make drivers`)"
IPERF3 = "iperf3 isn't installed (`apt install iperf3`)"
CACHES = "seen to miss only beside foreign load on this machine's processors: see the environment's load"
SIZE = 400_000_000
ROUND_TRIPS = 8_000
CONNECTS = 1_000


@dataclass(frozen=True, slots=True)
class Effort:
    """How many pairs, and after how many seconds fewer must do, though never fewer than ``FEWEST``."""

    pairs: int
    seconds: float = math.inf


FEWEST = 4


def paired(effort: Effort, one: Callable[[], Run], other: Callable[[], Run]) -> tuple[list[Run], list[Run]]:
    """Rounds of both, interleaved; which is first alternates."""
    first: list[Run] = []
    second: list[Run] = []
    until = time.monotonic() + effort.seconds
    while len(first) < effort.pairs and (len(first) < FEWEST or time.monotonic() < until):
        if len(first) % 2:
            second.append(other())
            first.append(one())
        else:
            first.append(one())
            second.append(other())
    return first, second


def rates(runs: list[Run], amount: int) -> list[float]:
    """Amounts per second."""
    return [amount / one.seconds for one in runs]


def beside_iperf3(effort: Effort) -> list[Figure]:
    """Throughput, and CPU of both sides per byte; of iperf3's CPU its start is taken away."""
    mine, theirs = paired(effort, lambda: run(ours(), download(SIZE)), lambda: iperf3(SIZE))
    start = min(one.cpu_s or 0.0 for one in [iperf3(1000) for _ in range(3)])
    cpu = [one.cpu_s for one in mine if one.cpu_s is not None]
    their_cpu = [one.cpu_s - start for one in theirs if one.cpu_s is not None]
    return [
        ratio("tcp_throughput_over_iperf3", rates(mine, SIZE), rates(theirs, SIZE), reach=1.0, better=Better.HIGHER),
        ratio("tcp_cpu_per_byte_over_iperf3", cpu, their_cpu, reach=1.1, better=Better.LOWER),
    ]


def beside_real(name: str, effort: Effort, scenario: Scenario, reach: float, better: Better) -> Figure:
    """Rounds of a scenario beside the real driver's: a ratio of rates if higher is better, else of times."""
    theirs = real()
    assert theirs is not None
    mine, other = paired(effort, lambda: run(ours(), scenario), lambda: run(theirs, scenario))
    if better is Better.HIGHER:
        return ratio(name, rates(mine, 1), rates(other, 1), reach=reach, better=better, why=CACHES)
    return ratio(
        name, [one.seconds for one in mine], [one.seconds for one in other], reach=reach, better=better, why=CACHES
    )


def beside_blocking(effort: Effort) -> Figure:
    """Round trips beside those of bare blocking sockets."""
    mine, bare = paired(effort, lambda: run(ours(), pings(ROUND_TRIPS)), lambda: blocking_pings(ROUND_TRIPS))
    return ratio(
        "tcp_ping_over_blocking",
        [one.seconds for one in mine],
        [one.seconds for one in bare],
        reach=1.25,
        better=Better.LOWER,
    )


def measure(quick: bool, only: Callable[[str], bool]) -> list[Figure]:
    """All figures whose references are installed."""
    effort = Effort(10, 5.0) if quick else Effort(20)
    figures: list[Figure] = []
    names = ("tcp_throughput_over_iperf3", "tcp_cpu_per_byte_over_iperf3")
    if shutil.which("iperf3") is None:
        for name in names:
            missing(name, IPERF3)
    elif any(map(only, names)):
        figures += beside_iperf3(effort)
    for name, scenario, reach, better in (
        ("tcp_throughput_over_s2n", download(SIZE), 1.2, Better.HIGHER),
        ("tcp_ping_over_s2n", pings(ROUND_TRIPS), 1.0, Better.LOWER),
        ("tcp_connects_over_s2n", connects(CONNECTS), 1.0, Better.HIGHER),
    ):
        if real() is None:
            missing(name, S2N)
        elif only(name):
            figures.append(beside_real(name, effort, scenario, reach, better))
    if only("tcp_ping_over_blocking"):
        figures.append(beside_blocking(effort))
    figures += secure(effort, only)
    figures += traces(effort, only, quick=quick)
    figures += memory(1 if quick else 10, only)
    return figures


def secure(effort: Effort, only: Callable[[str], bool]) -> list[Figure]:
    """Throughput in TLS, beside the real driver that has OpenSSL inside, too."""
    name = "tls_throughput_over_native_tls"
    theirs = real("native-tls")
    if not only(name):
        return []
    if theirs is None:
        missing(name, "s2n-netbench-driver-native-tls isn't installed (`make drivers ALL=1`)")
        return []
    mine, other = paired(effort, lambda: run(ours("tls"), download(SIZE)), lambda: run(theirs, download(SIZE)))
    return [ratio(name, rates(mine, SIZE), rates(other, SIZE), reach=1.0, better=Better.HIGHER, why=CACHES)]


def traces(effort: Effort, only: Callable[[str], bool], *, quick: bool) -> list[Figure]:
    """What a sample costs: in our loop in CPU, at the real driver as round trips with its trace over those without."""
    repeats = 11 if quick else 31
    clock = tracing.clock_ns(repeats)
    why = (
        f"one reading of the clock costs {clock:.0f} ns on this machine now; beside others, a profile needs two, and "
        "the interpreter 80 ns to call its body from between them and to keep their difference"
    )
    figures = [
        median(f"trace_{kind}_s", [one / 1e9 for one in tracing.costs(kind, repeats)], "s", reach=100e-9, why=why)
        for kind in tracing.TRACED
        if only(f"trace_{kind}_s")
    ]
    name = "s2n_stdio_trace_over_none"
    if only(name):
        plain, traced = real(), real(trace="stdio")
        if plain is None or traced is None:
            missing(name, S2N)
        else:
            mine, other = paired(
                effort, lambda: run(traced, pings(ROUND_TRIPS)), lambda: run(plain, pings(ROUND_TRIPS))
            )
            seconds = ([one.seconds for one in mine], [one.seconds for one in other])
            figures.append(ratio(name, *seconds, reach=None, better=Better.LOWER))
    return figures


def memory(repeats: int, only: Callable[[str], bool]) -> list[Figure]:
    """The most memory that a client of ours had while its 10,000 connections were all open and idle."""
    name, connections = "idle_10k_bytes", 10_000
    if not only(name):
        return []
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < connections + 100:
        missing(name, "a process may not have so many descriptors here (`ulimit -Hn`)")
        return []
    reports = [carry_out(ours(), idle(connections), {}) for _ in range(repeats)]
    return [median(name, [one[Role.CLIENT].peak_rss or math.nan for one in reports], "B", reach=60e6)]


if __name__ == "__main__":
    main("drivers", measure)
