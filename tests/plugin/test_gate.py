"""Does a gated test behave as its author expects? Each a real pytest run with two arms; many with rounds played."""

from __future__ import annotations

import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

import pytest_netbench
from pytest_netbench.gate.decision import LOOKS
from tests.plugin.conftest import PLAYED, play, results

WIDE = """
import pytest
from pytest_netbench import KB, Gate, ms, ping

@pytest.mark.netbench(
    scenario=ping(time=50 * ms, size=[1 * KB]), length="given",
    gate={"client.cpu_per_op": Gate(fail_above=0.9, must_detect=0.99)}
)
def test_ping(netbench):
    netbench.run().no_regression()
"""

SLOW = """
import pytest
from pytest_netbench import MB, Arm, Gate, arms, download

@pytest.mark.netbench(
    scenario=download(4 * MB), length="given", seed=11, gate={"goodput": Gate(fail_above=0.1, must_detect=0.5)},
    ab=arms(ref="driver:tcp", cand=Arm("tcp", options={"tcp.receive_buffer": 2_000}), role="client"),
)
def test_download(netbench):
    netbench.run().no_regression()
"""


RERUNS = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for item.execution_count in (1, 2) if nextitem else (1,):
        item._initrequest()
        for report in runtestprotocol(item, nextitem=nextitem, log=False):
            item.ihook.pytest_runtest_logreport(report=report)
    return True
"""


def programs(folder: Path, before: str = "") -> Path:
    """A folder with the built-in driver under other names; ``before`` is what its client does first."""
    folder.mkdir()
    program = Path(pytest_netbench.__file__).parent / "drivers" / "builtin" / "__main__.py"
    for role, lines in (("server", ""), ("client", before)):
        script = f"#!/bin/sh\n{lines}\nexec {sys.executable} -I -S {program} tcp {role}\n"
        (folder / f"nb-{role}").write_text(script)
        (folder / f"nb-{role}").chmod(0o755)
    return folder


def own_driver(project: pytest.Pytester, folder: Path) -> None:
    """A configuration whose driver ``mine`` is in that folder."""
    (project.path / "netbench.toml").write_text(
        f'driver = ["mine"]\n[drivers.mine]\npath = "{folder}"\nserver = ["nb-server"]\nclient = ["nb-client"]\n'
        'output = "report"\narming = "pipe"\n'
    )


def test_two_equal_arms_pass_and_say_that_they_are_equal(project: pytest.Pytester) -> None:
    """As many pairs as a look has, both arms in results.json with their summaries, the verdict with its numbers."""
    project.makepyfile(test_ping=WIDE.replace("50 * ms", "200 * ms"))  # also a busy machine gets something done
    project.runpytest_subprocess("test_ping.py", "--netbench-ab", "driver:tcp,driver:tcp").assert_outcomes(passed=1)
    (test,) = results(project)["tests"]
    pairs = [one["arm"] for one in test["rounds"]].count("ref")
    assert pairs in LOOKS
    assert {"summary", "summary_ref"} <= set(test)
    found = test["verdict"]
    assert (found["state"], found["metrics"]["client.cpu_per_op"]["n"]) == ("pass", pairs)
    assert (found["comparison"]["entries"], found["comparison"]["attempt"]) == (1, 1)
    assert "both arms are the same" in test["reason"]
    assert test["gate"] == {"client.cpu_per_op": {"fail_above": 0.9, "must_detect": 0.99}}


def test_a_round_is_as_long_as_its_pilot_finds(project: pytest.Pytester) -> None:
    """50 ms of pings become 100, the same for both arms; results.json says how many times, and why."""
    play(project)
    project.makepyfile(test_ping=WIDE.replace('length="given",', ""))
    project.runpytest_subprocess("test_ping.py", "--netbench-ab", "driver:tcp,driver:tcp").assert_outcomes(passed=1)
    (test,) = results(project)["tests"]
    found = test["verdict"]["comparison"]
    assert found["scale"] == 2
    assert found["length"].startswith("rounds are 2 times what the scenario says: one takes 0.11 s")
    assert all(one["duration_s"] > 0.1 for one in test["rounds"])


def test_without_a_reference_it_passes_as_none(project: pytest.Pytester) -> None:
    """Nothing to compare with: so many rounds as usual, and the verdict says so."""
    project.makepyfile(test_ping=WIDE)
    project.runpytest_subprocess("test_ping.py").assert_outcomes(passed=1)
    (test,) = results(project)["tests"]
    assert (test["verdict"]["state"], len(test["rounds"])) == ("none", 3)
    assert test["reason"] == "no reference to compare client.cpu_per_op with"


def test_a_regression_fails_with_its_evidence(project: pytest.Pytester) -> None:
    """What, how much, limits, both arms' rounds, how long these were, and how to repeat it."""
    play(project, effect=1.0)
    project.makepyfile(test_slow=SLOW)
    outcome = project.runpytest_subprocess("test_slow.py", "--netbench-rounds", "2")
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(
        [
            "*AssertionError: goodput got * in tcp tcp.receive_buffer=2000 * in tcp (95 % interval *",
            "*limits: fails above 10 %, must detect 50 %*",
            "*ref (tcp): *B/s*",
            "*cand (tcp tcp.receive_buffer=2000): *B/s*",
            "*rounds are as the scenario says: that is wanted",
            "*repeat: pytest 'test_slow.py::test_download?tcp?' --netbench-rounds=2  (seed 11, 1 gated*",
        ]
    )
    (test,) = results(project)["tests"]
    assert (test["outcome"], test["verdict"]["state"]) == ("failed", "fail")


