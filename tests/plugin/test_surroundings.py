"""Is a contest invalid whose environment somebody changes meanwhile? Real runs, in a namespace of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_netbench.hosts import namespace
from tests.plugin.conftest import results
from tests.plugin.test_gate import own_driver, programs

GATED = """
import pytest
from pytest_netbench import KB, Gate, ms, ping

@pytest.mark.netbench(
    scenario=ping(time=20 * ms, size=[1 * KB]), length="given",
    gate={"ping_1KB.p50": Gate(fail_above=0.9, must_detect=0.99)}
)
def test_ping(netbench):
    netbench.run().no_regression()
"""

COMPARED = """
import pytest
from pytest_netbench import KB, ms, ping

@pytest.mark.netbench(scenario=ping(time=20 * ms, size=[1 * KB]))
def test_ping(netbench):
    reno, tls = "option:tcp.congestion_control=reno", "driver:tls"
    assert netbench.compare(reno, tls, pairs=3).ratio("ping_1KB.p50").n == 3
"""

CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")
own_namespace = pytest.mark.skipif(
    namespace.why_not_own() is not None or CONTROL.read_text() == "reno\n",
    reason="needs a namespace of its own, in which the congestion control is another one than reno",
)


def changing(project: pytest.Pytester, starts: int) -> None:
    """A driver whose client, when it is started so often, has the congestion control of its namespace changed."""
    count = project.path / "starts"
    before = f"echo >> {count}; [ $(wc -l < {count}) -eq {starts} ] && echo reno > {CONTROL}"
    own_driver(project, programs(project.path / "bin", before))
    project.makepyfile(test_ping=GATED)


@own_namespace
def test_a_setting_that_is_changed_between_rounds_makes_the_verdict_invalid(project: pytest.Pytester) -> None:
    """The failure says host, setting, and both arms' values; results.json has them round by round."""
    changing(project, starts=5)  # two of them warm up
    done = project.runpytest_subprocess("test_ping.py", "--netbench-ab", "as-is,as-is")
    done.assert_outcomes(failed=1)
    done.stdout.re_match_lines([r".*client-0: tcp_congestion_control .*reno in round \d of (ref|cand).*"])
    (test,) = results(project)["tests"]
    assert test["verdict"]["state"] == "invalid"
    seen = [test["environments"][one["environment"]["client-0"]] for one in test["rounds"]]
    assert {one["tcp_congestion_control"] for one in seen[:2]} == {CONTROL.read_text().strip()}
    assert seen[-1]["tcp_congestion_control"] == "reno"
    assert {one["mtu"] for one in seen} == {str(namespace.MTU)}


def test_what_an_arm_is_meant_to_change_may_differ(project: pytest.Pytester) -> None:
    """Another congestion control by an option, another driver: nothing of that is the environment's."""
    project.makepyfile(test_ping=COMPARED)
    project.runpytest_subprocess("test_ping.py").assert_outcomes(passed=1)
