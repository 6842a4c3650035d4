"""How is AWS called? Clients by name, made when they are needed; whatever goes wrong is one of our own errors.

The only file that imports boto3. All calls block: the provider makes them in threads.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias, TypeVar

from pytest_netbench.errors import UsageError
from pytest_netbench.hosts.aws.failures import AwsError, Throttled, Unreachable, failure
from pytest_netbench.hosts.aws.settings import AwsSettings
from pytest_netbench.testing.aws import guard

Client: TypeAlias = Any
Answer: TypeAlias = dict[str, Any]
T = TypeVar("T")

MORE = " (more)"
"""Marks, among what was called, the pages after the first."""
_MORE = ("NextToken", "NextContinuationToken")
"""By which answers say that there are more pages."""
ATTEMPTS = 4
"""Times that a call is tried; botocore backs off between them."""
LATEST = 16
"""Times ``poll`` between two tries, at most."""
INSTALL = "pip install 'pytest-netbench[aws]'"


@dataclass(frozen=True, slots=True)
class Where:
    """Which AWS: region, profile of the credentials, endpoint if it isn't the real one; seconds for one answer."""

    region: str
    profile: str = ""
    endpoint: str = ""
    timeout: float = 15.0

    @classmethod
    def of(cls, settings: AwsSettings) -> Where:
        """The place that the settings name."""
        return cls(settings.region, settings.profile, settings.endpoint, settings.timeout)

    def to_json(self) -> dict[str, Any]:
        """As it stands in a ledger."""
        return asdict(self)


class Aws:
    """One place of AWS, for one process. ``calls`` counts what was called."""

    def __init__(self, where: Where) -> None:
        self._given = where
        self._clients: dict[tuple[str, bool], Client] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.calls: list[str] = []
        guard.put_up_if_told()
        try:
            import boto3
            import botocore.exceptions
        except ImportError as error:
            raise UsageError(f"provider aws needs boto3: {INSTALL}") from error
        try:
            self._session = boto3.session.Session(
                profile_name=where.profile or None, region_name=where.region or None, **_emulated(where)
            )
        except botocore.exceptions.ProfileNotFound as error:
            raise failure("credentials", "UnknownProfile", str(error)) from None
        if not self._session.region_name:
            raise UsageError('in which region? [providers.aws] region = "us-west-2", or AWS_DEFAULT_REGION')

    @property
    def where(self) -> Where:
        """The place, with the region that was found."""
        given = self._given
        return Where(self._session.region_name, given.profile, given.endpoint, given.timeout)

    def call(self, operation: str, *, once: bool = False, **parameters: Any) -> Answer:  # noqa: ANN401  as boto3 takes
        """Call ``service:Operation`` and return its answer; ``once``: without botocore's own retries.

        :raises AwsError: a class of ``failures``.
        """
        service, _, name = operation.partition(":")
        self._count(operation)
        client = self._client(service, once=once)
        return _translated(operation, lambda: getattr(client, _snake(name))(**parameters))

    def pages(self, operation: str, key: str, **parameters: Any) -> Iterator[Any]:  # noqa: ANN401  as boto3 takes
        """The items of all pages of an answer.

        :raises AwsError: as ``call``.
        """
        service, _, name = operation.partition(":")
        word = operation
        pages = iter(self._client(service).get_paginator(_snake(name)).paginate(**parameters))
        while True:
            self._count(word)
            word = f"{operation}{MORE}"
            page: Answer = _translated(operation, lambda: next(pages, {}))
            yield from page.get(key, ())
            if not any(page.get(token) for token in _MORE):
                return

    def presigned(self, bucket: str, key: str, seconds: int) -> str:
        """A URL with which anybody may read an object for so long."""
        client = self._client("s3")
        parameters = {"Bucket": bucket, "Key": key}
        made = _translated(
            "s3:GetObject",
            lambda: client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds),
        )
        return str(made)

    def warm_up(self, *services: str) -> None:
        """Make clients in another thread: it takes a tenth of a second each, while hosts boot anyway."""

        def make() -> None:
            with suppress(AwsError):  # who needs the client is told
                for service in services:
                    self._client(service)

        threading.Thread(target=make, daemon=True).start()

    def stop(self) -> None:
        """Let no call begin from now on: whoever is at work in another thread comes to an end at its next one."""
        self._stopped.set()

    def _count(self, operation: str) -> None:
        if self._stopped.is_set():
            raise AwsError(operation, "Stopped", "this run is being ended")
        self.calls.append(operation)

    def _client(self, service: str, *, once: bool = False) -> Client:
        with self._lock:
            if (service, once) not in self._clients:
                self._clients[service, once] = self._make(service, once=once)
            return self._clients[service, once]

    def _make(self, service: str, *, once: bool) -> Client:
        from botocore.config import Config

        timeout = self._given.timeout
        config = Config(
            retries={"mode": "standard", "max_attempts": 1 if once else ATTEMPTS},
            connect_timeout=min(5.0, timeout),
            read_timeout=timeout,
            user_agent_extra="pytest-netbench",
            signature_version="s3v4" if service == "s3" else None,
            s3={"addressing_style": "path"} if self._given.endpoint else None,
        )
        return _translated(
            f"{service}:client",
            lambda: self._session.client(service, endpoint_url=self._given.endpoint or None, config=config),
        )


def _emulated(where: Where) -> dict[str, str]:
    """Keys for the emulated AWS, which takes any: never the user's own."""
    if not where.endpoint.startswith("http://127."):
        return {}
    key = os.environ.get("AWS_ACCESS_KEY_ID", "testing")
    return {"aws_access_key_id": key, "aws_secret_access_key": os.environ.get("AWS_SECRET_ACCESS_KEY", "testing")}


def _snake(name: str) -> str:
    from botocore import xform_name

    return str(xform_name(name))


def _translated(operation: str, what: Callable[[], T]) -> T:
    """What it returns, or our error for botocore's."""
    import botocore.exceptions as theirs
    from botocore.parsers import ResponseParserError

    try:
        return what()
    except theirs.ClientError as error:
        said = error.response.get("Error", {})
        raise failure(operation, str(said.get("Code", "")), str(said.get("Message", ""))) from None
    except (theirs.NoCredentialsError, theirs.PartialCredentialsError, theirs.CredentialRetrievalError) as error:
        raise failure(operation, "NoCredentials", str(error)) from None
    except (theirs.TokenRetrievalError, theirs.SSOError) as error:
        raise failure(operation, "SSOTokenLoad", str(error)) from None
    except (theirs.HTTPClientError, theirs.ConnectionError) as error:
        raise failure(operation, "Unreachable", str(error)) from None
    except ResponseParserError as error:
        raise failure(operation, "NotUnderstood", str(error)) from None
    except (theirs.BotoCoreError, ValueError) as error:
        raise AwsError(operation, type(error).__name__, str(error)) from None


def patiently(what: Callable[[], T], *, deadline: float, poll: float, on: tuple[type[AwsError], ...]) -> T:
    """Try again after these errors, until a deadline of ``time.monotonic``; after throttling each time later.

    :raises AwsError: the last of them, or the first other one.
    """
    wait = poll
    while True:
        try:
            return what()
        except on as error:
            if time.monotonic() + wait > deadline:
                raise
            time.sleep(wait)
            if isinstance(error, Throttled):
                wait = min(2 * wait, LATEST * poll)


AGAIN: tuple[type[AwsError], ...] = (Throttled, Unreachable)
"""After which a call with a token, or one that may be repeated, is tried again."""