def test_a_verdict_that_nobody_asks_for_is_warned_of(project: pytest.Pytester) -> None:
    """A marker with limits and a test that never reads the verdict would be a gate that can't fail."""
    play(project, effect=1.0)
    project.makepyfile(test_slow=SLOW.replace(".no_regression()", ""))
    outcome = project.runpytest_subprocess("test_slow.py", "-W", "default")
    outcome.assert_outcomes(passed=1)
    outcome.stdout.fnmatch_lines(["*NetbenchWarning: fail, but no test fails by it without .no_regression(): goodput*"])
    project.runpytest_subprocess("test_slow.py", "--netbench-gate", "off").assert_outcomes(passed=1)


def test_a_gate_that_is_off_shows_and_fails_nothing(project: pytest.Pytester) -> None:
    """The verdict stays what it is."""
    play(project, effect=1.0)
    project.makepyfile(test_slow=SLOW)
    project.runpytest_subprocess("test_slow.py", "--netbench-gate", "off").assert_outcomes(passed=1)
    assert results(project)["tests"][0]["verdict"]["state"] == "fail"


def test_an_arm_that_crashes_in_half_of_its_rounds_is_invalid(project: pytest.Pytester) -> None:
    """The test fails, naming the arm and the driver's end; the verdict is invalid, not a pass by what is left."""
    good = programs(project.path / "good")
    bad = programs(project.path / "bad", 'if [ -e "$0.odd" ]; then rm "$0.odd"; exit 3; fi; : > "$0.odd"')
    own_driver(project, good)
    project.makepyfile(test_ping=WIDE)
    outcome = project.runpytest_subprocess("test_ping.py", "--netbench-ab", f"path:{good},path:{bad}")
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["*RunError: arm cand (*bad): *exited with status 3*"])
    assert results(project)["tests"][0]["verdict"]["state"] == "invalid"


def test_an_arm_that_doesnt_start_is_invalid(project: pytest.Pytester) -> None:
    """Its program is there, and ends at once: the test fails with its status and its words."""
    good, bad = programs(project.path / "good"), programs(project.path / "bad", "echo no licence >&2; exit 9")
    own_driver(project, good)
    project.makepyfile(test_ping=WIDE)
    outcome = project.runpytest_subprocess("test_ping.py", "--netbench-ab", f"path:{good},path:{bad}")
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["*RunError: arm cand (*bad): *exited with status 9*", "*no licence*"])
    assert results(project)["tests"][0]["verdict"]["state"] == "invalid"


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        ("path:good,path:empty", "*no server nb-server in *empty*"),
        ("driver:mine,main", "*driver mine can't be built from 'main'*"),
        ("driver:mine,option:speed=1", "*driver mine has no option 'speed'*"),
    ],
)
def test_an_arm_that_cant_be_made_fails_the_test(project: pytest.Pytester, arms: str, words: str) -> None:
    """It is an error, never a skip or a pass."""
    own_driver(project, programs(project.path / "good"))
    (project.path / "empty").mkdir()
    project.makepyfile(test_ping=WIDE)
    outcome = project.runpytest_subprocess("test_ping.py", "--netbench-ab", arms)
    outcome.assert_outcomes(errors=1)
    outcome.stdout.fnmatch_lines([words])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--netbench-ab", "driver:tcp"), "*--netbench-ab: expected two arms as REF,CAND*"),
        (("--netbench-ab", "driver:tpc,driver:tcp"), "*unknown driver 'tpc': did you mean 'tcp'*"),
        (("--netbench-gate", "strickt"), "*--netbench-gate: did you mean 'strict'*"),
    ],
)
def test_a_wrong_option_is_an_error_at_once(project: pytest.Pytester, options: tuple[str, str], words: str) -> None:
    """Nothing is run."""
    project.makepyfile(test_ping=WIDE)
    outcome = project.runpytest_subprocess("test_ping.py", *options)
    assert outcome.ret != 0
    assert any(fnmatch(line, words) for line in (*outcome.outlines, *outcome.errlines))


def test_limits_that_contradict_each_other_are_an_error_at_collection(project: pytest.Pytester) -> None:
    """must_detect has to be above fail_above."""
    project.makepyfile(test_ping=WIDE.replace("fail_above=0.9, must_detect=0.99", "fail_above=0.2, must_detect=0.1"))
    outcome = project.runpytest_subprocess("test_ping.py")
    outcome.assert_outcomes(errors=1)
    outcome.stdout.fnmatch_lines(["*0 <= fail_above < must_detect*"])


