"""How do instances that run become hosts with a worker? Bundle, programs and credentials to the bucket, one command."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pytest_netbench.drivers import registry
from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws import journal, script
from pytest_netbench.hosts.aws.api import Aws
from pytest_netbench.hosts.aws.bundle import Blob, bundle, check_program, manifest, programs, table_for_hosts
from pytest_netbench.hosts.aws.cleanup import objects
from pytest_netbench.hosts.aws.failures import AwsError, Exists
from pytest_netbench.hosts.aws.launch import Instance
from pytest_netbench.hosts.aws.plan import TypeInfo
from pytest_netbench.hosts.aws.preflight import Site
from pytest_netbench.hosts.aws.settings import AwsSettings
from pytest_netbench.hosts.aws.ssm import Commands, Invocation
from pytest_netbench.hosts.ledger import Ledger
from russula.credentials import COORDINATOR, Credentials, issue

BOOT = 180.0
"""Seconds for hosts to fetch what they need, and for their workers to listen."""
URL_LIFE = 900
"""Seconds for which a presigned URL is good."""
LOG = 20_000
"""Characters of a worker's log that a salvage brings."""
_RENEWED = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Ready:
    """A host whose worker listens. ``facts``: what it says of itself; ``programs``: what was brought to it."""

    name: str
    instance: Instance
    pin: str
    facts: Mapping[str, str | int | float]
    programs: frozenset[str]


class Preparer:
    """Makes hosts of one run ready."""

    def __init__(
        self, aws: Aws, ledger: Ledger, settings: AwsSettings, site: Site, commands: Commands, table: str
    ) -> None:
        self._aws, self._ledger, self._settings, self._site = aws, ledger, settings, site
        self._commands, self._rows, self._table = commands, registry.load(table), table_for_hosts(table)
        self._uploaded: set[str] = set()
        self._numbers = itertools.count(1)
        self.credentials: Mapping[str, Credentials] = {}

    def issue(self, names: Sequence[str]) -> bool:
        """Credentials for workers of these names; whether they are new, so that earlier workers' hold no longer."""
        if set(names) <= set(self.credentials):
            return False
        renewed = bool(self.credentials)
        self.credentials = issue(self._ledger.run, names, timedelta(seconds=self._settings.life) + _RENEWED)
        return renewed

    @property
    def coordinator(self) -> Credentials:
        """The coordinator's own."""
        return self.credentials[COORDINATOR]

    def programs(self, wanted: frozenset[str], types: Sequence[TypeInfo]) -> tuple[Blob, ...]:
        """The programs of these drivers, known to run on such hosts.

        :raises HostError: if one isn't here, or can't.
        """
        found = programs(self._rows, wanted)
        for blob in found:
            for one in types:
                check_program(blob, one.machine, self._site.glibc)
        return found

    def prepare(self, hosts: Mapping[str, Instance], wanted: Sequence[Blob]) -> list[Ready]:
        """Bring these programs, start the worker where there is none, and return what each host says of itself.

        :raises HostError: for the first host that isn't ready; with what it said.
        """
        self._commands.await_agents([one.id for one in hosts.values()], self._settings.agent)
        site_bucket = self._site.network.bucket
        for blob in (bundle(), *wanted):
            self._upload(blob)
        files = [{"path": one.path, "sha256": one.sha256, "url": self._url(one.key)} for one in wanted]
        described = {one.private: self._described(name) for name, one in hosts.items()}
        listed = manifest(self._ledger.run, described, files, self._table, self._settings.port)
        key = f"{objects(self._ledger.run)}{next(self._numbers)}.json"
        self._ledger.intent(journal.OBJECTS, objects(self._ledger.run), {"bucket": site_bucket})
        self._aws.call("s3:PutObject", Bucket=site_bucket, Key=key, Body=listed.data, ContentType="application/json")
        lines = script.start(
            self._ledger.run, (self._url(bundle().key), bundle().sha256), (self._url(key), listed.sha256)
        )
        ended = self._commands.run([one.id for one in hosts.values()], lines, BOOT)
        self._aws.call("s3:DeleteObject", Bucket=site_bucket, Key=key)  # it has the keys of all
        self._ledger.removed(journal.OBJECTS, objects(self._ledger.run))
        brought = frozenset(one.path for one in wanted)
        return [self._ready(name, one, said, brought) for (name, one), said in zip(hosts.items(), ended, strict=True)]

    def log(self, host: Ready) -> str:
        """The end of a worker's log, by SSM.

        :raises HostError: if the host doesn't answer.
        """
        (said,) = self._commands.run([host.instance.id], script.log_tail(self._ledger.run, LOG), 20.0)
        return said.said

    def _described(self, name: str) -> Mapping[str, Any]:
        mine = self.credentials[name]
        return {
            "name": name,
            "credentials": {"authority.pem": mine.authority, f"{name}.pem": mine.key + mine.chain},
        }

    def _ready(self, name: str, one: Instance, said: Invocation, brought: frozenset[str]) -> Ready:
        if not said.good:
            raise HostError(f"{name} ({one.id}) can't be made ready: {said.details}\n{said.said.strip()}")
        try:
            answer = json.loads(said.said.strip().splitlines()[-1])
            facts = dict(answer["facts"])
        except (ValueError, LookupError, TypeError):
            raise HostError(
                f"{name} ({one.id}): SSM says that its command succeeded, but it did not say that its worker listens: "
                f"{said.said.strip()[-200:]!r}"
            ) from None
        return Ready(name, one, self.credentials[name].fingerprint, facts, brought)

    def _upload(self, blob: Blob) -> None:
        """Store it under its SHA-256, unless it is there."""
        if blob.key in self._uploaded:
            return
        bucket = self._site.network.bucket
        try:
            self._aws.call("s3:PutObject", Bucket=bucket, Key=blob.key, Body=blob.data, IfNoneMatch="*")
        except Exists:
            pass
        except AwsError as error:
            if error.code in {"NoSuchBucket", "AccessDenied", "AllAccessDisabled", "PermanentRedirect"}:
                raise HostError(
                    f"the bucket {bucket} can't be written ({error.code}): it may be gone, or somebody else's; "
                    "`netbench aws status` says what the stack has"
                ) from error
            raise
        self._uploaded.add(blob.key)

    def _url(self, key: str) -> str:
        return self._aws.presigned(self._site.network.bucket, key, URL_LIFE)
