"""Are two git refs built, run against each other, and judged, with what their commits accept?"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.conftest import play, results
from tests.test_own_driver import example

TEST = """
    import pytest
    from pytest_netbench import KB, Gate, arms, request_response

    @pytest.mark.netbench(
        scenario=request_response(response=20 * KB), length="given", drivers=["mine"],
        gate={"response.p50": Gate(0.5, 0.9)}, AB
    )
    def test_response(netbench):
        netbench.run().no_regression()
"""
SLOWER = ("            run(sock, number, given", "            time.sleep(0.05)\n            run(sock, number, given")


def git(folder: Path, *arguments: str) -> None:
    named = ["-c", "user.name=x", "-c", "user.email=x@localhost"]
    subprocess.run(["git", *named, *arguments], check=True, cwd=folder)


@pytest.fixture
def repository(project: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose working tree has a slower driver than its only commit."""
    home = project.path
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    driver = home / "driver.py"
    driver.write_text(f"#!{sys.executable}\n{example()}")
    (home / "netbench.toml").write_text(
        '[drivers.mine]\nbuild = "install -m 755 driver.py $OUT/mine"\ntoolchain = ["true"]\ntransport = "tcp"\n'
        'server = "$OUT/mine"\nclient = "$OUT/mine"\n'
    )
    git(home, "init", "--quiet", "--initial-branch=main")
    git(home, "add", "driver.py", "netbench.toml")
    git(home, "commit", "--quiet", "-m", "fast")
    assert SLOWER[0] in driver.read_text()
    driver.write_text(driver.read_text().replace(*SLOWER))
    return home


def test_a_stale_acceptance_is_said_under_xdist(project: pytest.Pytester, repository: Path) -> None:
    """Also where the arms, and with them the commits that may accept, stand in the marker alone."""
    play(project)
    accept = "Netbench-Accept: test_response response.p50 <=9% nothing"
    git(repository, "branch", "base")
    git(repository, "commit", "--quiet", "-am", f"slow\n\n{accept}")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "later")
    project.makepyfile(test_it=TEST.replace("AB", 'ab=arms("mine", ref="base", cand="HEAD")'))
    outcome = project.runpytest_subprocess("-n", "1", "test_it.py")
    outcome.assert_outcomes(passed=1)
    outcome.stdout.fnmatch_lines(["stale: nothing needed to be accepted by `test_response response.p50 <=9% nothing`*"])


@pytest.mark.timeout(300)
def test_the_working_tree_is_slower_than_the_commit_that_it_stands_on(
    project: pytest.Pytester, repository: Path
) -> None:
    """Each ref is built once, at a path of its own; the failure names both; the commit in between may accept it."""
    project.makepyfile(test_it=TEST.replace("AB", 'ab=arms("mine", ref="merge-base", cand="worktree")'))
    outcome = project.runpytest_subprocess("test_it.py")
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["*response.p50 got * in mine worktree * in mine merge-base (95 % interval *"])
    found = results(project)["tests"][0]
    assert (found["verdict"]["state"], found["driver"]) == ("fail", "mine")
    assert len({one["arm"] for one in found["rounds"]}) == 2
    git(repository, "branch", "base")
    git(
        repository,
        "commit",
        "--quiet",
        "-am",
        "slow\n\nNetbench-Accept: test_response response.p50 <=99999% it sleeps now",
    )
    play(project, effect=1.0)
    project.makepyfile(test_it=TEST.replace(", AB", ""))
    outcome = project.runpytest_subprocess("test_it.py", "--netbench-ab", "base,HEAD")
    outcome.assert_outcomes(passed=1)
    outcome.stdout.fnmatch_lines(["*response.p50: pass, *; accepted up to *: it sleeps now"])


