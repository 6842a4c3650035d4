"""Does the command that repeats a test have what matters, and hold on other machines?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.plugin.conftest import play, results

GIVEN = """
import pytest
from pytest_netbench import KB, ms, ping

@pytest.mark.netbench(scenario=ping(time=50 * ms, size=[1 * KB]), rounds=1)
@pytest.mark.parametrize("text", ["a b"])
def test_ping(netbench, text):
    netbench.run()
"""


def command(project: pytest.Pytester, *options: str) -> str:
    play(project)
    project.makepyfile(test_ping=GIVEN)
    project.runpytest_subprocess("test_ping.py", *options).assert_outcomes(passed=1)
    found: Any = results(project)["tests"][0]["command"]
    return str(found)


def test_it_has_what_the_numbers_depend_on(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """From command line and environment; not where results go, nor what verdicts do."""
    monkeypatch.setenv("NETBENCH_LENGTH", "given")
    monkeypatch.setenv("NETBENCH_WARMUP", "1")
    monkeypatch.setenv("NETBENCH_AWS_EMULATE", "0")
    found = command(project, "--netbench-rounds", "2", "--netbench-gate=strict", "--netbench-out=netbench-results")
    assert found == (
        "NETBENCH_WARMUP=1 pytest 'test_ping.py::test_ping[tcp-a b]' --netbench-rounds=2 --netbench-length=given"
    )


def test_its_paths_count_from_where_pytests_configuration_stands(project: pytest.Pytester) -> None:
    """No absolute one, also where one was given."""
    config = project.path / "other.toml"
    config.write_text("")
    assert command(project, f"--netbench-config={config}").endswith(" --netbench-config=other.toml")


def test_an_arms_path_does_too(project: pytest.Pytester, tmp_path: Path) -> None:
    """Beside arms of other kinds, which stay as they are."""
    (tmp_path / "programs").mkdir()
    section = f'[drivers.mine]\nserver = "nb-server"\nclient = "nb-client"\npath = "{tmp_path}/programs"\n'
    (project.path / "netbench.toml").write_text(section)
    for role in ("server", "client"):
        (tmp_path / "programs" / f"nb-{role}").write_text("#!/bin/sh\n")
        (tmp_path / "programs" / f"nb-{role}").chmod(0o755)
    arms = f"driver:mine,path:{tmp_path}/programs"
    found = command(project, "--netbench-driver=mine", f"--netbench-ab={arms}")
    assert "--netbench-ab=driver:mine,path:.." in found
    assert str(tmp_path) not in found
