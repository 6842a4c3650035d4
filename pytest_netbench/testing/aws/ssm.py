"""Where does moto's SSM differ from AWS's, and how is that mended? Commands really run, on the emulated hosts."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import threading
import time
import types
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import moto.ssm.urls
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models import ec2_backends
from moto.ssm.models import Parameter, SimpleSystemManagerBackend, ssm_backends
from moto.ssm.responses import SimpleSystemManagerResponse

from pytest_netbench.testing.aws.loopback import Refused
from pytest_netbench.testing.aws.simulated import Done

if TYPE_CHECKING:
    from moto.ssm.models import Command

    from pytest_netbench.testing.aws.cloud import Cloud

OUTPUT, ERRORS = 24_000, 8_000
"""Characters of standard output and standard error that SSM keeps of an invocation."""
LISTED = 2_500
"""Characters of them in a list."""
GOING = frozenset({"Pending", "InProgress"})
_AMAZON = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-"


class SsmError(ServiceException):
    """An error of SSM that moto doesn't know."""


class SsmResponse(SimpleSystemManagerResponse):
    """The operations that moto lacks."""

    @property
    def _backend(self) -> Ssm:
        backend = self.ssm_backend
        assert isinstance(backend, Ssm)
        return backend

    def list_command_invocations(self) -> ActionResult:
        """What became of a command, host by host; in pages."""
        wanted, name, details = (self._get_param(one) for one in ("CommandId", "InstanceId", "Details"))
        found = [
            _listed(one, with_output=bool(details))
            for command in self._backend._commands  # noqa: SLF001  moto keeps no other list
            for one in command.invocations
            if wanted in {None, command.command_id} and name in {None, one["InstanceId"]}
        ]
        return self._page("CommandInvocations", found)

    def describe_instance_information(self) -> ActionResult:
        """Whom SSM knows; in pages."""
        filters = {one["Key"]: set(one["Values"]) for one in self._get_param("Filters", []) or []}
        now, found = datetime.now(UTC), []
        for name, status in self._backend.managed().items():
            if _fits(self._backend.cloud.machines[name].instance, filters):
                found.append(
                    {
                        "InstanceId": name,
                        "PingStatus": status,
                        "PlatformType": "Linux",
                        "AgentVersion": "3.3.0",
                        "ResourceType": "EC2Instance",
                        "LastPingDateTime": now,
                    }
                )
        return self._page("InstanceInformationList", found)

    def cancel_command(self) -> EmptyResult:
        """End what runs."""
        for one in self._backend.get_command_by_id(self._get_param("CommandId")).invocations:
            if one["Status"] in GOING:
                one.update(Status="Cancelled", StatusDetails="Cancelled")
                if (process := one.get("process")) is not None:
                    os.killpg(process.pid, signal.SIGTERM)
        return EmptyResult()

    def _page(self, key: str, found: list[dict[str, Any]]) -> ActionResult:
        start, most = int(self._get_param("NextToken") or 0), int(self._get_param("MaxResults") or 50)
        end = start + min(most, 50)
        more = {"NextToken": str(end)} if end < len(found) else {}
        return ActionResult({key: found[start:end], **more})


def _fits(instance: Any, filters: dict[str, set[str]]) -> bool:
    tags = {one["key"]: one["value"] for one in instance.get_tags()}
    return all(
        instance.id in values if key == "InstanceIds" else tags.get(key.removeprefix("tag:")) in values
        for key, values in filters.items()
    )


def _listed(one: dict[str, Any], *, with_output: bool) -> dict[str, Any]:
    keys = ("CommandId", "InstanceId", "Comment", "DocumentName", "Status", "StatusDetails")
    said, errors = one["StandardOutputContent"], one["StandardErrorContent"]
    if errors:
        said += f"\n----------ERROR-------\n{errors}"
    plugin = {
        "Name": one["PluginName"],
        "Status": one["Status"],
        "StatusDetails": one["StatusDetails"],
        "ResponseCode": one["ResponseCode"],
        "Output": said[:LISTED],
    }
    return {**{key: one[key] for key in keys}, **({"CommandPlugins": [plugin]} if with_output else {})}


