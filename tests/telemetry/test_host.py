"""Does a host see its driver and the kernel's counters?"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_netbench.telemetry import proc
from pytest_netbench.telemetry.gather import samples
from pytest_netbench.telemetry.host import Collector, Sample, Window, Writes
from pytest_netbench.telemetry.model import KernelCounters

SNMP = """\
Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm MaxConn RetransSegs
Tcp: 1 -1 {retransmits}
Udp: InDatagrams RcvbufErrors
Udp: 7 {drops}
"""


def kernel(folder: Path, retransmits: int, drops: int, steal: int, idle: int) -> Window:
    (folder / "snmp").write_text(SNMP.format(retransmits=retransmits, drops=drops))
    (folder / "snmp6").write_text("Ip6InReceives 5\nUdp6RcvbufErrors \t3\n")
    (folder / "stat").write_text(f"cpu  10 0 10 {idle} 0 0 0 {steal} 0 0\ncpu0 1 1 1 1\n")
    return Window.now(folder, folder / "stat")


def test_growth_is_counted(tmp_path: Path) -> None:
    """Retransmits and drops of both IP versions, from the window's begin to its end."""
    begin = kernel(tmp_path, 3, 10, 0, 0)
    assert begin.udp_rcvbuf_drops == 13
    grown = begin.until(kernel(tmp_path, 8, 12, 0, 0))
    assert (grown.tcp_retransmits, grown.udp_rcvbuf_drops) == (5, 2)
    assert grown.namespace.startswith("net:[")


@pytest.mark.parametrize(
    ("steal", "idle", "starved"), [(0, 100, False), (4, 4, False), (5, 100, False), (20, 80, True)]
)
def test_a_host_that_was_robbed_of_cpu_says_so(tmp_path: Path, steal: int, idle: int, starved: bool) -> None:
    """A tenth of all CPU time and more, in enough ticks to be more than chance."""
    begin = kernel(tmp_path, 0, 0, 0, 0)
    assert bool(begin.starved(kernel(tmp_path, 0, 0, steal, idle))) is starved


def test_the_machines_use_is_what_all_programs_used(tmp_path: Path) -> None:
    """Busy ticks of all there are; neither idle nor stolen ones."""
    begin = kernel(tmp_path, 0, 0, 0, 0)
    (tmp_path / "stat").write_text("cpu  40 0 10 60 10 0 0 5 0 0\n")
    use = begin.use(Window.now(tmp_path, tmp_path / "stat"))
    assert (use.busy_s, use.total_s) == pytest.approx((30 * proc.TICK, 105 * proc.TICK))


@pytest.mark.parametrize(("gained_ns", "step"), [(0, 0.0), (500_000, 0.0), (-2_000_000_000, -2.0)])
def test_a_clock_that_is_set_is_seen(gained_ns: int, step: float) -> None:
    """Half a millisecond is the time between two readings, two seconds aren't."""
    begin = Window.now()
    assert begin.clock_step_s(replace(begin, clock_ns=begin.clock_ns + gained_ns)) == step


def test_a_kernel_without_counters_has_none(tmp_path: Path) -> None:
    """What isn't there counts as nothing that happened."""
    (tmp_path / "stat").write_text("cpu 1 2 3 4\n")
    assert Window.now(tmp_path, tmp_path / "stat").tcp_retransmits == 0


def test_this_kernel_is_read() -> None:
    """The real files have the form that is expected."""
    window = Window.now()
    assert window.cpu_ticks > 0
    assert window.until(window) == KernelCounters(window.namespace, 0, 0)


async def test_the_collector_samples_at_both_ends(tmp_path: Path) -> None:
    """However short the run, there are two samples, and the memory of the tree."""
    output = tmp_path / "driver.out"
    output.write_bytes(b"12345")
    async with Collector(lambda: [os.getpid()], output, tmp_path / "c.jsonl") as collector:
        await asyncio.sleep(0)
    first, *_, last = samples(tmp_path / "c.jsonl")
    assert (first.output, last.at_ns >= first.at_ns) == (5, True)
    assert last.cpu_s > 0
    assert collector.peak_rss >= last.rss > 0


async def test_a_tree_that_is_gone_is_not_sampled(tmp_path: Path) -> None:
    """A driver that has ended leaves no samples of nothing."""
    async with Collector(list, tmp_path / "out", tmp_path / "c.jsonl"):
        pass
    assert list(samples(tmp_path / "c.jsonl")) == []


async def test_a_full_disk_ends_the_record_and_not_the_driver(tmp_path: Path) -> None:
    """The sample is lost, the problem is told, once."""
    output = tmp_path / "out"
    output.touch()
    async with Collector(lambda: [os.getpid()], output, Path("/dev/full")) as collector:
        pass
    assert collector.problem == "the collector's record ends early: No space left on device"


async def test_writes_are_dated(tmp_path: Path) -> None:
    """By the kernel's word, when they happen, with the length; not all of many, but the first in any case."""
    path = tmp_path / "out"
    path.touch()
    watch = Writes(path)
    with path.open("wb", buffering=0) as file:
        file.write(b"x")
        async with asyncio.timeout(30):
            while len(watch.seen) < 2:
                await asyncio.sleep(0)
                if watch.seen:
                    file.write(b"x")
    watch.close()
    (first, one), (second, two) = watch.seen
    assert first < second
    assert 1 == one < two


def test_a_record_that_was_cut_is_read_to_there(tmp_path: Path) -> None:
    """Samples before the cut count."""
    path = tmp_path / "c.jsonl"
    sample = Sample(1, 0.5, 2, 3)
    path.write_text('{"at_ns": 1, "cpu_s": 0.5, "rss": 2, "output": 3}\n{"at_ns": 2, "cp')
    assert list(samples(path)) == [sample]
    assert Sample.from_json(sample.to_json()) == sample
    assert list(samples(tmp_path / "none")) == []
