"""Do stored baselines, acceptances and CI's reports work in real pytest runs, whose rounds are played?"""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from pytest_netbench.cli.ab import add_parser, arguments
from tests.plugin.conftest import play, results

GATED = """
import pytest
from pytest_netbench import KB, Gate, ms, ping

@pytest.mark.netbench(scenario=ping(time=50 * ms, size=[1 * KB]), length="given", gate={"ping_1KB.p50": Gate()})
def test_ping(netbench):
    netbench.run().no_regression()
"""


def stored(project: pytest.Pytester, *options: str) -> Any:
    play(project)
    project.makepyfile(test_ping=GATED)
    outcome = project.runpytest_subprocess("test_ping.py", "--netbench-save", "main", *options)
    outcome.assert_outcomes(passed=1)
    outcome.stdout.fnmatch_lines(["baseline main: 1 test stored in *.netbench/baselines/main.json"])
    return json.loads((project.path / ".netbench" / "baselines" / "main.json").read_text())


def edit(project: pytest.Pytester, change: Any) -> None:
    """Change the stored baseline as if another session had written it."""
    path = project.path / ".netbench" / "baselines" / "main.json"
    whole = json.loads(path.read_text())
    change(whole)
    path.write_text(json.dumps(whole))


def faster(factor: float) -> Any:
    def change(whole: Any) -> None:
        for entry in whole["tests"].values():
            entry["metrics"]["ping_1KB.p50"]["median"] *= factor

    return change


def test_a_baseline_is_stored_and_held_against(project: pytest.Pytester) -> None:
    """The second run is judged by the first; storing anew needs a reason, which is kept."""
    whole = stored(project)
    (entry,) = whole["tests"].values()
    assert entry["metrics"]["ping_1KB.p50"]["fail_above"] == 0.01
    edit(project, faster(3))
    project.runpytest_subprocess("test_ping.py", "--netbench-baseline", "main").assert_outcomes(passed=1)
    found = results(project)["tests"][0]["verdict"]["metrics"]["ping_1KB.p50"]
    assert found["against"] == "baseline main"
    assert found["state"] in {"pass", "improved"}
    outcome = project.runpytest_subprocess("test_ping.py", "--netbench-save", "main")
    assert outcome.ret == pytest.ExitCode.USAGE_ERROR
    outcome.stderr.fnmatch_lines(["*say why it is stored anew with --netbench-reason TEXT*"])
    project.runpytest_subprocess("test_ping.py", "--netbench-save", "main", "--netbench-reason", "new CPU")
    again = json.loads((project.path / ".netbench" / "baselines" / "main.json").read_text())
    assert next(iter(again["tests"].values()))["reason"] == "new CPU"


def test_a_tripped_wire_fails_or_is_open_and_offers_the_strong_way(project: pytest.Pytester) -> None:
    """Numbers a fifth of these are far beyond 15 %."""
    stored(project)
    edit(project, faster(0.02))
    outcome = project.runpytest_subprocess("test_ping.py", "--netbench-baseline", "main", "--netbench-rounds", "6")
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(
        ["*ping_1KB.p50 got * as costly as baseline main *tripwire only*netbench ab REF CAND*"]
    )


def test_an_acceptance_lets_pass_and_a_stale_one_is_said(project: pytest.Pytester) -> None:
    """Echoed in terminal, summary and results."""
    stored(project)
    edit(project, faster(0.02))
    accept = ("--netbench-accept", "test_ping ping_1KB.p50 <=100000% a new cipher", "--netbench-rounds", "6")
    outcome = project.runpytest_subprocess("test_ping.py", "--netbench-baseline", "main", *accept)
    outcome.assert_outcomes(passed=1)
    outcome.stdout.fnmatch_lines(["*ping_1KB.p50: pass, *accepted up to *: a new cipher"])
    assert "a new cipher" in (project.path / "netbench-results" / "summary.md").read_text()
    edit(project, faster(500))
    outcome = project.runpytest_subprocess("test_ping.py", "--netbench-baseline", "main", *accept)
    outcome.stdout.fnmatch_lines(["stale: nothing needed to be accepted by `test_ping ping_1KB.p50 *`"])


def test_arms_that_are_also_held_against_stored_numbers_run_rounds_of_that_length(project: pytest.Pytester) -> None:
    """A round that is twice as long has other numbers; both verdicts stand beside each other."""
    stored(project)
    project.makepyfile(test_ping=GATED.replace('length="given", ', ""))
    options = ("--netbench-ab", "as-is,as-is", "--netbench-baseline", "main")
    project.runpytest_subprocess("test_ping.py", *options).assert_outcomes(passed=1)
    found = results(project)["tests"][0]["verdict"]
    assert found["comparison"]["length"] == "rounds are as the scenario says: stored numbers are of such"
    assert {"ping_1KB.p50", "ping_1KB.p50 (against main)"} <= set(found["metrics"])


