"""Is what a host left read into its report, whatever is missing or broken in it?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.errors import RunError
from pytest_netbench.roles import Role
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.telemetry.gather import read_host
from pytest_netbench.telemetry.model import CpuScope, Ending, HostReport, KernelCounters
from tests.telemetry.trace_cases import EXCHANGE, PING, TRACES

RECORD: dict[str, Any] = {
    "armed": False,
    "began_ns": 900,
    "ended_ns": 5_000_000_000,
    "writes": [[1_000_000_000, 33], [1_001_000_000, 64]],
    "ending": {"status": 0, "signal": None, "expected": True, "reason": ""},
    "counters": {"namespace": "net:[1]", "tcp_retransmits": 2, "udp_rcvbuf_drops": 0},
    "starved": "",
    "cpu_s": 0.25,
    "peak_rss": 4096,
    "problems": [],
}


def folder(place: Path, name: str, role: Role, **change: Any) -> Path:
    for kind in ("out", "err"):
        shutil.copy(TRACES / name / f"{role.value}.{kind}", place / f"driver.{kind}")
    (place / "host.json").write_text(json.dumps({**RECORD, **change}))
    return place


def read(place: Path, role: Role = Role.CLIENT, scenario: Scenario = EXCHANGE, driver: str = "s2n-tcp") -> HostReport:
    return read_host(place, registry.KNOWN[driver], scenario, role, 0, "host-0")


def test_a_real_drivers_folder_becomes_a_report(tmp_path: Path) -> None:
    """The record of the worker, the trace of the driver, the process's CPU marked as what it is."""
    report = read(folder(tmp_path, "tcp_exchange", Role.CLIENT))
    assert (report.host, report.role, report.index, report.armed) == ("host-0", Role.CLIENT, 0, False)
    assert report.ending == Ending(0, None, expected=True)
    assert report.counters == KernelCounters("net:[1]", 2, 0)
    assert len(report.driver.connections) == 3
    assert report.driver.cpu is not None
    assert (report.driver.cpu.seconds, report.driver.cpu.scope) == (0.25, CpuScope.PROCESS)
    assert report.driver.peak_rss == 4096
    assert report.driver.problems == ()


def test_a_client_began_with_its_own_zero(tmp_path: Path) -> None:
    """Its lines tell better when it began than the moment of its execution, if there are any."""
    report = read(folder(tmp_path, "tcp_exchange", Role.CLIENT))
    assert report.began_ns == report.driver.began_ns
    assert 0 < 1_000_000_000 - (report.began_ns or 0) < 10_000_000
    assert read(folder(tmp_path, "tcp_exchange", Role.CLIENT, writes=[])).began_ns == 900


def test_an_error_of_a_server_that_goes_on_is_a_problem(tmp_path: Path) -> None:
    """Its end says nothing: it goes on serving after an error; equal lines are shown once."""
    report = read(folder(tmp_path, "tcp_modes_differ", Role.SERVER), Role.SERVER)
    assert report.driver.problems == ("it says 'error: invalid frame tag'",)


@pytest.mark.parametrize("name", ["tcp_ping", "quic_ping"])
def test_the_normal_end_of_a_timed_ping_is_none(tmp_path: Path, name: str) -> None:
    """Whose time is up first ends the other's transfer: the real server calls that an error."""
    place = folder(tmp_path, name, Role.SERVER)
    assert "error: " in (place / "driver.err").read_text()
    assert read(place, Role.SERVER, PING).driver.problems == ()


def test_the_same_error_without_a_time_is_a_problem(tmp_path: Path) -> None:
    """A broken pipe where no time cuts is a fault."""
    place = folder(tmp_path, "tcp_ping", Role.SERVER)
    assert "Broken pipe" in read(place, Role.SERVER, EXCHANGE).driver.problems[-1]


def test_a_panic_is_a_problem(tmp_path: Path) -> None:
    """Also one that took only a connection's task; many are counted."""
    place = folder(tmp_path, "tcp_exchange", Role.SERVER)
    (place / "driver.err").write_text("".join(f"thread 'main' panicked at x.rs:{at}\nnote: more\n" for at in range(5)))
    problems = read(place, Role.SERVER).driver.problems
    assert problems[0] == "it says \"thread 'main' panicked at x.rs:0\""
    assert problems[-1] == "it says so 5 times in all"


def test_garbage_is_a_problem_and_no_error(tmp_path: Path) -> None:
    """What a driver writes can't break the run."""
    place = folder(tmp_path, "tcp_exchange", Role.CLIENT)
    (place / "driver.out").write_bytes(bytes(range(256)) * 100)
    assert "are no trace" in read(place).driver.problems[0]


@pytest.mark.parametrize("driver", ["s2n-tcp", "tcp"])
def test_an_absent_output_is_a_problem(tmp_path: Path, driver: str) -> None:
    """Of a trace as of a report: the round doesn't count, and says why."""
    place = folder(tmp_path, "tcp_exchange", Role.CLIENT)
    (place / "driver.out").unlink()
    report = read(place, driver=driver)
    assert len(report.driver.problems) == 1
    assert report.driver.connections == ()


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "{}", '{"ending": 1}', '{"ending": {}, "counters": null}'])
def test_a_broken_record_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    """The worker writes it: without it there is no round."""
    (tmp_path / "host.json").write_text(text)
    with pytest.raises(RunError, match=r"host-0: .*host.json"):
        read(tmp_path)


def test_an_absent_record_is_an_error(tmp_path: Path) -> None:
    """It says that the worker didn't get there."""
    with pytest.raises(RunError, match=r"host-0: it left no .*host.json: its worker failed"):
        read(tmp_path)


def test_what_the_worker_noted_is_told(tmp_path: Path) -> None:
    """A record that ended early, CPU that was taken."""
    place = folder(tmp_path, "tcp_exchange", Role.CLIENT, problems=["the record ends early"], starved="robbed")
    report = read(place)
    assert report.driver.problems == ("the record ends early",)
    assert report.starved == "robbed"
