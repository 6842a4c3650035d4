"""Is a driver that a repository builds built before its test, and is a build that fails the test's error?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_own_driver import example

TEST = """
    import pytest
    from pytest_netbench import KB, download

    @pytest.mark.netbench(scenario=download(20 * KB), drivers=["mine"], rounds=1)
    def test_it(netbench):
        assert netbench.run().valid
"""


@pytest.fixture
def repository(pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the driver of the page, which a copy builds."""
    home = pytester.path
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (home / "driver.py").write_text(f"#!{sys.executable}\n{example()}")
    (home / "netbench.toml").write_text(
        '[drivers.mine]\nbuild = "install -m 755 driver.py $OUT/mine"\ntoolchain = ["true"]\ntransport = "tcp"\n'
        'server = "$OUT/mine"\nclient = "$OUT/mine"\n'
    )
    subprocess.run(["git", "init", "--quiet"], check=True, cwd=home)
    return home


def test_it_is_built_from_the_working_tree(pytester: pytest.Pytester, repository: Path) -> None:
    """Nothing need be committed, and $OUT is where its products are. Whoever waits is told."""
    path = pytester.makepyfile(TEST)
    outcome = pytester.runpytest_subprocess(path)
    outcome.assert_outcomes(passed=1)
    outcome.stdout.fnmatch_lines(["netbench: the build of mine at worktree *: install * (prints into *.log)"])


def test_hosts_elsewhere_do_not_have_it(pytester: pytest.Pytester, repository: Path) -> None:
    """What is built here is on this machine: with another's hosts the test is skipped, and nothing is built."""
    pytester.makeconftest("from pytest_netbench.hosts.local import LocalProvider\nLocalProvider.shares_machine = False")
    outcome = pytester.runpytest_subprocess(pytester.makepyfile(TEST), "-rs")
    outcome.assert_outcomes(skipped=1)
    outcome.stdout.fnmatch_lines(["*driver mine is built on this machine, and $OUT isn't on the hosts*"])


def test_a_build_that_fails_is_the_tests_error(pytester: pytest.Pytester, repository: Path) -> None:
    """In the build's own words, and no traceback of ours."""
    (repository / "driver.py").unlink()
    outcome = pytester.runpytest_subprocess(pytester.makepyfile(TEST))
    outcome.assert_outcomes(errors=1)
    outcome.stdout.fnmatch_lines(["the build of mine at worktree * exited with status 1: install*", "*driver.py*"])
    outcome.stdout.no_fnmatch_line("*build.py:*BuildError*")