def test_a_baseline_that_cant_be_written_takes_no_results_with_it(project: pytest.Pytester) -> None:
    """What was measured stands in the result folder; the run doesn't end well."""
    play(project)
    project.makepyfile(test_ping=GATED)
    (project.path / ".netbench").write_text("in the way")
    outcome = project.runpytest_subprocess("test_ping.py", "--netbench-save", "main")
    assert outcome.ret == pytest.ExitCode.INTERNAL_ERROR
    outcome.stdout.fnmatch_lines(["netbench: can't write *.netbench/baselines/main.json: *"])
    assert results(project)["tests"][0]["rounds"]


def test_arms_whose_numbers_are_stored_run_rounds_of_that_length(project: pytest.Pytester) -> None:
    """Else a later session would be held against numbers of longer rounds; the file has the arms' command."""
    play(project)
    project.makepyfile(test_ping=GATED.replace('length="given", ', ""))
    options = ("--netbench-ab", "as-is,as-is", "--netbench-save", "main")
    project.runpytest_subprocess("test_ping.py", *options).assert_outcomes(passed=1)
    assert results(project)["tests"][0]["verdict"]["comparison"]["scale"] == 1
    whole = json.loads((project.path / ".netbench" / "baselines" / "main.json").read_text())
    (entry,) = whole["tests"].values()
    assert (
        entry["ref"]["cmd"] == "pytest 'test_ping.py::test_ping[tcp]' --netbench-ab=as-is,as-is --netbench-length=given"
    )
    assert entry["metrics"]["ping_1KB.p50"]["n_req"] > 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--netbench-baseline", "absent"), "*no baseline 'absent'*known: none; --netbench-save absent makes one*"),
        (("--netbench-accept", "nonsense"), "*expected `TEST METRIC <=8% REASON`*"),
        (("--netbench-save", "a/b"), "*a baseline's name has letters*"),
    ],
)
def test_what_cant_be_used_is_an_error_before_anything_runs(
    project: pytest.Pytester, options: tuple[str, str], words: str
) -> None:
    """One line, status 4."""
    outcome = project.runpytest_subprocess("test_ping.py", *options)
    assert outcome.ret == pytest.ExitCode.USAGE_ERROR
    outcome.stderr.fnmatch_lines([words])


def test_what_ci_reads(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """JUnit has one failure and the numbers; annotations stand at the assertion; the step has its summary."""
    stored(project)
    edit(project, faster(0.02))
    summary = project.path / "step.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    options = ("--netbench-baseline", "main", "--netbench-rounds", "6", "--junitxml", "junit.xml")
    outcome = project.runpytest_subprocess("test_ping.py", *options)
    assert outcome.ret == pytest.ExitCode.TESTS_FAILED
    outcome.stdout.fnmatch_lines(["::error file=test_ping.py,line=6,title=test_ping.py%3A%3Atest_ping?tcp?%3A fail::*"])
    assert "| **fail** |" in summary.read_text()
    case = next(ET.parse(project.path / "junit.xml").iter("testcase"))
    assert len(case.findall("failure")) == 1
    names = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert names["netbench.ping_1KB.p50.verdict"] == "fail"
    assert float(names["netbench.ping_1KB.p50.effect"] or 0) > 1


def test_the_subcommand_is_pytest_with_two_arms(project: pytest.Pytester) -> None:
    """Only benchmarks are run; the options of ours go on, and pytest's status comes back."""
    import argparse

    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    given = parser.parse_args(["ab", "a", "driver:b", "x.py", "-m", "ping", "--driver", "tcp", "--budget", "8m"])
    assert list(arguments(given)) == [
        "-m",
        "netbench and (ping)",
        "--netbench-ab=a,driver:b",
        "--netbench-driver=tcp",
        "--netbench-budget=8m",
        "x.py",
    ]
    project.makepyfile(test_other="def test_other():\n    raise SystemExit('not a benchmark')")
    program = [sys.executable, "-m", "pytest_netbench.cli.main", "ab", "driver:tcp", "driver:tcp", "test_other.py"]
    done = subprocess.run(program, capture_output=True, text=True, cwd=project.path, check=False)
    assert (done.returncode, "no benchmark here" in done.stderr) == (5, True)


def test_a_calibration_says_what_the_gate_sees_here(project: pytest.Pytester) -> None:
    """Two sessions of equal arms, stored beside the configuration, and heeded by the next run."""
    play(project)
    project.makepyfile(test_ping=GATED.replace("Gate()", "Gate(0.9, 0.99)"))
    program = [sys.executable, "-m", "pytest_netbench.cli.main", "calibrate", "test_ping.py", "--sessions", "2"]
    done = subprocess.run(program, capture_output=True, text=True, cwd=project.path, check=False)
    assert done.returncode == 0, done.stderr
    assert " % with 40 pairs, " in done.stdout
    assert "of 2 live runs and 0 of 400 drawn ones were false alarms" in done.stdout
    stored_there = json.loads((project.path / ".netbench" / "calibration.json").read_text())
    (metrics,) = stored_there["tests"].values()
    assert [len(one) for one in metrics["ping_1KB.p50"]["sessions"]] == [8, 8]
    (project.path / ".netbench" / "calibration.json").write_text("{")
    outcome = project.runpytest_subprocess("test_ping.py", "--netbench-ab", "as-is,as-is")
    outcome.assert_outcomes(errors=1)
    outcome.stdout.fnmatch_lines(["*calibration *calibration.json isn't JSON*"])
