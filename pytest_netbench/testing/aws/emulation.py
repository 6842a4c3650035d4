"""How is the emulated cloud started, and told what should go wrong? A context manager, for tests of ours and of users.

::

    with Emulation() as cloud:
        cloud.faults(ApiFault("RequestLimitExceeded", "ec2", "DescribeInstances", status=503, times=2))
        settings = cloud.settings()          # as [providers.aws]
        cloud.client("ec2").describe_instances()
"""

from __future__ import annotations

import json
import select
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pytest_netbench.errors import HostError, UsageError
from pytest_netbench.hosts import namespace
from pytest_netbench.hosts.ledger import DIRECTORY, PROCESS, Ledger
from pytest_netbench.hosts.outliving import let_go
from pytest_netbench.telemetry.proc import identify
from pytest_netbench.testing.aws.rules import ApiFault, Cause, HostFault, Kind, to_json

UP_DEADLINE = 60.0
"""Seconds for moto to be loaded; two on an idle machine."""
END_DEADLINE = 20.0
"""Seconds for all hosts to be ended."""
ACCOUNT, REGION = "123456789012", "us-west-2"
INSTALL = "pip install 'pytest-netbench[aws-emulate]'"


class Emulation:
    """An emulated AWS on this machine.

    ``kind``: what its hosts are; those with namespaces want to be begun in a network that has no default route.
    ``delays``: seconds, as ``cloud.Delays`` names them. Everything in it ends with the ``with``, or with its owner.
    """

    def __init__(self, kind: Kind = Kind.LOOPBACK, **delays: float) -> None:
        self._kind, self._delays = kind, delays
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = self.network = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it serves.

        :raises UsageError: if moto isn't installed.
        :raises HostError: if it doesn't come up; with its last words.
        """
        self._place = Path(tempfile.mkdtemp(prefix="netbench-aws-"))
        command = [sys.executable, "-m", "pytest_netbench.testing.aws.server", str(self._place)]
        command += [json.dumps(self._delays), self._kind.value]
        log = self._place / "server.log"
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                _contained(tuple(command)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], UP_DEADLINE)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            words = log.read_text(errors="replace")[-2000:].strip()
            self.stop()
            if "No module named 'moto" in words:
                raise UsageError(f"the emulated AWS needs moto: {INSTALL}")
            why = "ended" if ready else f"isn't up within {UP_DEADLINE:g} s"
            raise HostError(f"the emulated AWS {why}: {words}")
        said = json.loads(line)
        self.endpoint, self.network = said["endpoint"], said["network"]

    def stop(self) -> None:
        """End it, and all its hosts."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(END_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()  # the kernel ends the hosts with it
            process.wait()
        process.stdout.close()
        shutil.rmtree(self._place, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def stop_for(self, ledger: Ledger) -> None:
        """End it, and note that in the ledger in which it stands."""
        identity, folder = identify(self.pid), self._place
        self.stop()
        ledger.removed(PROCESS, identity)
        ledger.removed(DIRECTORY, str(folder))

    def abandon(self) -> None:
        """Leave it to whoever else holds its lifeline, and to the ledger's next reaper."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        let_go(self._process)
        self._process = None

    @property
    def lifeline(self) -> int:
        """The descriptor with whose last copy it ends."""
        assert self._process is not None
        assert self._process.stdin is not None
        return self._process.stdin.fileno()

    @property
    def folder(self) -> Path:
        """Where its hosts have their files."""
        return self._place

    # --- for those who use it ----------------------------------------------------------------------

    def settings(self, **more: object) -> Mapping[str, object]:
        """What makes provider ``aws`` use it, as ``[providers.aws]`` in the configuration."""
        where = {"endpoint": self.endpoint, "region": REGION, "network": self.network, "accounts": [ACCOUNT]}
        return {**where, "poll": 0.05, **more}

    def configuration(self, **more: object) -> str:
        """The text of a ``netbench.toml`` with these settings."""
        rows = "\n".join(f"{name} = {json.dumps(value)}" for name, value in self.settings(**more).items())
        return f'provider = "aws"\n[providers.aws]\n{rows}\n'

    def set_up(self, stack: str = "netbench") -> None:
        """Make the stack in which hosts stand, as ``netbench aws setup`` does."""
        from pytest_netbench.hosts.aws import stack as stacks
        from pytest_netbench.hosts.aws.api import Aws, Where
        from pytest_netbench.hosts.aws.template import template

        aws = Aws(Where(REGION, endpoint=self.endpoint))
        stacks.setup(aws, stack, template(stacks.zones_of(aws), network=self.network), poll=0.05)

    def client(self, service: str, **more: Any) -> Any:
        """A boto3 client of it."""
        import boto3

        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint, **{**keys, **more})

    def faults(self, *rules: ApiFault | HostFault) -> None:
        """What goes wrong from now on: these rules in the place of all earlier ones."""
        self._order("faults", [to_json(one) for one in rules])

    def kill(self, instance: str, cause: Cause = Cause.CRASH) -> None:
        """Pull the plug of a host."""
        self._order("kill", {"instance": instance, "cause": cause.value})

    def delays(self, **seconds: float) -> None:
        """Change how long things take."""
        self._order("delays", seconds)

    def stack_is(self, name: str, status: str, reason: str = "") -> None:
        """Let CloudFormation say that a stack is in this state, and in its events why."""
        self._order("stack", {"name": name, "status": status, "reason": reason})

    def state(self) -> Mapping[str, Any]:
        """``hosts``: their state, and whether they are alive; ``calls`` so far; ``log``."""
        return self._order("state", None)

    def enforce(self, *, after: int) -> None:
        """Enforce IAM's rights after so many more calls; conditions and resources aren't read."""
        request = urllib.request.Request(  # noqa: S310  our own server's address
            f"{self.endpoint}/moto-api/reset-auth", data=str(after).encode(), headers={"Content-Type": "text/plain"}
        )
        with urllib.request.urlopen(request, timeout=END_DEADLINE):  # noqa: S310
            return

    def _order(self, what: str, given: object) -> Mapping[str, Any]:
        data = None if given is None else json.dumps(given).encode()
        request = urllib.request.Request(  # noqa: S310  our own server's address
            f"{self.endpoint}/_emulation/{what}", data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=END_DEADLINE) as answer:  # noqa: S310
            found: Mapping[str, Any] = json.loads(answer.read())
            return found


def started_for(ledger: Ledger, stack: str) -> Emulation:
    """One for a run, in its ledger, with the stack in which hosts stand.

    :raises HostError: if it doesn't come up.
    """
    made = Emulation()
    ledger.intent(PROCESS, f"emulated AWS of {ledger.run}")
    made.start()
    ledger.made(PROCESS, identify(made.pid))
    ledger.made(DIRECTORY, str(made.folder))
    ledger.removed(PROCESS, f"emulated AWS of {ledger.run}")
    made.set_up(stack)
    return made


def _contained(command: tuple[str, ...]) -> tuple[str, ...]:
    """In a process namespace of its own where the kernel allows it, so that hosts end with it even if it is killed."""
    if namespace.why_not_own() is not None:
        return command
    unshare = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc")
    return (*unshare, "--", *command)
