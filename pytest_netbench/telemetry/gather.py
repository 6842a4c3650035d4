"""What did one host see in one round? From the folder that was fetched from it to its report; pure but for reading."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_netbench.drivers.driver import Driver, OutputFormat
from pytest_netbench.errors import RunError
from pytest_netbench.roles import Role
from pytest_netbench.telemetry.host import Sample
from pytest_netbench.telemetry.model import (
    CpuScope,
    CpuUse,
    DriverReport,
    Ending,
    HostReport,
    KernelCounters,
    MachineUse,
)
from pytest_netbench.telemetry.programs import cut_streams
from pytest_netbench.telemetry.stdio_trace import Written, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_netbench.scenario.model import Connection, Scenario

HOST, COLLECTOR, REPORT, OUTPUT, ERRORS = "host.json", "collector.jsonl", "report.json", "driver.out", "driver.err"
"""The files that the worker left."""

_COMPLAINTS = ("error: ", "Error: ", "thread '")
_SHOWN = 3

CUT_SHORT = (
    "Broken pipe",
    "Connection reset by peer",
    "had been reset",
    "was closed",
    "unexpected end of file",
    "underlying I/O operation failed",
)
"""What a real server says of a connection whose client's time was up first."""


def read_host(folder: Path, driver: Driver, scenario: Scenario, role: Role, index: int, host: str) -> HostReport:
    """The report of one host from what it left in ``folder``.

    :raises RunError: if its record is missing or malformed; names the host and the file. A driver's garbage isn't an
        error: it is told in the report's problems, and makes the round invalid.
    """
    record = _record(folder / HOST, host)
    try:
        return _report(folder, record, driver, scenario, role, index, host)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{host}: {folder / HOST} isn't as its worker writes it: {error!r}") from error


def _record(path: Path, host: str) -> Mapping[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RunError(
            f"{host}: it left no {path}: its worker failed, or did not get to the end of the round"
        ) from None
    except (OSError, ValueError) as error:
        raise RunError(f"{host}: {path} can't be read: {error}") from error
    if not isinstance(record, dict):
        raise RunError(f"{host}: {path}: expected an object, got {type(record).__name__}")
    return record


def _report(
    folder: Path, record: Mapping[str, Any], driver: Driver, scenario: Scenario, role: Role, index: int, host: str
) -> HostReport:
    ending, counters = record["ending"], record["counters"]
    done = _driver_report(folder, record, driver, scenario, role, index)
    problems = (*done.problems, *record["problems"], *_complaints(folder, scenario, role, index))
    # An armed driver knows when it began; of others, the first line tells it better than the moment of execution.
    began = done.began_ns if done.began_ns is not None else record["began_ns"]
    return HostReport(
        host=host,
        role=role,
        index=index,
        armed=record["armed"],
        began_ns=began,
        ended_ns=record["ended_ns"],
        driver=replace(done, problems=tuple(dict.fromkeys(problems))),
        ending=Ending(ending["status"], ending["signal"], ending["expected"], ending["reason"]),
        counters=None if counters is None else KernelCounters(**counters),
        starved=record["starved"],
        use=MachineUse(**record["use"]) if record.get("use") else None,
        clock_step_s=record.get("clock_step_s", 0.0),
        environment=record.get("environment", {}),
    )


def _driver_report(
    folder: Path, record: Mapping[str, Any], driver: Driver, scenario: Scenario, role: Role, index: int
) -> DriverReport:
    cpu = CpuUse(record["cpu_s"], CpuScope.PROCESS, record.get("cpu_before_s", 0.0))
    if driver.output is OutputFormat.REPORT:
        return _own_report(folder / REPORT, cpu, record["peak_rss"])
    try:
        output = (folder / OUTPUT).read_bytes()
    except OSError as error:
        return _nothing(f"its output can't be read: {error.strerror}", cpu, record["peak_rss"])
    return parse(
        output,
        scenario,
        role,
        index,
        executed_ns=record["began_ns"],
        first_ns=record["writes"][0][0] if record["writes"] else None,
        written=_written(record["writes"], folder / COLLECTOR),
        cpu=cpu,
        peak_rss=record["peak_rss"],
    )


def _own_report(path: Path, cpu: CpuUse, peak_rss: int | None) -> DriverReport:
    from pytest_netbench.telemetry.report_json import load

    try:
        report = load(path.read_bytes())
    except FileNotFoundError:
        return _nothing("it wrote no report", cpu, peak_rss)
    except (OSError, RunError) as error:
        return _nothing(f"its report can't be read: {error}", cpu, peak_rss)
    return replace(report, cpu=report.cpu or cpu, peak_rss=report.peak_rss or peak_rss)


def _nothing(problem: str, cpu: CpuUse, peak_rss: int | None) -> DriverReport:
    return DriverReport(None, None, None, (), {}, cpu, peak_rss, (problem,))


def samples(path: Path) -> Iterator[Sample]:
    """The collector's samples; the record may end early, or be absent."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            yield Sample.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError):  # cut by a full disk, or a kill
            return


def _written(writes: Iterable[tuple[int, int]], path: Path) -> list[Written]:
    known = [*((at_ns, length) for at_ns, length in writes), *((one.at_ns, one.output) for one in samples(path))]
    return [Written(at_ns, length) for at_ns, length in sorted(known)]


def _complaints(folder: Path, scenario: Scenario, role: Role, index: int) -> Iterator[str]:
    """What it said on standard error that is a problem, however it ended: real servers go on after an error."""
    try:
        text = (folder / ERRORS).read_text(errors="replace")
    except OSError:
        return
    timed = role is Role.SERVER and any(cut_streams(one) for one in _programs(scenario, role, index))
    found = [line.strip() for line in text.splitlines() if line.startswith(_COMPLAINTS)]
    found = [line for line in found if not (timed and any(words in line for words in CUT_SHORT))]
    yield from (f"it says {line[:200]!r}" for line in dict.fromkeys(found[:_SHOWN]))
    if len(found) > _SHOWN:
        yield f"it says so {len(found)} times in all"


def _programs(scenario: Scenario, role: Role, index: int) -> tuple[Connection, ...]:
    endpoints = scenario.clients if role is Role.CLIENT else scenario.servers
    return endpoints[index].connections
