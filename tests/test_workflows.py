"""Do the workflows of the documentation do what they say? Their steps are run, with stand-ins for what is outside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[1] / "docs" / "workflows"
NAMES = ("netbench.yml", "netbench-comment.yml")


def workflow(name: str) -> dict[Any, Any]:
    whole: dict[Any, Any] = yaml.safe_load((FOLDER / name).read_text())
    return whole


def steps(name: str) -> list[dict[str, Any]]:
    (job,) = workflow(name)["jobs"].values()
    found: list[dict[str, Any]] = job["steps"]
    return found


def program(folder: Path, name: str, text: str) -> None:
    """A stand-in on PATH."""
    place = folder / "bin" / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)


def run(folder: Path, name: str, step: str, **env: str) -> subprocess.CompletedProcess[str]:
    """One step as GitHub runs it: bash, ending at the first error."""
    (script,) = [one["run"] for one in steps(name) if one.get("name") == step]
    path = f"{folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {**os.environ, "PATH": path, "GITHUB_OUTPUT": str(folder / "output"), **env}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)


def test_one_workflow_reads_and_the_other_has_no_code() -> None:
    """The first may only read; the second may comment, and checks nothing out. The verdict is the last step."""
    first, second = workflow(NAMES[0]), workflow(NAMES[1])
    assert first["permissions"] == {"contents": "read"}
    assert second["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert True in first  # YAML reads `on` as true
    assert not any("checkout" in one.get("uses", "") for one in steps(NAMES[1]))
    assert [one.get("name", one.get("uses", "")).partition("@")[0] for one in steps(NAMES[0])][-2:] == [
        "actions/upload-artifact",
        "verdict",
    ]
    assert all(one["if"] == "always()" for one in steps(NAMES[0])[-2:])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_from_outside_becomes_part_of_a_script(name: str) -> None:
    """Values of the event come by the environment, never into the script's text."""
    assert all("${{" not in one.get("run", "") for one in steps(name))


@pytest.mark.parametrize("status", [0, 1, 2])
def test_results_are_uploaded_before_the_status_decides(tmp_path: Path, status: int) -> None:
    """The benchmarks' step ends well and keeps the status; the last step ends with it."""
    program(tmp_path, "netbench", f'echo "$@" > called; exit {status}')
    done = run(tmp_path, NAMES[0], "benchmarks", BASE="abc", NUMBER="7")
    assert done.returncode == 0
    assert (tmp_path / "called").read_text() == ("ab abc HEAD --budget 8m --junitxml netbench-results/junit.xml\n")
    assert (tmp_path / "output").read_text() == f"status={status}\n"
    assert (tmp_path / "netbench-results" / "pull-request").read_text() == "7\n"
    assert run(tmp_path, NAMES[0], "verdict", STATUS=str(status)).returncode == status


def test_without_a_status_the_verdict_is_a_failure(tmp_path: Path) -> None:
    """A step that was never reached is no pass."""
    assert run(tmp_path, NAMES[0], "verdict", STATUS="").returncode == 1


def test_the_command_that_the_workflow_gives_is_understood() -> None:
    """The real `netbench` takes it."""
    from pytest_netbench.cli.main import parser

    given = parser().parse_args(["ab", "abc", "HEAD", "--budget", "8m", "--junitxml", "x.xml"])
    assert (given.ref, given.cand) == ("abc", "HEAD")


def test_a_fork_leaves_out_what_needs_secrets_and_says_so(tmp_path: Path) -> None:
    """A notice with the reason, and no failure."""
    done = run(tmp_path, NAMES[0], "what needs secrets", ROLE="")
    assert (done.returncode, "left out" in done.stdout) == (0, True)


GH = """
echo "$@" >> calls
case "$*" in
  *pulls/7*) echo good ;;
  *PATCH*|*POST*) cp body.md posted.md ;;
  *comments*) cat existing ;;
esac
"""


def commented(folder: Path, number: str = "7", existing: str = "", commit: str = "good") -> tuple[int, str, str]:
    """The comment's step with a stand-in for `gh`: its status, what it said, and its last call."""
    program(folder, "gh", GH)
    (folder / "results").mkdir()
    (folder / "results" / "pull-request").write_text(f"{number}\n")
    (folder / "results" / "summary.md").write_text("### netbench: 1 failed\n" + "x" * 100_000)
    (folder / "existing").write_text(existing)
    done = run(folder, NAMES[1], "comment", REPOSITORY="o/r", COMMIT=commit, GH_TOKEN="")
    calls = (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else [""]
    return done.returncode, done.stdout, calls[-1]


def test_the_first_comment_is_made_and_fits(tmp_path: Path) -> None:
    """Marked as ours, below the size that a comment may have."""
    status, _, last = commented(tmp_path)
    assert (status, last.split()[:4]) == (0, ["api", "--silent", "--method", "POST"])
    assert (tmp_path / "posted.md").read_text().startswith("<!-- netbench -->\n### netbench")
    assert (tmp_path / "posted.md").stat().st_size < 65_536


def test_the_next_one_replaces_it(tmp_path: Path) -> None:
    """One comment stays one."""
    assert "PATCH repos/o/r/issues/comments/41" in commented(tmp_path, existing="41\n42\n")[2]


@pytest.mark.parametrize("number", ["", "7; rm -rf /", "7/../8", "$(id)"])
def test_what_names_no_pull_request_is_refused(tmp_path: Path, number: str) -> None:
    """What was uploaded comes from the pull request's own code."""
    status, said, last = commented(tmp_path, number)
    assert (status, "names no pull request" in said, last) == (1, True, "")


def test_a_pull_request_that_moved_on_gets_no_comment(tmp_path: Path) -> None:
    """Nor does one that the upload names though it ran for another commit."""
    status, said, last = commented(tmp_path, commit="other")
    assert (status, "another commit" in said, "pulls/7" in last) == (0, True, True)
