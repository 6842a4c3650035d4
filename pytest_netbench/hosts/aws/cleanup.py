"""How is everything of a run removed? By its ledger and its tags, however often it is begun, whatever is gone already.

Instances first, then placement groups, the security group, the objects. That EC2 doesn't find an instance isn't taken
for its end: it may not be seen yet. A launch whose answer was lost is asked for once more, with the same token: what
comes back is what the lost call made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pytest_netbench.hosts.aws import journal, request
from pytest_netbench.hosts.aws.api import AGAIN, Aws, Where, patiently
from pytest_netbench.hosts.aws.failures import (
    AwsError,
    InUse,
    NoCapacity,
    NotThere,
    QuotaReached,
    RightsMissing,
    failure,
)
from pytest_netbench.hosts.aws.ssm import DOCUMENT
from pytest_netbench.hosts.ledger import MADE, REMOVED, Entry

VISIBLE = 300.0
"""Seconds until EC2 shows everybody what was made."""
GONE = frozenset({"terminated", "shutting-down"})
END: Mapping[str, list[str]] = {"commands": ["shutdown -P now"]}


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: between two questions; for all to be terminated; until what isn't seen is taken for gone."""

    poll: float = 1.0
    terminated: float = 600.0
    visible: float = VISIBLE


class Cleanup:
    """Removes one run; ``write`` notes what is gone in its ledger."""

    def __init__(self, aws: Aws, run: str, entries: Sequence[Entry], write: journal.Write, patience: Patience) -> None:
        self._aws, self._run, self._write, self._patience = aws, run, write, patience
        self._entries = entries
        self._denied: RightsMissing | None = None
        self._to_end_themselves: set[str] = set()

    @classmethod
    def of(cls, run: str, entries: Sequence[Entry], write: journal.Write) -> Cleanup | None:
        """The clean-up that a ledger asks for; None if it holds nothing in AWS."""
        place = next((one for one in entries if one.kind == journal.RUN), None)
        if place is None:
            return None
        where = Where(**place.data["where"])
        emulated = where.endpoint.startswith("http://127.")
        patience = Patience(poll=0.05, terminated=30.0, visible=5.0) if emulated else Patience()
        return cls(Aws(where), run, entries, write, patience)

    def all(self) -> list[str]:
        """Remove everything, and return when it is gone; the instances that were ended now.

        :raises AwsError: if AWS says no, also where hosts could be let end themselves; what is still there stays in
            the ledger.
        """
        ids = self._await_terminated(self._terminate_known())
        for one in self._of(journal.INSTANCES):
            self._removed(one)
        errors: list[AwsError] = [self._denied] if self._denied else []
        for kind, remove in (
            (journal.PLACEMENT_GROUP, self._delete_placement_group),
            (journal.SECURITY_GROUP, self._delete_group),
            (journal.OBJECTS, lambda one: delete_objects(self._aws, one.data["bucket"], one.id)),
        ):
            for one in self._of(kind):
                try:
                    remove(one)
                except AwsError as error:  # the others go all the same
                    errors.append(error)
                else:
                    self._removed(one)
        if all(one is self._denied for one in errors):
            for one in self._of(journal.RUN):
                self._removed(one)
        if errors:
            raise errors[0]
        return ids

    # --- instances -------------------------------------------------------------------------------

    def _ids(self, one: Entry) -> list[str]:
        """The instances of a launch; asked for again, with the same token, where nobody heard of them."""
        if "ids" in one.data:
            return list(one.data["ids"])
        try:
            answer = patiently(
                lambda: self._aws.call("ec2:RunInstances", once=True, **one.data["request"]),
                deadline=time.monotonic() + self._patience.visible,
                poll=self._patience.poll,
                on=AGAIN,
            )
        except (NotThere, NoCapacity, QuotaReached):  # what it stands in is gone, or there is no room: it made nothing
            return []
        except AwsError as error:
            if error.code == "IdempotentParameterMismatch":
                return []  # the tags find it
            raise
        ids = [str(made["InstanceId"]) for made in answer["Instances"]]
        self._write(MADE, one.kind, one.id, {"ids": ids})
        return ids

    def _terminate_known(self) -> list[str]:
        """Ask for the end of those that the ledger knows; which they are."""
        ids = sorted({name for one in self._of(journal.INSTANCES) for name in self._ids(one)})
        return self._terminate(ids) if ids else []

    def _terminate(self, ids: Sequence[str]) -> list[str]:
        """Ask for their end, or, where we mayn't, remember those that must end themselves. Those that are known."""
        try:
            return self._ask_for_their_end(ids)
        except RightsMissing as error:
            self._denied = error
            self._to_end_themselves |= set(ids)
            return list(ids)

    def _let_end_themselves(self, left: set[str]) -> None:
        """By SSM, which runs it as soon as it has heard of a host; one that shuts down is terminated."""
        for name in sorted(left & self._to_end_themselves):
            with suppress(AwsError):
                self._aws.call("ssm:SendCommand", InstanceIds=[name], DocumentName=DOCUMENT, Parameters=END)
                self._to_end_themselves.remove(name)

    def _ask_for_their_end(self, ids: Sequence[str]) -> list[str]:
        """All at once; one by one where EC2 doesn't find one, since it then ends none. Those that it found in time."""
        try:
            self._aws.call("ec2:TerminateInstances", InstanceIds=list(ids))
        except NotThere:
            found, deadline = [], time.monotonic() + self._patience.visible
            for name in ids:
                with suppress(NotThere):
                    patiently(
                        lambda name=name: self._aws.call("ec2:TerminateInstances", InstanceIds=[name]),  # type: ignore[misc]
                        deadline=deadline,
                        poll=self._patience.poll,
                        on=(NotThere,),
                    )
                    found.append(name)
            return found
        return list(ids)

    def _await_terminated(self, ids: Sequence[str]) -> list[str]:
        """Wait until all are terminated; instances that only the tags know are ended on the way. All that were."""
        end = time.monotonic() + self._patience.terminated
        asked = set(ids)
        while True:
            gone, strays = self._terminate_strays(asked)
            asked |= set(strays)
            left = asked - gone
            if not left:
                return sorted(asked)
            self._let_end_themselves(left)
            if time.monotonic() > end:
                raise self._denied or AwsError(
                    "ec2:TerminateInstances",
                    "Late",
                    f"{', '.join(sorted(left))} aren't terminated after {self._patience.terminated:g} s",
                )
            time.sleep(self._patience.poll)

    def _terminate_strays(self, asked: set[str]) -> tuple[set[str], list[str]]:
        """Look at all instances with the run's tag: which are terminated, and which had to be ended now."""
        mine = instances(self._aws, request.RUN, self._run)
        found = {str(one["InstanceId"]): str(one["State"]["Name"]) for one in mine}
        strays = [name for name, state in found.items() if state not in GONE and name not in asked]
        if strays:
            self._terminate(strays)
        return {name for name, state in found.items() if state == "terminated"}, strays

    # --- the rest --------------------------------------------------------------------------------

    def _delete_placement_group(self, one: Entry) -> None:
        self._until_free(lambda: self._aws.call("ec2:DeletePlacementGroup", GroupName=one.id))

    def _delete_group(self, one: Entry) -> None:
        group = one.data.get("group")
        if group is None:  # the answer was lost: it is found by its name
            filters = [
                {"Name": "group-name", "Values": [one.id]},
                {"Name": "vpc-id", "Values": [one.data["vpc"]]},
            ]
            found = self._aws.call("ec2:DescribeSecurityGroups", Filters=filters)["SecurityGroups"]
            if not found:
                return
            group = found[0]["GroupId"]
        self._until_free(lambda: self._aws.call("ec2:DeleteSecurityGroup", GroupId=group))

    def _until_free(self, delete: Callable[[], Mapping[str, Any]]) -> None:
        with suppress(NotThere):
            patiently(
                delete,
                deadline=time.monotonic() + self._patience.terminated,
                poll=self._patience.poll,
                on=(InUse, *AGAIN),
            )

    def _of(self, kind: str) -> list[Entry]:
        return [one for one in self._entries if one.kind == kind]

    def _removed(self, one: Entry) -> None:
        self._write(REMOVED, one.kind, one.id, None)


