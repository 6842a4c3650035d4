"""Does a JUnit file have each gated test once, with its verdict's numbers, however tests are run?"""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

TEST = """
import pytest
from pytest_netbench import KB, Gate, ms, ping

@pytest.mark.parametrize("text", ["a::b|<c>&%", "d"])
@pytest.mark.netbench(
    scenario=ping(time=20 * ms, size=[1 * KB]), gate={"client.cpu_per_op": Gate(fail_above=0.9, must_detect=0.99)}
)
def test_ping(netbench, text):
    netbench.run().no_regression()
    assert text == "d", "<fails> & says so"
"""
ARMS = (
    "test_it.py",
    "--netbench-length",
    "given",
    "--netbench-gate",
    "off",
    "--netbench-budget",
    "20s",
    "--netbench-ab",
    "driver:tcp,driver:tcp",
    "--junitxml",
    "junit.xml",
)
RERUN = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for attempt in (1, 2):
        item.execution_count = attempt
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        again = attempt == 1 and any(report.failed for report in reports)
        for report in reports:
            if again:
                report.outcome = "rerun"
            item.ihook.pytest_runtest_logreport(report=report)
        if not again:
            return True
"""


def cases(project: pytest.Pytester) -> list[ET.Element]:
    return [*ET.fromstring((project.path / "junit.xml").read_text()).iter("testcase")]


def properties(case: ET.Element) -> dict[str | None, str | None]:
    return {one.get("name"): one.get("value") for one in case.iter("property")}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_each_test_is_a_case_with_its_numbers(project: pytest.Pytester, more: tuple[str, ...]) -> None:
    """One failure for the one that fails; effect, interval, p, pairs and verdict of both."""
    project.makepyfile(test_it=TEST)
    project.runpytest_subprocess(*more, *ARMS).assert_outcomes(passed=1, failed=1)
    found = cases(project)
    assert sorted(len([*one.iter("failure")]) for one in found) == [0, 1]
    assert len({one.get("name") for one in found}) == 2
    for one in found:
        given = properties(one)
        names = {name.rpartition(".")[2] for name in given if name}
        assert given["netbench.verdict"] == given["netbench.client.cpu_per_op.verdict"]
        assert {"n", "verdict", "reason"} <= names
        if given["netbench.verdict"] != "invalid":  # as on a machine that others use
            assert {"effect", "ci", "p", "detectable"} <= names


@pytest.mark.timeout(300)
def test_a_rerun_adds_no_failure(project: pytest.Pytester) -> None:
    """As plugins that rerun report it: what counts is the last attempt, and it has the numbers."""
    project.makeconftest(RERUN)
    project.makepyfile(test_it=TEST)
    project.runpytest_subprocess(*ARMS)
    failing = [one for one in cases(project) if list(one.iter("failure"))]
    (one,) = failing
    assert "netbench.client.cpu_per_op.verdict" in properties(one)
