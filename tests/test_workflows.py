"""Do the workflows of the documentation do what they say? Their steps are run, with stand-ins for what is outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
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
    assert second["permissions"] == {}
    assert second["jobs"]["comment"]["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert True in first  # YAML reads `on` as true
    assert [one for one in steps(NAMES[1]) if "uses" in one] == []
    assert [one.get("name", one.get("uses", "")).partition("@")[0] for one in steps(NAMES[0])][-3:] == [
        *["actions/upload-artifact"] * 2,
        "verdict",
    ]
    assert all(one["if"] == "always()" for one in steps(NAMES[0])[-3:])


def test_actions_of_others_are_pinned() -> None:
    """To a commit: a tag could be moved to another one's code."""
    used = [one["uses"] for name in NAMES for one in steps(name) if "uses" in one]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", one) for one in used)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_from_outside_becomes_part_of_a_script(name: str) -> None:
    """Values of the event come by the environment, never into the script's text."""
    assert all("${{" not in one.get("run", "") for one in steps(name))


@pytest.mark.parametrize("status", [0, 1, 2])
def test_results_are_uploaded_before_the_status_decides(tmp_path: Path, status: int) -> None:
    """The benchmarks' step ends well and keeps the status; the last step ends with it."""
    program(tmp_path, "netbench", f'echo "$@" > called; exit {status}')
    done = run(tmp_path, NAMES[0], "benchmarks")
    assert done.returncode == 0
    assert (tmp_path / "called").read_text() == ("ab HEAD^1 HEAD --budget 8m --junitxml netbench-results/junit.xml\n")
    assert (tmp_path / "output").read_text() == f"status={status}\n"
    assert run(tmp_path, NAMES[0], "verdict", STATUS=str(status)).returncode == status


def test_without_a_status_the_verdict_is_a_failure(tmp_path: Path) -> None:
    """A step that was never reached is no pass."""
    assert run(tmp_path, NAMES[0], "verdict", STATUS="").returncode == 1


def test_the_command_that_the_workflow_gives_is_understood() -> None:
    """The real `netbench` takes it."""
    from pytest_netbench.cli.main import parser

    given = parser().parse_args(["ab", "HEAD^1", "HEAD", "--budget", "8m", "--junitxml", "x.xml"])
    assert (given.ref, given.cand) == ("HEAD^1", "HEAD")


def test_a_fork_leaves_out_what_needs_secrets_and_says_so(tmp_path: Path) -> None:
    """A notice with the reason, and no failure."""
    done = run(tmp_path, NAMES[0], "what needs secrets", ROLE="")
    assert (done.returncode, "left out" in done.stdout) == (0, True)


GH = """
echo "$@" >> calls
case "$*" in
  *"/pulls -f state=open"*) cat pulls ;;
  *actions/runs/*) cat artifacts ;;
  */zip) cat archive ;;
  *PATCH*|*POST*) cp body.md posted.md ;;
  *comments*) cat existing ;;
esac
"""
SUMMARY = "### netbench: 1 failed\n"


def commented(
    folder: Path, summary: str | None = SUMMARY, *, pulls: str = "7\n", artifacts: str = "99\n", existing: str = ""
) -> tuple[int, str, str]:
    """The comment's step with a stand-in for `gh`: its status, what it said, and its last call."""
    program(folder, "gh", GH)
    with zipfile.ZipFile(folder / "archive", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil", "x")
        archive.writestr("$(touch evil).md", "x")
        if summary is not None:
            archive.writestr("summary.md", summary)
    for name, text in (("pulls", pulls), ("artifacts", artifacts), ("existing", existing)):
        (folder / name).write_text(text)
    done = run(folder, NAMES[1], "comment", REPOSITORY="o/r", COMMIT="c0ffee", RUN="5", HEAD="them:x; id", GH_TOKEN="")
    assert not list(folder.parent.rglob("evil"))
    return done.returncode, done.stdout, (folder / "calls").read_text().splitlines()[-1]


def test_the_first_comment_is_made(tmp_path: Path) -> None:
    """Marked as ours, on the pull request that GitHub says is at the commit that was run."""
    status, _, last = commented(tmp_path)
    assert (status, last.split()[:4]) == (0, ["api", "--silent", "--method", "POST"])
    assert "repos/o/r/issues/7/comments" in last
    assert (tmp_path / "posted.md").read_text() == f"<!-- netbench -->\n{SUMMARY}"
    first = (tmp_path / "calls").read_text().splitlines()[0]
    assert "-f head=them:x; id" in first
    assert '.head.sha == "c0ffee"' in first


def test_the_next_one_replaces_it(tmp_path: Path) -> None:
    """One comment stays one."""
    assert "PATCH repos/o/r/issues/comments/41" in commented(tmp_path, existing="41\n42\n")[2]


@pytest.mark.parametrize(("pulls", "artifacts"), [("", "99\n"), ("7\n", "")])
def test_without_pull_request_or_summary_there_is_no_comment(tmp_path: Path, pulls: str, artifacts: str) -> None:
    """It moved on, was closed, or nothing was uploaded (or too much): no failure, and the reason."""
    status, said, last = commented(tmp_path, pulls=pulls, artifacts=artifacts)
    assert (status, "no comment" in said, "POST" in last) == (0, True, False)


@pytest.mark.parametrize("summary", ["x" * 10_000_000, "@" * 100_000, "\N{BLACK STAR}" * 60_000])
def test_whatever_was_uploaded_fits(tmp_path: Path, summary: str) -> None:
    """A small archive may hold much: no more of it is read than a comment takes."""
    assert commented(tmp_path, summary)[0] == 0
    posted = (tmp_path / "posted.md").read_bytes()
    assert posted.startswith(b"<!-- netbench -->\n")
    assert len(posted.decode(errors="replace")) < 65_536


def test_what_was_uploaded_calls_nobody_and_hides_nothing(tmp_path: Path) -> None:
    """It comes from the pull request's own code, and is posted in this repository's name."""
    commented(tmp_path, "@everyone <!-- netbench --> $(id) `id` \\@team")
    text = (tmp_path / "posted.md").read_text()
    assert "@e" not in text
    assert "@t" not in text
    assert text.count("<!--") == 1
    assert "$(id) `id`" in text


def test_an_archive_without_a_summary_makes_an_empty_comment(tmp_path: Path) -> None:
    """Of ours, and nothing of theirs."""
    assert commented(tmp_path, None)[0] == 0
    assert (tmp_path / "posted.md").read_text() == "<!-- netbench -->\n"
