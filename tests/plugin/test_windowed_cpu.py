"""Is CPU time that of the transfer: a slope where a driver tells its whole process, else marked and never gated?"""

from __future__ import annotations

import json
import sys

import pytest

from tests.plugin.conftest import PLAYED, results

TOOL = """
import signal, socket, sys, time
address = (sys.argv[2], int(sys.argv[3]))
if sys.argv[1] == "server":
    listener = socket.create_server(address)
    while True: listener.accept()[0].close()
size = int(sys.argv[4])
socket.create_connection(address).recv(1)
while time.process_time() < 0.3 + size * 1e-7: pass
print(size, "bytes in 0.5 s")
"""
"""A client that takes 300 ms of CPU time to start, and 100 ns a byte."""

TEST = """
    import pytest
    from pytest_netbench import Gate, KB, MB, connect, download

    @pytest.mark.netbench(scenario=download(2 * MB), drivers=["mine"], rounds=1)
    def test_download(netbench):
        assert netbench.run().valid

    @pytest.mark.netbench(scenario=connect(1), drivers=["mine"], rounds=1, gate={"client.cpu_per_op": Gate()})
    def test_nothing_to_divide(netbench):
        netbench.run()
"""


@pytest.fixture
def tool(pytester: pytest.Pytester) -> str:
    """The section of that tool."""
    line = f"{sys.executable} -IS {pytester.makepyfile(tool=TOOL)}"
    pytester.makepyfile(test_it=TEST)
    return (
        f'[drivers.mine]\nlevel = "command"\nserver = "{line} server {{host}} {{port}}"\ntransport = "tcp"\n'
        f'client.download = "{line} client {{host}} {{port}} {{bytes}}"\n'
        f'client.connect = "{line} client {{host}} {{port}} 0"\n'
        f"output.client = {json.dumps('(?P<bytes>[0-9]+) bytes in (?P<seconds>[0-9.]+) s')}\n"
    )


def test_what_a_tool_needs_to_start_cancels_out(pytester: pytest.Pytester, tool: str) -> None:
    """Between two sizes of the transfer; without that it is in, and the result says so."""
    found = {}
    for cpu in ("slope", "process"):
        (pytester.path / "netbench.toml").write_text(f'{tool}cpu = "{cpu}"\n')
        assert pytester.runpytest_subprocess("-k", "download").ret == 0
        ((round_,),) = [test["rounds"] for test in results(pytester)["tests"]]
        found[cpu] = round_["metrics"]["client.cpu_per_byte"]
        where, elsewhere = ("slopes", "whole_process") if cpu == "slope" else ("whole_process", "slopes")
        assert "client.cpu_per_byte" in round_[where]
        assert "client.cpu_per_byte" not in round_.get(elsewhere, ())
    assert found["process"] > 2e-7
    assert 0.8e-7 < found["slope"] < 1.5e-7


def test_a_whole_process_is_never_gated(pytester: pytest.Pytester, tool: str) -> None:
    """Where nothing can be made smaller, a limit on it is an error that says what to do."""
    (pytester.path / "netbench.toml").write_text(tool)
    outcome = pytester.runpytest_subprocess("-k", "nothing")
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["*client.cpu_per_op can't be gated with this driver: it covers its whole process*"])


TOO_SHORT = """
from dataclasses import replace
from pytest_netbench import run

played = run.carry_out

async def carry_out(stage):
    done, size = await played(stage), stage.trial.analysis.server_to_client_bytes
    flat = ("the slope needs more bytes",) if stage.trial.smaller is not None and size < 4_000_000 else ()
    cost = {"client.cpu_per_byte": done.metrics["client.cpu_per_op"]}
    return replace(done, duration_s=size * 40e-9, metrics=cost, validity=flat)

run.carry_out = carry_out
"""
GATED = """
import pytest
from pytest_netbench import Gate, MB, download

@pytest.mark.netbench(scenario=download(1 * MB), gate={"client.cpu_per_byte": Gate()})
def test_download(netbench):
    netbench.run().no_regression()
"""


def test_rounds_that_are_too_short_for_a_slope_become_longer(project: pytest.Pytester) -> None:
    """A pilot looks at their time alone: both sizes cost the same there, which isn't what it is asked."""
    project.makeconftest(PLAYED.replace("EFFECT", "0") + TOO_SHORT)
    project.makepyfile(test_it=GATED)
    outcome = project.runpytest_subprocess("test_it.py", "--netbench-ab=as-is,as-is")
    outcome.assert_outcomes(passed=1)
    (test,) = results(project)["tests"]
    assert test["verdict"]["comparison"]["scale"] == 4


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_a_pilot_leaves_the_start_of_a_real_driver_out(project: pytest.Pytester) -> None:
    """It fills 100 MB before its first request, and tells the CPU time of its whole process only."""
    project.makepyfile(test_it=GATED.replace("1 * MB)", '20 * MB), drivers=["s2n-tcp"]'))
    outcome = project.runpytest_subprocess("test_it.py", "--netbench-ab=as-is,as-is", "--netbench-gate=off", "-rs")
    (test,) = results(project)["tests"]
    if outcome.parseoutcomes().get("skipped"):
        pytest.skip("make drivers")
    assert test["verdict"]["comparison"]["scale"] >= 8
    assert test["verdict"]["state"] != "invalid"
    assert all("client.cpu_per_byte" in one["slopes"] for one in test["rounds"])
