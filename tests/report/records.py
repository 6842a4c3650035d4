"""Which sessions do the report's tests render? Small ones, with every outcome and an enemy among the names."""

from __future__ import annotations

from typing import Any

from pytest_netbench.result.model import Better, Interval, Round, SessionRecord, Summary, TestRecord
from pytest_netbench.session.folder import curve

ENEMY = 'test_x.py::test_enemy[</script><script>alert("&")</script>]'
NAMES = ("goodput", "connect.p50", "ping_1KB.p50", "ping_1KB.max", "client.cpu_per_op", "tcp.retransmits.client-0")


def a_round(index: int = 0, **more: Any) -> Round:
    metrics = {
        "goodput": 1e9 + index,
        "connect.p50": 1e-4,
        "ping_1KB.p50": 2e-5 * (1 + index),
        "client.cpu_per_op": 1e-6,
    }
    samples = tuple(1e-5 * (1 + one) for one in range(200))
    given: dict[str, Any] = {
        "index": index,
        "arm": None,
        "started": "2026-01-01T00:00:00.000Z",
        "duration_s": 1.0,
        "metrics": metrics,
        "start_skew_s": 0.0,
        "armed": True,
        "control_bytes_in_run": 0,
        "validity": (),
        "curves": {"ping_1KB": curve(samples)},
        "logs": f"runs/test/{index}",
    }
    return Round(**(given | more))


def a_test(nodeid: str = "test_x.py::test_ping[tcp]", outcome: str = "passed", **more: Any) -> TestRecord:
    units = {"goodput": "B/s", "tcp.retransmits.client-0": "1"}
    summary = {
        name: Summary(
            units.get(name, "s"), Better.LOWER, 3, 2e-5, Interval(1e-5, 3e-5), "whole process" * (name == NAMES[4])
        )
        for name in NAMES
    }
    given: dict[str, Any] = {
        "nodeid": nodeid,
        "scenario_id": "abc",
        "scenario_name": "ping",
        "driver": "tcp",
        "provider": "local",
        "hosts": ({"name": "client-0", "role": "client", "mtu": 1500},),
        "outcome": outcome,
        "rounds": tuple(a_round(index) for index in range(3)),
        "summary": summary,
    }
    return TestRecord(**(given | more))


def a_session(*tests: TestRecord) -> SessionRecord:
    environment = {"kernel": "6.1", "cpu_model": "a & b"}
    return SessionRecord("run-1", "2026-01-01T00:00:00Z", "local", {"pytest": "9"}, environment, tests)
