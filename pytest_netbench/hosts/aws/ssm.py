"""How is something run on every host? By SSM, on fifty in one command, until each has said how it ended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws.api import Aws
from pytest_netbench.hosts.aws.failures import NotThere
from pytest_netbench.hosts.aws.request import RUN

AT_ONCE = 50
"""Hosts in one command: the API's limit."""
DOCUMENT = "AWS-RunShellScript"
DELIVERY = 60
"""Seconds that a command may wait for a host before it is given up; the API's least is 30."""
LOOK_S = 5.0
"""Seconds between two looks at whether the hosts still run."""
_GOING = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
_ERRORS = "\n----------ERROR-------\n"
"""Between output and errors, where SSM lists them as one text."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What became of a command on one host. ``output``, ``errors``: the begin of them, 2,500 characters together."""

    instance: str
    status: str
    details: str
    output: str
    errors: str

    @property
    def good(self) -> bool:
        """Whether it ended with 0."""
        return self.status == "Success"

    def check(self, what: str) -> None:
        """Whether it ended well.

        :raises HostError: if not: ``what`` doesn't hold, and what the host said.
        """
        if not self.good:
            raise HostError("\n".join([f"{what}: {self.details}", *filter(None, (self.output, self.errors))]).rstrip())


class Commands:
    """SSM, for the hosts of one run. ``look``: raises if one of these instances doesn't run any more."""

    def __init__(self, aws: Aws, run: str, poll: float, look: Callable[[Iterable[str]], None]) -> None:
        self._aws, self._run, self._poll, self._look = aws, run, poll, look
        self._look_after = math.ceil(LOOK_S / poll)

    def await_agents(self, instances: Sequence[str], deadline: float) -> None:
        """Return when SSM has heard of all, within ``deadline`` seconds.

        :raises HostError: names those that it hasn't heard of, and what may be the reason.
        """
        end, missing, questions = time.monotonic() + deadline, set(instances), 0
        while True:
            missing -= self._online()
            if not missing:
                return
            if time.monotonic() > end:
                names = ", ".join(sorted(missing))
                raise HostError(
                    f"SSM hasn't heard of {names} within {deadline:g} s: the image needs SSM's agent, the profile "
                    "AmazonSSMManagedInstanceCore, the subnet a way to the Internet"
                )
            questions += 1
            if questions % self._look_after == 0:
                self._look(instances)
            time.sleep(self._poll)

    def _online(self) -> set[str]:
        """The run's instances whose agents answer."""
        filters = [{"Key": f"tag:{RUN}", "Values": [self._run]}]
        pages = self._aws.pages(
            "ssm:DescribeInstanceInformation", "InstanceInformationList", Filters=filters, MaxResults=AT_ONCE
        )
        return {one["InstanceId"] for one in pages if one["PingStatus"] == "Online"}

    def outputs(self, instances: Sequence[str], lines: Sequence[str], deadline: float) -> dict[str, str]:
        """What a script prints on these, 24,000 characters of each; those that don't answer in time are left out.

        :raises AwsError: if AWS says no.
        """
        online = self._online()
        asked = [one for one in instances if one in online]
        found: dict[str, str] = {}
        end = time.monotonic() + deadline
        for start in range(0, len(asked), AT_ONCE):
            part = asked[start : start + AT_ONCE]
            command = self._send(part, lines, deadline)
            ended = self._until(command, part, end, lambda _: None)
            for name in (one.instance for one in ended.values() if one.good):
                answer = self._aws.call("ssm:GetCommandInvocation", CommandId=command, InstanceId=name)
                found[name] = str(answer["StandardOutputContent"])
        return found

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
        """Every host of the command must have ended."""
        found = self._until(command, part, end, self._look)
        if going := [name for name in part if name not in found]:
            raise HostError(f"the command {command} hasn't ended on {', '.join(going)}: see its output in SSM")
        return [found[name] for name in part]

    def _until(
        self, command: str, part: Sequence[str], end: float, look: Callable[[Iterable[str]], None]
    ) -> dict[str, Invocation]:
        """Those that ended until then: an empty list, or a short one, isn't the whole. The others are cancelled."""
        questions = 0
        while True:
            found = {one.instance: one for one in self._invocations(command) if one.status not in _GOING}
            going = [name for name in part if name not in found]
            if not going:
                return found
            if time.monotonic() > end:
                self._aws.call("ssm:CancelCommand", CommandId=command)
                return found
            questions += 1
            if questions % self._look_after == 0:
                look(going)
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
        return [_invocation(one) for one in listed]


def _invocation(one: Mapping[str, Any]) -> Invocation:
    said = "".join(plugin.get("Output", "") for plugin in one.get("CommandPlugins", ()))
    output, _, errors = said.partition(_ERRORS)
    return Invocation(one["InstanceId"], one["Status"], one.get("StatusDetails", ""), output, errors)
