"""Do several processes serve one address, and is their report one? And is each kept to its processors?"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_netbench.drivers.builtin.ending import Misused
from pytest_netbench.drivers.builtin.place import Place, place
from pytest_netbench.drivers.builtin.pool import merged
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.catalog import connect
from pytest_netbench.telemetry.model import ConnectionReport, CpuScope, CpuUse, DriverReport
from tests.drivers.builtin.builtin_processes import DEADLINE, Running, dialling, scenario, serving, written

MANY = connect(connections=40)
HERE = sorted(os.sched_getaffinity(0))


def configured(one: m.Scenario, **options: str) -> m.Scenario:
    return replace(one, servers=tuple(replace(each, configuration=options) for each in one.servers))


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_several_processes_serve_one_address(tmp_path: Path) -> None:
    """Every connection is somebody's, and the report has all of them."""
    path = written(configured(MANY, processes="3"), tmp_path)
    with serving(path) as (server, address), dialling(path, address) as client:
        assert len(_children(server.process.pid)) == 3
        assert client.wait().status == 0
        done = server.stop()
    assert (done.status, done.errors) == (0, "")
    assert len(done.seen.connections) == 40
    assert sum(one.streams[0].received for one in done.seen.connections) == 40
    assert done.seen.cpu is not None
    assert done.seen.began_ns is not None


def test_a_signal_to_the_whole_group_is_one_end(tmp_path: Path) -> None:
    """As a worker sends it: parent and children get it all at once."""
    with serving(written(configured(MANY, processes="2"), tmp_path)) as (server, _):
        for pid in _children(server.process.pid):
            with contextlib.suppress(ProcessLookupError):  # the end of the first may have ended the second
                os.kill(pid, signal.SIGTERM)
        done = server.stop()
    assert done.errors.count("\n") <= 1


def test_a_process_that_dies_ends_all(tmp_path: Path) -> None:
    """It is named, and nobody is left."""
    with serving(written(configured(MANY, processes="2"), tmp_path)) as (server, _):
        children = _children(server.process.pid)
        os.kill(children[1], signal.SIGKILL)
        done = server.wait()
    assert done.status == 1
    assert "server process 1 ended with status -9" in done.errors
    until = time.monotonic() + DEADLINE
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < until


def test_a_server_is_kept_to_its_processors(tmp_path: Path) -> None:
    """Of several processes, each to one of them in turns."""
    with serving(written(configured(MANY, cpus=str(HERE[0]), processes="2"), tmp_path)) as (server, _):
        for pid in _children(server.process.pid):
            assert os.sched_getaffinity(pid) == {HERE[0]}
        server.stop()


def test_a_processor_that_is_not_there_is_unsupported(tmp_path: Path) -> None:
    """By its number, and those that are."""
    done = Running("server", written(configured(scenario(()), cpus="4095"), tmp_path), {}).wait()
    assert done.status == 127
    assert "cpus: processor 4095 isn't there" in done.errors


@pytest.mark.parametrize(
    ("text", "cpus"), [("0", (0,)), ("0,2-4", (0, 2, 3, 4)), ("3, 1", (1, 3)), ("7-7", (7,)), ("1-2,2", (1, 2))]
)
def test_processors_are_read(text: str, cpus: tuple[int, ...]) -> None:
    """Numbers and ranges."""
    assert place({"cpus": text, "tcp.nodelay": "x"}) == Place(cpus=cpus)


@pytest.mark.parametrize("said", [{"cpus": ""}, {"cpus": "a"}, {"cpus": "3-1"}, {"cpus": "1-"}, {"cpus": "9999"},
                                  {"processes": "0"}, {"processes": "-1"}, {"processes": "many"}], ids=str)  # fmt: skip
def test_what_is_no_place_is_named(said: dict[str, str]) -> None:
    """By what was expected."""
    with pytest.raises(Misused, match=r"expected (numbers of processors|a number of processes)"):
        place(said)


def test_reports_are_added_up() -> None:
    """Instants at the outside, samples in a row."""
    one = ConnectionReport(0, 0, None, ())
    first = DriverReport(5, 7, 20, (one,), {"a": (1.0,)}, CpuUse(1.0, CpuScope.WINDOW), 100, ("p",))
    second = DriverReport(3, 9, 30, (one, one), {"a": (2.0,), "b": (3.0,)}, CpuUse(2.0, CpuScope.WINDOW), 50)
    whole = merged([first, second], ["q"])
    assert (whole.began_ns, whole.first_byte_ns, whole.last_byte_ns, whole.peak_rss) == (3, 7, 30, 150)
    assert whole.samples == {"a": (1.0, 2.0), "b": (3.0,)}
    assert whole.cpu == CpuUse(3.0, CpuScope.WINDOW)
    assert (len(whole.connections), whole.problems) == (3, ("p", "q"))
