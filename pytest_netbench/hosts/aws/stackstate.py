"""In what state is a stack, and what is to be done about it? CloudFormation's words, sorted; pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Condition(Enum):
    """What can be done with a stack."""

    READY = "it is whole"
    WORKING = "it is being worked at"
    EMPTY = "nothing is in it, and it can only be removed"
    BROKEN = "something of it is there, and it can't be changed"


OUTPUTS = frozenset({"Vpc", "Subnets", "Bucket", "LogGroup", "InstanceProfile"})
"""What a stack tells of itself that runs need."""
ADVICE: Mapping[Condition, str] = {
    Condition.READY: "",
    Condition.WORKING: "somebody works at it just now: `netbench aws setup` waits until that is over, and goes on",
    Condition.EMPTY: "making it had failed, and nothing of it is left: `netbench aws setup` makes it anew",
    Condition.BROKEN: "`netbench aws teardown` removes what is left of it, `netbench aws setup` makes it anew",
}
_READY = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
_EMPTY = frozenset({"ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"})


def condition(status: str) -> Condition:
    """What a status means; of one that nobody has heard of, that it can't be worked with."""
    if status in _READY:
        return Condition.READY
    if status in _EMPTY:
        return Condition.EMPTY
    return Condition.WORKING if status.endswith("_IN_PROGRESS") else Condition.BROKEN