def instances(aws: Aws, tag: str, value: str) -> Iterator[Mapping[str, Any]]:
    """All instances with a tag, as EC2 describes them, in whatever state."""
    filters = [{"Name": f"tag:{tag}", "Values": [value]}]
    for reservation in aws.pages("ec2:DescribeInstances", "Reservations", Filters=filters):
        yield from reservation["Instances"]


def objects(run: str) -> str:
    """Where a run keeps in the bucket what ends with it."""
    return f"runs/{run}/boot/"


def delete_objects(aws: Aws, bucket: str, prefix: str) -> None:
    """Delete what is under a prefix; a bucket that is gone has nothing.

    :raises AwsError: if AWS says no, also of a single one: S3 tells that in an answer that is a success.
    """
    with suppress(NotThere):
        keys = [{"Key": one["Key"]} for one in aws.pages("s3:ListObjectsV2", "Contents", Bucket=bucket, Prefix=prefix)]
        for start in range(0, len(keys), 1000):
            part = keys[start : start + 1000]
            answer = aws.call("s3:DeleteObjects", Bucket=bucket, Delete={"Objects": part, "Quiet": True})
            for one in answer.get("Errors", ()):
                raise failure("s3:DeleteObjects", one["Code"], f"{one['Key']}: {one['Message']}")


