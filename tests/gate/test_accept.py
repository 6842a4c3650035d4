"""Is an intended regression let pass where it should, and said?"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_netbench.errors import UsageError
from pytest_netbench.gate.accept import acceptance, accepted, stale, trailers
from pytest_netbench.result.model import MetricVerdict, Verdict

NODE = "benches/test_x.py::test_ping[tcp]"
CPU = "server.cpu_per_byte"


def failed(effect: float = 0.06) -> dict[str, MetricVerdict]:
    return {CPU: MetricVerdict(Verdict.FAIL, "old", True, 0.01, 0.05, effect=effect, reason="confirmed")}


@pytest.mark.parametrize("test", [NODE, "test_ping[tcp]", "test_ping", "*test_ping*", "test_p*"])
def test_a_failure_within_what_is_accepted_passes_and_is_echoed(test: str) -> None:
    """By the whole id, the name with or without its parameter, or a pattern."""
    one = acceptance(f"{test} {CPU} <=8% checksums are on now")
    found = accepted(NODE, failed(), [one])[CPU]
    assert found.state is Verdict.PASS
    assert found.reason == "accepted up to 8 %: checksums are on now"
    assert stale([one], {NODE: {CPU: found}}) == ()


@pytest.mark.parametrize("text", [f"test_other {CPU} <=8% x", "test_ping goodput <=8% x", f"test_pin {CPU} <=8% x"])
def test_what_speaks_of_something_else_accepts_nothing(text: str) -> None:
    """Another test or metric still fails."""
    assert accepted(NODE, failed(), [acceptance(text)])[CPU].state is Verdict.FAIL


def test_more_than_is_accepted_fails_and_says_so() -> None:
    """9 % isn't 8 %."""
    found = accepted(NODE, failed(0.09), [acceptance(f"test_ping {CPU} <=8% x")])[CPU]
    assert (found.state, "more than the 8 % that are accepted" in found.reason) == (Verdict.FAIL, True)


def test_an_acceptance_that_nothing_needed_is_stale() -> None:
    """It is said of tests that were judged, not of those that weren't run."""
    one, other = acceptance(f"test_ping {CPU} <=8% x"), acceptance(f"test_other {CPU} <=8% x")
    passed = {CPU: MetricVerdict(Verdict.PASS, "old", True, 0.01, 0.05)}
    assert stale([one, other], {NODE: passed}) == (one,)


@pytest.mark.parametrize(
    "text", ["", "test_ping", f"test_ping {CPU} 8% x", f"test_ping {CPU} <=8 x", f"test_ping {CPU} <=8%"]
)
def test_a_malformed_acceptance_is_refused(text: str) -> None:
    """Without a bound, a unit or a reason nothing is accepted."""
    with pytest.raises(UsageError, match="TEST METRIC <=8% REASON"):
        acceptance(text)


def test_trailers_of_the_commits_that_are_compared(tmp_path: Path) -> None:
    """A range has those of all its commits, a single one its own; without git there are none."""
    assert trailers(tmp_path, "HEAD") == ()
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@localhost"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    for message in ("one", f"two\n\nNetbench-Accept: test_ping {CPU} <=8% checksums\n", "three"):
        subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", message], check=True)
    assert trailers(tmp_path, "HEAD") == ()
    (found,) = trailers(tmp_path, "HEAD~2..HEAD")
    assert (found.test, found.metric, found.most, found.reason) == ("test_ping", CPU, 0.08, "checksums")