def test_arms_are_compared_by_the_test_itself(project: pytest.Pytester) -> None:
    """compare() gives ratios with intervals, and each arm's results."""
    project.makepyfile(
        test_cmp="""
        import pytest
        from pytest_netbench import MB, Arm, TooFewSamples, UsageError, download

        SMALL = Arm(options={"tcp.receive_buffer": 2_000})

        @pytest.mark.netbench(scenario=download(4 * MB))
        def test_more(netbench):
            both = netbench.compare(SMALL, "driver:tcp", pairs=4)
            ratio = both.ratio("goodput")
            assert ratio.ci.low < ratio.value < ratio.ci.high
            assert ratio.value > 1.5
            assert ratio.n == 4
            assert both.cand["goodput"].value > both.ref["goodput"].value
            with pytest.raises(UsageError, match="a test runs one scenario"):
                netbench.compare(SMALL, SMALL, download(1 * MB))

        @pytest.mark.netbench(scenario=download(1 * MB))
        async def test_async(netbench):
            both = await netbench.acompare("driver:tcp", "driver:tcp", pairs=1)
            with pytest.raises(TooFewSamples):
                both.ratio("goodput")
            with pytest.raises(UsageError, match="acompare"):
                netbench.compare("driver:tcp", "driver:tcp")
        """
    )
    project.runpytest_subprocess("test_cmp.py").assert_outcomes(passed=2)
    arms = [one["arm"] for one in results(project)["tests"][0]["rounds"]]
    assert sorted(arms) == ["cand"] * 4 + ["ref"] * 4


def test_a_link_that_the_provider_cant_have_skips(project: pytest.Pytester) -> None:
    """An arm's link is a requirement as the marker's is."""
    project.makepyfile(
        test_cmp="""
        import pytest
        from pytest_netbench import MB, Arm, Link, download

        @pytest.mark.netbench(scenario=download(1 * MB))
        def test_link(netbench):
            netbench.compare("driver:tcp", Arm(link=Link(rtt=0.05)), pairs=1)
        """
    )
    outcome = project.runpytest_subprocess("test_cmp.py", "-rs")
    outcome.assert_outcomes(skipped=1)
    outcome.stdout.fnmatch_lines(["*unsupported: arm cand (*): a loopback has no link*"])


def test_a_gated_test_that_is_run_again_is_told_what_it_came_to(project: pytest.Pytester) -> None:
    """As reruns of flaky tests do: no round is run a second time, the attempt is recorded."""
    project.makeconftest(PLAYED.replace("EFFECT", "0") + RERUNS)
    project.makepyfile(test_ping=f"{WIDE}\n\ndef test_last():\n    pass\n")
    project.runpytest_subprocess("test_ping.py", "--netbench-ab", "driver:tcp,driver:tcp").assert_outcomes(passed=3)
    first, second = results(project)["tests"]
    assert [one["started"] for one in first["rounds"]] == [one["started"] for one in second["rounds"]]
    assert second["verdict"]["comparison"]["attempt"] == 2


def test_arms_travel_under_xdist(project: pytest.Pytester) -> None:
    """The controller writes the verdicts that workers reached."""
    play(project)
    project.makepyfile(test_ping=WIDE)
    project.runpytest_subprocess("-n", "1", "test_ping.py", "--netbench-ab", "driver:tcp,driver:tcp").assert_outcomes(
        passed=1
    )
    (test,) = results(project)["tests"]
    assert test["verdict"]["metrics"]["client.cpu_per_op"]["state"] == "pass"


def test_a_test_by_hand_has_no_arms(project: pytest.Pytester) -> None:
    """Its rounds can't be interleaved by us: it runs as it does without."""
    project.makepyfile(
        test_hand="""
        import pytest
        from pytest_netbench import KB, NetbenchClient, NetbenchServer, download

        @pytest.mark.netbench(scenario=download(10 * KB))
        async def test_by_hand(netbench, server_coord, client_coord):
            await server_coord.run_till(NetbenchServer.RUNNING)
            await client_coord.run_till(NetbenchClient.DONE)
            await server_coord.run_till(NetbenchServer.DONE)
            assert (await netbench.collect(server_coord, client_coord)).valid
        """
    )
    project.runpytest_subprocess("test_hand.py", "--netbench-ab", "driver:tcp,driver:tcp").assert_outcomes(passed=1)


def test_a_missing_driver_skips_unless_an_arm_names_it(project: pytest.Pytester) -> None:
    """A gate that asks for a driver that isn't here must not pass as skipped."""
    (project.path / "netbench.toml").write_text('[drivers.gone]\nserver = "nb-gone"\nclient = "nb-gone"\n')
    project.makepyfile(test_ping=WIDE)
    own = project.runpytest_subprocess(
        "test_ping.py", "--netbench-driver", "gone", "--netbench-ab", "option:a=1,option:a=2"
    )
    assert "no option 'a'" in own.stdout.str()
    project.runpytest_subprocess("test_ping.py", "--netbench-driver", "gone").assert_outcomes(skipped=1)
    named = project.runpytest_subprocess("test_ping.py", "--netbench-ab", "driver:tcp,driver:gone")
    named.assert_outcomes(errors=1)
    named.stdout.fnmatch_lines(["*driver gone: no executable nb-gone*"])
