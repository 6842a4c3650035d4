"""Where is what hosts said, when a run's folder is lost? In the log group, a stream for each host of a run."""

from __future__ import annotations

import time
from contextlib import suppress

from pytest_netbench.hosts.aws.api import Aws
from pytest_netbench.hosts.aws.failures import Exists

MOST = 10_000
"""Lines in one call: the API's limit."""


def keep(aws: Aws, group: str, stream: str, text: str) -> None:
    """Put a text there, line by line; the last ``MOST`` of them.

    :raises AwsError: if AWS says no.
    """
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in text.splitlines() if line][-MOST:]
    if events:
        with suppress(Exists):
            aws.call("logs:CreateLogStream", logGroupName=group, logStreamName=stream)
        aws.call("logs:PutLogEvents", logGroupName=group, logStreamName=stream, logEvents=events)
