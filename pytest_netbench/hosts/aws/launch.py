"""How do launches become instances that run? The journal first, then the request, and each way in which it fails."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pytest_netbench.hosts.aws import journal, request
from pytest_netbench.hosts.aws.api import AGAIN, Aws, patiently
from pytest_netbench.hosts.aws.cleanup import instances
from pytest_netbench.hosts.aws.failures import (
    AwsError,
    Exists,
    InUse,
    NoCapacity,
    NotThere,
    QuotaReached,
    Terminated,
    Throttled,
    Unreachable,
    failure,
)
from pytest_netbench.hosts.aws.plan import Launch, Slot
from pytest_netbench.hosts.aws.preflight import Site
from pytest_netbench.hosts.aws.settings import AwsSettings
from pytest_netbench.hosts.ledger import Ledger

SETTLE = 30.0
"""Seconds in which what was made a moment ago may not be seen yet, or a busy API refuse."""
OVER = frozenset({"shutting-down", "terminated", "stopping", "stopped"})


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance that runs. ``born``: seconds of the monotonic clock, when it was asked for."""

    id: str
    type: str
    zone: str
    placement: str
    image: str
    private: str
    public: str
    born: float


class Launcher:
    """Makes instances of one run; all that it makes is in the ledger before."""

    def __init__(self, aws: Aws, ledger: Ledger, settings: AwsSettings, site: Site, identity: request.Identity) -> None:
        self._aws, self._ledger, self._settings, self._site = aws, ledger, settings, site
        self._identity = identity
        self._numbers = itertools.count(1)
        self._security_group = ""
        self._placement_groups: set[str] = set()

    def expires(self, at: int) -> None:
        """Let what is made from now on last until then, in seconds since the epoch."""
        self._identity = replace(self._identity, expires=at)

    def may_launch(self, launch: Launch, subnet: str) -> None:
        """Ask whether these credentials may launch such hosts, and see them then; nothing is made.

        :raises AwsError: if they mayn't.
        """
        for _ in instances(self._aws, request.RUN, self._identity.run):
            pass
        asked = self._request(launch, subnet, "netbench-dry-run")
        asked["NetworkInterfaces"][0].pop("Groups")
        asked["Placement"].pop("GroupName", None)
        try:
            self._aws.call("ec2:RunInstances", once=True, DryRun=True, **asked)
        except AwsError as error:
            if error.code != "DryRunOperation":
                raise

    def launch(self, attempts: Iterable[Sequence[Launch]]) -> Mapping[Slot, Instance]:
        """Launch all hosts in the first way in which there is room for all; they run when this returns.

        :raises AwsError: if there is no way, or AWS says no for another reason.
        """
        last: AwsError | None = None
        for launches in attempts:
            made: dict[Slot, tuple[str, Launch]] = {}
            try:
                for one in launches:
                    made |= {slot: (name, one) for slot, name in zip(one.slots, self._run(one), strict=True)}
                found = self.await_running([name for name, _ in made.values()])
            except NoCapacity as error:
                self.terminate([name for name, _ in made.values()])
                last = error
                continue
            return {slot: replace(found[name], placement=one.placement) for slot, (name, one) in made.items()}
        assert last is not None
        raise last

    # --- what hosts stand in ---------------------------------------------------------------------

    def security_group(self) -> str:
        """The run's security group, made when it is first needed."""
        if self._security_group:
            return self._security_group
        name, vpc = self._identity.group, self._site.network.vpc
        self._ledger.intent(journal.SECURITY_GROUP, name, {"vpc": vpc})
        try:
            answer = self._aws.call(
                "ec2:CreateSecurityGroup",
                GroupName=name,
                Description=f"hosts of netbench run {self._identity.run}",
                VpcId=vpc,
                TagSpecifications=self._identity.specification("security-group"),
            )
            self._security_group = str(answer["GroupId"])
        except Exists:  # the first try's answer was lost
            self._security_group = self._find_group(name, vpc)
        self._ledger.made(journal.SECURITY_GROUP, name, {"group": self._security_group})
        rules = request.ingress(self._security_group, self._settings.port, [self._site.source])
        with suppress(Exists):
            patiently(
                lambda: self._aws.call(
                    "ec2:AuthorizeSecurityGroupIngress", GroupId=self._security_group, IpPermissions=rules
                ),
                deadline=time.monotonic() + SETTLE,
                poll=self._settings.poll,
                on=(NotThere,),
            )
        return self._security_group

    def _find_group(self, name: str, vpc: str) -> str:
        filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
        found = self._aws.call("ec2:DescribeSecurityGroups", Filters=filters)["SecurityGroups"]
        return str(found[0]["GroupId"])

    def _placement_group(self, launch: Launch) -> None:
        name = self._identity.placement_group(launch.zone, launch.placement)
        if not launch.placement or name in self._placement_groups:
            return
        self._ledger.intent(journal.PLACEMENT_GROUP, name)
        with suppress(Exists):
            self._aws.call(
                "ec2:CreatePlacementGroup",
                GroupName=name,
                Strategy=launch.placement,
                TagSpecifications=self._identity.specification("placement-group"),
            )
        self._ledger.made(journal.PLACEMENT_GROUP, name)
        self._placement_groups.add(name)

    # --- hosts -----------------------------------------------------------------------------------

    def _request(self, launch: Launch, subnet: str, token: str) -> dict[str, Any]:
        base = request.Base(
            identity=self._identity,
            images=self._site.images,
            security_group=self._security_group,
            instance_profile=self._site.network.instance_profile,
            life=self._settings.life,
            spot=self._settings.spot,
        )
        machine = self._site.types[launch.type].machine
        public = True  # its way to SSM and S3; the stack has no NAT gateway, which costs more than all hosts
        return request.run_instances(base, launch, subnet, machine, token, public=public)

    def _run(self, launch: Launch) -> list[str]:
        """One RunInstances; the ids in the order of the slots."""
        self.security_group()
        self._placement_group(launch)
        token = self._identity.token(next(self._numbers))
        asked = self._request(launch, self._site.network.subnets[launch.zone], token)
        self._ledger.intent(journal.INSTANCES, token, {"request": asked})
        try:
            answer = patiently(
                lambda: self._aws.call("ec2:RunInstances", once=True, **asked),
                deadline=time.monotonic() + SETTLE,
                poll=self._settings.poll,
                on=(*AGAIN, NotThere, InUse),
            )
        except AwsError as error:
            if not isinstance(error, (Unreachable, Throttled)):  # AWS said no: nothing was made
                self._ledger.removed(journal.INSTANCES, token)
            raise
        ids = [str(one["InstanceId"]) for one in answer["Instances"]]
        self._ledger.made(journal.INSTANCES, token, {"ids": ids})
        return ids

    def await_running(self, ids: Sequence[str]) -> dict[str, Instance]:
        """Return when all run.

        :raises NoCapacity: if one was accepted, and then there was no room.
        :raises AwsError: if one ended, or isn't up in time; names it, and EC2's reason.
        """
        begin = time.monotonic()
        seen: dict[str, Mapping[str, Any]] = {}
        while True:
            seen |= self.describe(ids)
            states = {name: str(seen[name]["State"]["Name"]) if name in seen else "not seen yet" for name in ids}
            check(seen)
            if all(state == "running" for state in states.values()):
                return {name: _instance(one, begin) for name, one in seen.items()}
            if time.monotonic() - begin > self._settings.boot:
                late = ", ".join(f"{name} is {state}" for name, state in states.items() if state != "running")
                raise Terminated("ec2:DescribeInstances", "Late", f"after {self._settings.boot:g} s {late}")
            time.sleep(self._settings.poll)

    def describe(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """What EC2 says of these; those that can't be seen yet are left out."""
        try:
            pages = self._aws.pages("ec2:DescribeInstances", "Reservations", InstanceIds=list(ids))
            return {one["InstanceId"]: one for reservation in pages for one in reservation["Instances"]}
        except NotThere:
            found = {one["InstanceId"]: one for one in instances(self._aws, request.RUN, self._identity.run)}
            return {name: found[name] for name in ids if name in found}

    def look(self, ids: Iterable[str]) -> None:
        """Whether these still run.

        :raises AwsError: if one ended; names it, and EC2's reason.
        """
        check(self.describe(list(ids)))

    def terminate(self, ids: Sequence[str]) -> None:
        """Ask for their end; the clean-up sees to it that it comes."""
        for name in ids:
            with suppress(NotThere):
                self._aws.call("ec2:TerminateInstances", InstanceIds=[name])


def check(seen: Mapping[str, Mapping[str, Any]]) -> None:
    """Whether none of these has ended.

    :raises AwsError: for the first that has; its class is that of EC2's reason.
    """
    for name, one in seen.items():
        if one["State"]["Name"] in OVER:
            reason = one.get("StateReason", {})
            code, words = str(reason.get("Code", "")), str(reason.get("Message", "no reason is given"))
            known = failure("ec2:RunInstances", code, f"{name} was accepted and then ended: {words}")
            if isinstance(known, (NoCapacity, QuotaReached)):
                raise known
            raise Terminated("ec2:DescribeInstances", code or "Terminated", f"{name} ended: {words}")


def _instance(one: Mapping[str, Any], born: float) -> Instance:
    return Instance(
        id=one["InstanceId"],
        type=one["InstanceType"],
        zone=one["Placement"]["AvailabilityZone"],
        placement=one["Placement"].get("GroupName", ""),
        image=one["ImageId"],
        private=one["PrivateIpAddress"],
        public=one.get("PublicIpAddress", ""),
        born=born,
    )
