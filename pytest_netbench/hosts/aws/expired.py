"""What did runs leave whose ledger is lost? Found by tags: all of this owner whose time is over."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from pytest_netbench.hosts.aws.api import Aws, Where
from pytest_netbench.hosts.aws.cleanup import Cleanup, entries_by_tags, expired_runs
from pytest_netbench.hosts.aws.preflight import check_account, describe_stack
from pytest_netbench.hosts.aws.settings import AwsSettings, settings_from


def reap_expired(section: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    """Remove it; run, kind and id of each thing that was.

    :raises HostError: if AWS says no.
    :raises UsageError: if the account isn't one in which runs may be.
    """
    settings = settings_from(section)
    aws = Aws(Where.of(settings))
    check_account(aws, settings)
    bucket = _bucket(aws, settings)
    for run in expired_runs(aws, settings.owner, time.time()):
        found = entries_by_tags(aws, run, bucket)
        cleanup = Cleanup.of(run, found, lambda *_: None)
        assert cleanup is not None
        for name in cleanup.all():
            yield run, "aws-instance", name
        for one in found:
            yield run, one.kind, one.id


def _bucket(aws: Aws, settings: AwsSettings) -> str:
    if settings.bucket:
        return settings.bucket
    stack = describe_stack(aws, settings.stack) or {}
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}
    return str(outputs.get("Bucket", ""))