@pytest.mark.timeout(300)
def test_what_a_tripped_baseline_offers_decides(project: pytest.Pytester, repository: Path) -> None:
    """The file has commit, programs and command; the failure's own command builds that commit, and fails by pairs."""
    driver, slow = repository / "driver.py", (repository / "driver.py").read_text()
    git(repository, "checkout", "--quiet", "driver.py")
    project.makepyfile(test_it=TEST.replace(", AB", ""))
    project.runpytest_subprocess("test_it.py", "--netbench-save", "main", "--netbench-rounds", "6")
    stored = json.loads((repository / ".netbench" / "baselines" / "main.json").read_text())
    (ref,) = (one["ref"] for one in stored["tests"].values())
    fast = hashlib.sha256(driver.read_bytes()).hexdigest()
    assert ref == {
        "git_sha": subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=repository, text=True).strip(),
        "clean": True,
        "artifact_sha256": {"server: mine/mine": fast, "client: mine/mine": fast},
        "cmd": "pytest 'test_it.py::test_response[mine]' --netbench-rounds=6",
    }
    driver.write_text(slow)
    outcome = project.runpytest_subprocess("test_it.py", "--netbench-baseline", "main", "--netbench-rounds", "6")
    outcome.assert_outcomes(failed=1)
    offered = re.search(r"stored numbers are a tripwire only: `pytest ([^`]+)`", outcome.stdout.str())
    assert offered is not None
    outcome = project.runpytest_subprocess(*shlex.split(offered[1]))
    outcome.assert_outcomes(failed=1)
    commit = ref["git_sha"][:12]
    outcome.stdout.fnmatch_lines([f"*response.p50 got * in the test as it is * in {commit} (95 % interval *pairs): *"])
    compared = results(project)["tests"][0]["verdict"]["comparison"]
    assert (compared["ref_commit"], compared["cand_commit"]) == (ref["git_sha"], "")


def test_a_ref_that_doesnt_build_is_the_tests_error(project: pytest.Pytester, repository: Path) -> None:
    """In the build's own words; a ref that git doesn't know names it."""
    (repository / "driver.py").unlink()
    project.makepyfile(test_it=TEST.replace(", AB", ""))
    outcome = project.runpytest_subprocess("test_it.py", "--netbench-ab", "HEAD,worktree")
    outcome.assert_outcomes(errors=1)
    outcome.stdout.fnmatch_lines(["the build of mine at worktree * exited with status 1: install*"])
    outcome = project.runpytest_subprocess("test_it.py", "--netbench-ab", "HEAD,absent")
    outcome.assert_outcomes(errors=1)
    outcome.stdout.fnmatch_lines(["* has no commit 'absent'*"])


@pytest.mark.timeout(300)
def test_drivers_that_nobody_builds_are_skipped_beside_those_that_differ(
    project: pytest.Pytester, repository: Path
) -> None:
    """Two git refs say nothing of the built-in driver; alone it is an error, since nothing would be compared."""
    play(project)
    project.makepyfile(test_it=TEST.replace('drivers=["mine"]', 'drivers=["tcp", "mine"]').replace(", AB", ""))
    outcome = project.runpytest_subprocess("test_it.py", "--netbench-ab=HEAD,HEAD", "-rs")
    outcome.assert_outcomes(passed=1, skipped=1)
    outcome.stdout.fnmatch_lines(["*unsupported: driver tcp can't be built from 'HEAD'*"])
    alone = project.runpytest_subprocess("test_it.py", "-k", "tcp", "--netbench-ab", "HEAD,HEAD")
    alone.assert_outcomes(errors=1)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("line", "words"), [("", "the same, byte for byte"), ("; date +#%N >> $OUT/mine", "they differ by ")]
)
def test_a_calibration_builds_the_same_commit_again(
    project: pytest.Pytester, repository: Path, line: str, words: str
) -> None:
    """From nothing, and says whether that made another program; if not, one session with it is enough."""
    play(project)
    toml = (repository / "netbench.toml").read_text()
    (repository / "netbench.toml").write_text(toml.replace('$OUT/mine"', f'$OUT/mine{line}"', 1))
    project.makepyfile(test_it=TEST.replace(", AB", ""))
    program = [sys.executable, "-m", "pytest_netbench.cli.main", "calibrate", "test_it.py", "--sessions", "1"]
    done = subprocess.run([*program, "--builds", "1"], capture_output=True, text=True, cwd=repository, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"1 other build of the same commit: {words}" in done.stdout
    assert done.stdout.count("1 passed") == (4 if line else 2)
    (metrics,) = json.loads((repository / ".netbench" / "calibration.json").read_text())["tests"].values()
    assert [len(build) for build in metrics["response.p50"]["builds"]] == ([24] if line else [0])
