"""Does a confirmed regression come with its evidence? A real one: a function that was put into the built-in driver."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import pytest_netbench
from tests.plugin.conftest import results

SLOWER = """

def checksum(data, size):
    total = 0
    for _ in range(size >> 7):
        total += len(data)
    return total
"""
TEST = """
import pytest
from pytest_netbench import MB, Gate, download

@pytest.mark.netbench(
    scenario=download(50 * MB), drivers=["mine"], seed=3,
    gate={"client.cpu_per_byte": Gate(fail_above=0.1, must_detect=0.5)},
)
def test_download(netbench):
    netbench.run().no_regression()
"""


def build(folder: Path, injected: str = "") -> Path:
    """The built-in driver, as somebody's build of it; with ``injected``, every receive costs more."""
    package = Path(pytest_netbench.__file__).parent
    skipped = shutil.ignore_patterns("__pycache__", "assets", "report", "testing", "aws")
    shutil.copytree(package, folder / "lib" / "pytest_netbench", ignore=skipped)
    source = folder / "lib" / "pytest_netbench" / "drivers" / "builtin" / "duplex.py"
    if injected:
        text = source.read_text()
        called = text.replace("self.received += came\n", "self.received += came\n        checksum(LANDING, came)\n", 1)
        assert called != text
        source.write_text(called + injected)
    for role in ("server", "client"):
        program = folder / f"nb-{role}"
        main = folder / "lib" / "pytest_netbench" / "drivers" / "builtin" / "__main__.py"
        program.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S {main} tcp {role}\n")
        program.chmod(0o755)
    return folder


@pytest.mark.timeout(300)
def test_a_regression_comes_with_profiles_that_name_its_cause(project: pytest.Pytester) -> None:
    """Both arms' stacks are kept and linked, the page draws their difference, and the text says where they are."""
    good, bad = build(project.path / "good"), build(project.path / "bad", SLOWER)
    (project.path / "netbench.toml").write_text(
        f'[drivers.mine]\npath = "{good}"\nserver = ["nb-server"]\nclient = ["nb-client"]\noutput = "report"\n'
        'arming = "pipe"\nprofiles = true\n'
    )
    project.makepyfile(test_it=TEST)
    outcome = project.runpytest_subprocess(
        "test_it.py", "--netbench-length", "given", "--netbench-ab", f"path:{good},path:{bad}"
    )
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["*profiles of both arms: *netbench-results/report.html"])
    (test,) = results(project)["tests"]
    profiles = test["verdict"]["comparison"]["evidence"]["profiles"]
    assert {(one["arm"], one["role"]) for one in profiles} == {
        (a, r) for a in ("ref", "cand") for r in ("server", "client")
    }
    assert all((project.path / "netbench-results" / one["folder"] / "profile.folded").is_file() for one in profiles)
    assert not any("profile" in one["logs"] for one in test["rounds"])
    page = (project.path / "netbench-results" / "report.html").read_text()
    assert page.count('<svg class="flame"') == 2
    first = page.partition("where the client")[2].partition("<tbody>")[2].partition("</tr>")[0]
    assert "duplex.checksum" in first
    assert 'class="dim"' not in first
