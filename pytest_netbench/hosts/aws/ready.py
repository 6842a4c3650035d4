"""How do instances that run become hosts with a worker? Bundle, programs and a list to the bucket, one command.

No secret is among that. Each worker makes its key on its host, and SSM brings back the fingerprint of its certificate,
which is pinned: one host can't be taken for another, nor anybody for a host.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pytest_netbench.drivers import registry
from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws import journal, logs, script
from pytest_netbench.hosts.aws.api import Aws
from pytest_netbench.hosts.aws.bundle import Blob, bundle, manifest
from pytest_netbench.hosts.aws.cargo import Cargo, cargo, check, table_for_hosts
from pytest_netbench.hosts.aws.cleanup import objects
from pytest_netbench.hosts.aws.failures import AwsError, Exists, NotThere, RightsMissing
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
LOG, LOG_DEADLINE = 20_000, 20.0
"""Characters of a worker's log that a salvage brings, and seconds that all of them may take."""
_LONGER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Ready:
    """A host whose worker listens.

    ``pin``: its certificate's fingerprint; ``facts``: what it says of itself; ``programs``: what was brought to it.
    """

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
        self._commands, self._rows = commands, registry.load(table)
        self._table = table_for_hosts(table, settings.programs)
        self._uploaded: set[str] = set()
        self._numbers = itertools.count(1)
        self.issue()

    def issue(self) -> None:
        """Give the coordinator credentials for a host's life; workers that are made from now on obey it alone."""
        life = timedelta(seconds=self._settings.life) + _LONGER
        self.credentials: Credentials = issue(self._ledger.run, (), life)[COORDINATOR]

    def programs(self, wanted: frozenset[str], types: Sequence[TypeInfo]) -> tuple[Cargo, ...]:
        """What these drivers need on hosts, known to run on such ones.

        :raises HostError: if something isn't here, or can't.
        :raises Unsupported: if such a driver can't be on such hosts.
        """
        platform = self._site.platform
        found = cargo(self._rows, wanted, self._settings.programs, platform.python)
        for machine in {one.machine for one in types}:
            check(found, machine, platform)
        return found

    def prepare(self, hosts: Mapping[str, Instance], wanted: Sequence[Cargo]) -> list[Ready]:
        """Bring these programs, start the worker where there is none, and return what each host says of itself.

        :raises HostError: for the first host that isn't ready; with what it said.
        """
        self._commands.await_agents([one.id for one in hosts.values()], self._settings.agent)
        site_bucket = self._site.network.bucket
        blobs = [one for one in wanted if isinstance(one, Blob)]
        for blob in (bundle(), *blobs):
            self.store(blob)
        files = [self._listed(one) for one in wanted]
        names = {one.private: name for name, one in hosts.items()}
        listed = manifest(self._ledger.run, names, self.credentials.authority, files, self._table, self._settings.port)
        key = f"{objects(self._ledger.run)}{next(self._numbers)}.json"
        self._ledger.intent(journal.OBJECTS, objects(self._ledger.run), {"bucket": site_bucket})
        self._aws.call("s3:PutObject", Bucket=site_bucket, Key=key, Body=listed.data, ContentType="application/json")
        lines = script.start(
            self._ledger.run, (self._url(bundle().key), bundle().sha256), (self._url(key), listed.sha256)
        )
        ended = self._commands.run([one.id for one in hosts.values()], lines, BOOT)
        self._aws.call("s3:DeleteObject", Bucket=site_bucket, Key=key)
        self._ledger.removed(journal.OBJECTS, objects(self._ledger.run))
        brought = frozenset(one.path for one in wanted)
        return [self._ready(name, one, said, brought) for (name, one), said in zip(hosts.items(), ended, strict=True)]

    def _listed(self, one: Cargo) -> Mapping[str, object]:
        """As a host reads it: what to fetch, or what must be there."""
        if isinstance(one, Blob):
            return {"path": one.path, "sha256": one.sha256, "url": self._url(one.key), "unpack": bool(one.modules)}
        return {"path": one.path}

    def renew(self, hosts: Sequence[Ready]) -> None:
        """Put fresh workers in the place of these hosts' own.

        :raises HostError: for the first that isn't up again; with what it said.
        """
        ended = self._commands.run([one.instance.id for one in hosts], script.renew(self._ledger.run), BOOT)
        for host, said in zip(hosts, ended, strict=True):
            said.check(f"{host.name} ({host.instance.id}) has no fresh worker")

    def logs(self, hosts: Sequence[Ready]) -> Mapping[str, str]:
        """The ends of workers' logs by hosts' names, by SSM, also for the log group; who doesn't answer is left out.

        :raises AwsError: if AWS says no.
        """
        names = {one.instance.id: one.name for one in hosts}
        found = self._commands.outputs(list(names), script.log_tail(self._ledger.run, LOG), LOG_DEADLINE)
        return {names[instance]: text + self._kept(names[instance], text) for instance, text in found.items()}

    def _kept(self, name: str, text: str) -> str:
        """Have a log in the log group, if there is one; why it isn't there: that stops nobody."""
        group = self._site.network.log_group
        try:
            if group:
                logs.keep(self._aws, group, f"{self._ledger.run}/{name}", text)
        except AwsError as error:
            return f"netbench: this isn't in the log group {group}: {error}\n"
        return ""

    def _ready(self, name: str, one: Instance, said: Invocation, brought: frozenset[str]) -> Ready:
        said.check(f"{name} ({one.id}) can't be made ready")
        try:
            answer = json.loads(said.output.strip().splitlines()[-1])
            pin, facts = str(answer["pin"]), dict(answer["facts"])
        except (ValueError, LookupError, TypeError):
            raise HostError(
                f"{name} ({one.id}): SSM says that its command succeeded, but it did not say that its worker listens: "
                f"{said.output.strip()[-200:]!r}"
            ) from None
        return Ready(name, one, pin, facts, brought)

    def store(self, blob: Blob) -> None:
        """Have it in the bucket under its SHA-256; looks first whether it is there, since it may be large.

        :raises HostError: if the bucket isn't there, isn't this account's, or these credentials may not use it.
        """
        if blob.key in self._uploaded:
            return
        bucket, account = self._site.network.bucket, self._site.account
        place: dict[str, Any] = {"Bucket": bucket, "Key": blob.key, "ExpectedBucketOwner": account}
        try:
            try:
                self._aws.call("s3:HeadObject", **place)
            except NotThere:
                with suppress(Exists):
                    self._aws.call("s3:PutObject", **place, Body=blob.data, IfNoneMatch="*")
        except (NotThere, RightsMissing) as error:
            raise HostError(
                f"the bucket {bucket} can't be used: it is gone, or somebody else's, or a right is missing: "
                f"{error}\n`netbench aws status` says what the stack has"
            ) from error
        self._uploaded.add(blob.key)

    def _url(self, key: str) -> str:
        return self._aws.presigned(self._site.network.bucket, key, URL_LIFE)
