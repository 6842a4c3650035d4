"""Can another plugin measure something beside the rounds, and does it stand in the results like everything else?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.plugin.conftest import results

PAGE = Path(__file__).parents[2] / "docs" / "results.md"
(EXAMPLE,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)

TESTS = """
import pytest
from pytest_netbench import Gate, KB, NetbenchClient, NetbenchServer, download

GATE = {"machine.context_switches": Gate()}

@pytest.mark.netbench(scenario=download(100 * KB), rounds=2, gate=GATE)
def test_rounds(netbench):
    metric = netbench.run()["machine.context_switches"]
    assert (metric.n, metric.unit) == (2, "1")
    assert min(metric.by_round) > 0

@pytest.mark.netbench(scenario=download(100 * KB))
async def test_by_hand(netbench, server_coord, client_coord):
    await server_coord.run_till(NetbenchServer.RUNNING)
    await client_coord.run_till(NetbenchClient.DONE)
    await server_coord.run_till(NetbenchServer.DONE)
    result = await netbench.collect(server_coord, client_coord)
    assert result["machine.context_switches"].value > 0
"""


@pytest.mark.parametrize("processes", [(), ("-n1",)], ids=["alone", "xdist"])
def test_a_source_of_a_plugin_is_in_the_results(project: pytest.Pytester, processes: tuple[str, ...]) -> None:
    """The page's example: in rounds and in those that a test drives itself, in the file, and in the report."""
    project.makeconftest(EXAMPLE)
    project.makepyfile(test_sources=TESTS)
    project.runpytest_subprocess("test_sources.py", *processes).assert_outcomes(passed=2)
    for test in results(project)["tests"]:
        assert test["summary"]["machine.context_switches"]["better"] == "lower"
    assert "machine.context_switches" in (project.path / "netbench-results/report.html").read_text()


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("- before", "- before + nothing", "*telemetry source machine failed: NameError*nothing*"),
        ('found["context', 'found["kontext', "*source machine found machine.kontext_switches, which isn't among*"),
        ("yield found", "yield", "*source machine: expected a mapping of its metrics, got None*"),
        ("- before", '* float("nan")', "*source machine: machine.context_switches: expected a number, got nan*"),
        ("before = {}, switches()", "before = {}, 1 / 0", "*telemetry source machine failed: ZeroDivisionError*"),
    ],
)
def test_a_source_that_fails_is_told(project: pytest.Pytester, before: str, after: str, text: str) -> None:
    """By its name; the round doesn't count, and no driver is blamed."""
    project.makeconftest(EXAMPLE.replace(before, after))
    outcome = project.runpytest_subprocess("test_ping.py")
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines([text])


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("Source(watch, {", "(watch, {", "*pytest_netbench_telemetry: machine: expected a Source, got*"),
        ('"context_switches": kind', '"p99": kind', "*machine.p99: p50, p90, p99, p999, max are traces' names*"),
        ('"machine": Source(watch, {"context_switches"', '"tcp": Source(watch, {"retransmits"', "*is there already*"),
    ],
)
def test_a_source_that_is_none_is_a_usage_error(project: pytest.Pytester, before: str, after: str, text: str) -> None:
    """Before anything is collected."""
    project.makeconftest(EXAMPLE.replace(before, after))
    outcome = project.runpytest_subprocess("test_ping.py")
    assert outcome.ret == pytest.ExitCode.USAGE_ERROR
    outcome.stderr.fnmatch_lines([text])
