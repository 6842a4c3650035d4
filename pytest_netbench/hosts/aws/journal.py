"""What did a run make in AWS? Kinds of entries in its ledger, each written and synced before the thing is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pytest_netbench.hosts.aws.api import Where
from pytest_netbench.hosts.ledger import Entry, Ledger

RUN = "aws-run"
"""The place: written first, removed last. Its data says which AWS, the bucket, the network."""
SECURITY_GROUP = "aws-security-group"
PLACEMENT_GROUP = "aws-placement-group"
INSTANCES = "aws-instances"
"""One launch, by its client token. Its data is the whole request, and the ids once they are known."""
OBJECTS = "aws-objects"
"""The run's folder in the bucket."""
KINDS = frozenset({RUN, SECURITY_GROUP, PLACEMENT_GROUP, INSTANCES, OBJECTS})

Write = Callable[[str, str, str, Mapping[str, Any] | None], None]
"""Writes event, kind, id and data: into one's own ledger, or another's."""


def ours(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries that are about AWS."""
    return tuple(one for one in entries if one.kind in KINDS)


def begin(ledger: Ledger, where: Where, bucket: str, vpc: str) -> None:
    """Write where everything is going to be."""
    ledger.intent(RUN, ledger.run, {"where": where.to_json(), "bucket": bucket, "vpc": vpc})