class Ssm(SimpleSystemManagerBackend):
    """What the operations stand on."""

    __module__ = "moto.ssm.models"  # moto's metaclass reads the service's name out of it
    _url_module = types.SimpleNamespace(  # a module, by moto's word; it reads these two
        url_bases=moto.ssm.urls.url_bases, url_paths={"{0}/$": SsmResponse.dispatch}
    )
    cloud: ClassVar[Cloud]

    def managed(self) -> dict[str, str]:
        """Whom SSM knows: instance to ping status."""
        return self.cloud.managed(self.region_name)

    def get_parameter(self, name: str) -> Parameter | None:
        """Canonical's images too, which moto doesn't have: Amazon's in their place."""
        if not name.startswith("/aws/service/canonical/"):
            return super().get_parameter(name)
        found = super().get_parameter(_AMAZON + ("arm64" if "arm64" in name else "x86_64"))
        if found is not None:
            found = copy.copy(found)
            found.name = name
        return found

    def send_command(self, **named: Any) -> Command:  # type: ignore[override]  # moto calls it by names only
        """Run it on each host, for real."""
        names, known = list(named["instance_ids"]), self.managed()
        for target in named["targets"]:
            filters = {target["Key"]: target["Values"]}
            reservations = ec2_backends[self.account_id][self.region_name].all_reservations(filters)
            names += [one.id for reservation in reservations for one in reservation.instances]
        if not named["targets"] and (lost := [one for one in names if known.get(one) != "Online"]):
            raise SsmError("InvalidInstanceId", f"Instances {lost} not in a valid state for account")
        if named["document_name"] not in {"AWS-RunShellScript", *self._documents}:
            raise SsmError("InvalidDocument", f"no document {named['document_name']}")
        command = super().send_command(**named)
        command.instance_ids = list(dict.fromkeys(names))  # moto's own has every instance of the region
        command.status = command.status_details = "Pending"
        command.invocations = [command.invocation_response(one, "aws:runShellScript") for one in command.instance_ids]
        for one in command.invocations:
            one.update(Status="Pending", StatusDetails="Pending", ResponseCode=-1, ExecutionElapsedTime="")
            one.update(StandardOutputContent="", StandardErrorContent="")
            threading.Thread(target=self._run, args=(command, one), daemon=True).start()
        return command

    def _run(self, command: Command, one: dict[str, Any]) -> None:
        machine = self.cloud.machines.get(one["InstanceId"])
        if machine is None or machine.host is None or not machine.host.alive:
            one.update(Status="Failed", StatusDetails="Undeliverable")
            return
        parameters, began = command.parameters, time.monotonic()
        one.update(Status="InProgress", StatusDetails="InProgress")
        try:
            folder = parameters.get("workingDirectory", [""])[0]
            process = machine.host.run("\n".join(parameters.get("commands", [])), folder)
        except (OSError, Refused) as error:
            one.update(Status="Failed", StatusDetails="Failed", StandardErrorContent=str(error))
            return
        one["process"] = process
        output, errors, late = _communicate(process, float(parameters.get("executionTimeout", ["3600"])[0]))
        if one["Status"] == "Cancelled" or not machine.host.alive:
            return  # of a host that died SSM learns only when its own time is over
        good = process.returncode == 0
        status = ("TimedOut", "ExecutionTimedOut") if late else ("Success", "Success") if good else ("Failed", "Failed")
        one.update(
            Status=status[0],
            StatusDetails=status[1],
            ResponseCode=process.returncode,
            StandardOutputContent=output[:OUTPUT],
            StandardErrorContent=errors[:ERRORS],
            ExecutionElapsedTime=f"PT{time.monotonic() - began:.3f}S",
            ExecutionEndDateTime=datetime.now(UTC).isoformat(),
        )
        if not any(other["Status"] in GOING for other in command.invocations):
            good = all(other["Status"] == "Success" for other in command.invocations)
            command.status = command.status_details = "Success" if good else "Failed"


def _communicate(process: subprocess.Popen[str] | Done, limit: float) -> tuple[str, str, bool]:
    try:
        return *process.communicate(timeout=limit), False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return *process.communicate(), True


def install(cloud: Cloud) -> None:
    """Put these in the place of moto's own."""
    Ssm.cloud = cloud
    ssm_backends.backend = Ssm
    ssm_backends.clear()