def expired_runs(aws: Aws, owner: str, now: float) -> tuple[str, ...]:
    """The runs of an owner whose time is over, of whom something is still there, by their tags."""
    filters = [{"Name": f"tag:{request.OWNER}", "Values": [owner]}]
    standing = [one for one in instances(aws, request.OWNER, owner) if one["State"]["Name"] != "terminated"]
    groups = list(aws.pages("ec2:DescribeSecurityGroups", "SecurityGroups", Filters=filters))
    places = aws.call("ec2:DescribePlacementGroups", Filters=filters)["PlacementGroups"]
    last: dict[str, int] = {}  # a long run has later hosts, which live longer than the group in which they are
    for one in (*standing, *groups, *places):
        tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}
        if tags.get(request.EXPIRES, "").isdigit():
            last[tags[request.RUN]] = max(last.get(tags[request.RUN], 0), int(tags[request.EXPIRES]))
    return tuple(sorted(run for run, expires in last.items() if expires < now))


def entries_by_tags(aws: Aws, run: str, bucket: str) -> tuple[Entry, ...]:
    """What a ledger of this run would hold, had it not been lost."""
    filters, now = [{"Name": f"tag:{request.RUN}", "Values": [run]}], time.time()
    groups = aws.pages("ec2:DescribeSecurityGroups", "SecurityGroups", Filters=filters)
    places = aws.call("ec2:DescribePlacementGroups", Filters=filters)["PlacementGroups"]
    found = [
        Entry(MADE, journal.SECURITY_GROUP, one["GroupName"], now, {"vpc": one["VpcId"], "group": one["GroupId"]})
        for one in groups
    ]
    found += [Entry(MADE, journal.PLACEMENT_GROUP, one["GroupName"], now) for one in places]
    if bucket:
        found.append(Entry(MADE, journal.OBJECTS, objects(run), now, {"bucket": bucket}))
    place = {"where": aws.where.to_json(), "bucket": bucket, "vpc": ""}
    return (*found, Entry(MADE, journal.RUN, run, now, place))
