"""How is something run on every host? By SSM, on fifty in one command, until each has said how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws.api import Aws
from pytest_netbench.hosts.aws.failures import NotThere
from pytest_netbench.hosts.aws.request import RUN

AT_ONCE = 50
"""Hosts in one command: the API's limit."""
DOCUMENT = "AWS-RunShellScript"
DELIVERY = 60
"""Seconds that a command may wait for a host before it is given up; the API's least is 30."""
LOOK_AFTER = 5
"""Questions between two looks at whether the hosts still run."""
_GOING = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})


@dataclass(frozen=True, slots=True)
class Invocation:
    """What became of a command on one host. ``said``: the begin of its output, errors included."""

    instance: str
    status: str
    details: str
    said: str

    @property
    def good(self) -> bool:
        """Whether it ended with 0."""
        return self.status == "Success"


class Commands:
    """SSM, for the hosts of one run. ``look``: raises if one of these instances doesn't run any more."""

    def __init__(self, aws: Aws, run: str, poll: float, look: Callable[[Iterable[str]], None]) -> None:
        self._aws, self._run, self._poll, self._look = aws, run, poll, look

    def await_agents(self, instances: Sequence[str], deadline: float) -> None:
        """Return when SSM has heard of all, within ``deadline`` seconds.

        :raises HostError: names those that it hasn't heard of, and what may be the reason.
        """
        end, missing, questions = time.monotonic() + deadline, set(instances), 0
        filters = [{"Key": f"tag:{RUN}", "Values": [self._run]}]
        while True:
            for one in self._aws.pages(
                "ssm:DescribeInstanceInformation", "InstanceInformationList", Filters=filters, MaxResults=AT_ONCE
            ):
                if one["PingStatus"] == "Online":
                    missing.discard(one["InstanceId"])
            if not missing:
                return
            if time.monotonic() > end:
                names = ", ".join(sorted(missing))
                raise HostError(
                    f"SSM hasn't heard of {names} within {deadline:g} s: the image needs SSM's agent, the profile "
                    "AmazonSSMManagedInstanceCore, the subnet a way to the Internet"
                )
            questions += 1
            if questions % LOOK_AFTER == 0:
                self._look(instances)
            time.sleep(self._poll)

    def run(self, instances: Sequence[str], lines: Sequence[str], deadline: float) -> tuple[Invocation, ...]:
        """Run a script on all of these, within ``deadline`` seconds; how each ended.

        :raises HostError: if one doesn't say so in time; or if an instance ended meanwhile.
        """
        parts = [instances[start : start + AT_ONCE] for start in range(0, len(instances), AT_ONCE)]
        commands = [(self._send(part, lines, deadline), part) for part in parts]
        end = time.monotonic() + deadline
        return tuple(one for command, part in commands for one in self._await(command, part, end))

    def _send(self, part: Sequence[str], lines: Sequence[str], deadline: float) -> str:
        answer = self._aws.call(
            "ssm:SendCommand",
            InstanceIds=list(part),
            DocumentName=DOCUMENT,
            Comment=f"netbench {self._run}",
            TimeoutSeconds=DELIVERY,
            MaxConcurrency="100%",
            MaxErrors="100%",
            Parameters={"commands": list(lines), "executionTimeout": [str(max(1, round(deadline)))]},
        )
        return str(answer["Command"]["CommandId"])

    def _await(self, command: str, part: Sequence[str], end: float) -> list[Invocation]:
        """Every host of the command must have ended: an empty list, or a short one, isn't the whole."""
        questions = 0
        while True:
            found = {one.instance: one for one in self._invocations(command)}
            going = [name for name in part if name not in found or found[name].status in _GOING]
            if not going:
                return [found[name] for name in part]
            if time.monotonic() > end:
                self._aws.call("ssm:CancelCommand", CommandId=command)
                raise HostError(f"the command {command} hasn't ended on {', '.join(going)}: see its output in SSM")
            questions += 1
            if questions % LOOK_AFTER == 0:
                self._look(going)
            time.sleep(self._poll)

    def _invocations(self, command: str) -> list[Invocation]:
        try:
            listed = list(
                self._aws.pages(
                    "ssm:ListCommandInvocations",
                    "CommandInvocations",
                    CommandId=command,
                    Details=True,
                    MaxResults=AT_ONCE,
                )
            )
        except NotThere:  # just after it was sent, SSM may not know it yet
            return []
        return [
            Invocation(
                one["InstanceId"],
                one["Status"],
                one.get("StatusDetails", ""),
                "".join(plugin.get("Output", "") for plugin in one.get("CommandPlugins", ())),
            )
            for one in listed
        ]
