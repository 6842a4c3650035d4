"""Which regressions are intended? ``Netbench-Accept: TEST METRIC <=8% REASON``, in a commit or as an option."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_netbench.drivers.repository import WORKTREE, Repository
from pytest_netbench.errors import NetbenchError, UsageError
from pytest_netbench.gate.arms import Arms
from pytest_netbench.gate.baseline_file import git
from pytest_netbench.gate.words import percent
from pytest_netbench.result.model import MetricVerdict, Verdict

TRAILER = "Netbench-Accept"
_FORM = re.compile(r"(\S+)\s+(\S+)\s+<=\s*(\d+(?:\.\d+)?)\s*%\s+(\S.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A regression of one metric that is let pass up to a share, for a reason.

    ``test``: a test's id, its part after ``::``, or a pattern with ``*``; ``text``: as it was written.
    """

    test: str
    metric: str
    most: float
    reason: str
    text: str

    def covers(self, nodeid: str, metric: str) -> bool:
        """Whether it speaks of this metric of this test."""
        name = nodeid.rpartition("::")[2]
        pattern = self.test.replace("[", "[[]")  # brackets are a parameter's, not a pattern's
        tests = (nodeid, name, name.partition("[")[0])
        return metric == self.metric and any(fnmatchcase(one, pattern) for one in tests)


def acceptance(text: str) -> Acceptance:
    """An acceptance from its text.

    :raises UsageError: if it is malformed; says what was expected.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"expected `TEST METRIC <=8% REASON` as what is accepted, found {text!r}")
    return Acceptance(match[1], match[2], float(match[3]) / 100, " ".join(match[4].split()), " ".join(text.split()))


def compared_commits(arms: Arms | None, folder: Path) -> str:
    """The commits between two arms that are built, as a range of git's; else the one that is checked out."""
    if arms is None or arms.ref.build is None or arms.cand.build is None:
        return "HEAD"
    try:
        repository = Repository.at(folder)
        last = "HEAD" if arms.cand.build == WORKTREE else repository.source(arms.cand.build).commit
        return f"{repository.source(arms.ref.build).commit}..{last}"
    except NetbenchError:  # said where they are built
        return "HEAD"


def trailers(folder: Path, commits: str) -> tuple[Acceptance, ...]:
    """What the trailers of these commits accept (a range of git's, as ``main..HEAD``), the newest first.

    :raises UsageError: if one is malformed.
    """
    count = () if ".." in commits else ("-1",)
    form = f"--format=%(trailers:key={TRAILER},valueonly,unfold)"
    lines = git(folder, "log", *count, form, "--end-of-options", commits).splitlines()
    return tuple(dict.fromkeys(acceptance(line) for line in lines if line.strip()))


def accepted(
    nodeid: str, verdicts: Mapping[str, MetricVerdict], acceptances: Iterable[Acceptance]
) -> dict[str, MetricVerdict]:
    """The verdicts after acceptances: a failure within what is accepted passes, and says so."""
    made = dict(verdicts)
    for name, one in verdicts.items():
        for each in acceptances:
            metric = name.partition(" ")[0]
            if one.state is Verdict.FAIL and one.effect is not None and each.covers(nodeid, metric):
                if one.effect > each.most:
                    made[name] = replace(
                        one, reason=f"{one.reason}; more than the {percent(each.most)} that are accepted"
                    )
                    continue
                reason = f"accepted up to {percent(each.most)}: {each.reason}"
                made[name] = replace(one, state=Verdict.PASS, reason=reason, accepted=each.text)
                break
    return made


def stale(
    acceptances: Iterable[Acceptance], tests: Mapping[str, Mapping[str, MetricVerdict]]
) -> tuple[Acceptance, ...]:
    """The acceptances that nothing needed, of tests that were judged."""
    used = {one.accepted for verdicts in tests.values() for one in verdicts.values() if one.accepted}
    return tuple(
        each
        for each in acceptances
        if each.text not in used
        and any(each.covers(nodeid, name.partition(" ")[0]) for nodeid, found in tests.items() for name in found)
    )
