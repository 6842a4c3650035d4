"""Where does moto's EC2 differ from AWS's, and how is that mended? Subclasses, where moto has places for them."""

from __future__ import annotations

import base64
import json
import types
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

import moto.ec2.urls
import moto.ec2.utils
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import DependencyViolationError, EC2ClientError, InvalidInstanceIdError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.instances import InstanceState
from moto.ec2.responses import EC2Response

from pytest_netbench.testing.aws.cloud import OVER, Cloud, Machine
from pytest_netbench.testing.aws.rights import need

if TYPE_CHECKING:
    from moto.ec2.models.instances import Instance, Reservation


class Ec2Error(EC2ClientError):
    """An error of EC2 that moto doesn't know."""


class Ec2Response(EC2Response):
    """The operations that moto lacks or gets wrong."""

    @property
    def _backend(self) -> Ec2:
        backend = self.ec2_backend
        assert isinstance(backend, Ec2)
        return backend

    def run_instances(self) -> ActionResult:
        """Client tokens, counts, groups and profiles as AWS has them; hosts that boot."""
        backend, token = self._backend, self._get_param("ClientToken")
        least, most = int(self._get_param("MinCount")), int(self._get_param("MaxCount"))
        group = self._get_param("Placement.GroupName")
        self._check(least, most, group)
        self._check_rights()
        with backend.cloud.lock:
            sent = {name: value for name, value in self.data.items() if name not in {"Action", "Version"}}
            signature = json.dumps(sent, sort_keys=True, default=str)
            if token and token in backend.tokens:
                first, answer = backend.tokens[token]
                if first != signature:
                    raise Ec2Error("IdempotentParameterMismatch", "the token was used with other parameters")
                return answer
            backend.count = most
            answer = super().run_instances()
            if token:
                backend.tokens[token] = signature, answer
            self._launch(getattr(answer.result, "instances", []), group or "")
        return answer

    def _check_rights(self) -> None:
        """Tags that are given with what is made, and a profile, need rights of their own."""
        if self._get_param("TagSpecifications"):
            need(self, "ec2:CreateTags")
        if self._get_param("IamInstanceProfile.Arn") or self._get_param("IamInstanceProfile.Name"):
            need(self, "iam:PassRole")

    def create_security_group(self) -> ActionResult:
        """With the rights for its tags."""
        self._check_rights()
        return super().create_security_group()

    def _check(self, least: int, most: int, group: str | None) -> None:
        if least > most:
            raise Ec2Error("InvalidParameterValue", f"MinCount {least} exceeds MaxCount {most}")
        if group and group not in self._backend.placement_groups:
            raise Ec2Error("InvalidPlacementGroup.Unknown", f"The placement group '{group}' is unknown.")
        for interface in self._get_param("NetworkInterfaces", []) or []:
            for security_group in interface.get("Groups", []):
                if self._backend.get_security_group_from_id(security_group) is None:
                    raise Ec2Error("InvalidGroup.NotFound", f"The security group '{security_group}' does not exist")

    def _launch(self, instances: list[Instance], group: str) -> None:
        backend = self._backend
        arn, name = self._get_param("IamInstanceProfile.Arn"), self._get_param("IamInstanceProfile.Name")
        user_data = base64.b64decode(self._get_param("UserData") or "").decode(errors="replace")
        for index, instance in enumerate(instances):
            if index and (arn or name):  # moto gives it to the first only
                backend.associate_iam_instance_profile(
                    instance_id=instance.id, iam_instance_profile_arn=arn, iam_instance_profile_name=name
                )
            instance._placement.group_name = group  # noqa: SLF001  no other way
            if instance.nics[0].public_ip is not None:  # moto's own are real addresses of strangers
                instance.nics[0].public_ip = backend.cloud.public(str(instance.private_ip))
            backend.cloud.launch(instance, managed=bool(arn or name), user_data=user_data)

    def create_placement_group(self) -> ActionResult:
        """A group to be near in."""
        self.error_on_dryrun()
        self._check_rights()
        name, groups = self._get_param("GroupName"), self._backend.placement_groups
        if name in groups:
            raise Ec2Error("InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists.")
        tags = self._parse_tag_specification().get("placement-group") or {}
        groups[name] = {
            "GroupName": name,
            "GroupId": f"pg-{uuid.uuid4().hex[:17]}",
            "Strategy": self._get_param("Strategy"),
            "State": "available",
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }
        return ActionResult({"PlacementGroup": groups[name]})

    def describe_placement_groups(self) -> ActionResult:
        """Those of these names and tags."""
        groups = self._backend.placement_groups
        names = self._get_param("GroupNames", []) or list(groups)
        filters = self._filters_from_querystring()
        return ActionResult({"PlacementGroups": [groups[one] for one in names if _fits(groups.get(one), filters)]})

    def delete_placement_group(self) -> EmptyResult:
        """Refused while an instance is in it."""
        name, backend = self._get_param("GroupName"), self._backend
        if name not in backend.placement_groups:
            raise Ec2Error("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
        if any(one._placement.group_name == name for one in backend.standing()):  # noqa: SLF001
            raise Ec2Error("InvalidPlacementGroup.InUse", f"The placement group '{name}' is in use.")
        del backend.placement_groups[name]
        return EmptyResult()


def _fits(group: dict[str, Any] | None, filters: dict[str, Any]) -> bool:
    if group is None:
        return False
    tags = {one["Key"]: one["Value"] for one in group["Tags"]}
    wanted = {key.removeprefix("tag:"): values for key, values in filters.items() if key.startswith("tag:")}
    return all(tags.get(key) in values for key, values in wanted.items())


class Ec2(EC2Backend):
    """What the operations stand on."""

    __module__ = "moto.ec2.models"  # moto's metaclass reads the service's name out of it
    _url_module = types.SimpleNamespace(  # a module, by moto's word; it reads these two
        url_bases=moto.ec2.urls.url_bases, url_paths={"{0}/": Ec2Response.dispatch}
    )
    cloud: ClassVar[Cloud]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.placement_groups: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, tuple[str, ActionResult]] = {}
        self.count: int | None = None

    def run_instances(self, image_id: str, count: int, *more: Any, **named: Any) -> Reservation:
        """As many as the request's MaxCount says."""
        wanted, self.count = self.count or count, None
        return super().run_instances(image_id, wanted, *more, **named)

    def all_reservations(self, filters: Any = None) -> list[Reservation]:
        """Those that can be seen by now."""
        found = super().all_reservations(filters)
        return [one for one in found if all(self.cloud.is_visible(instance.id) for instance in one.instances)]

    def standing(self) -> list[Instance]:
        """Instances that something may still depend on, seen or not."""
        return [one.instance for one in list(self.cloud.machines.values()) if one.state != "terminated"]

    def terminate_instances(self, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        """Idempotent, and not done at once."""
        ended = []
        for instance in self.get_multi_instances_by_id(instance_ids):
            machine: Machine = self.cloud.machines[instance.id]
            with self.cloud.lock:
                before = InstanceState(machine.state, 0)
                if machine.state not in OVER:
                    self.cloud.end(machine)
            ended.append((instance, before))
        if not ended:
            raise InvalidInstanceIdError(instance_ids)
        return ended

    def delete_security_group(self, name: str | None = None, group_id: str | None = None) -> Any:
        """Refused while an instance has it."""
        for instance in self.standing():
            if any(group.id == group_id for nic in instance.nics.values() for group in nic.group_set):
                raise DependencyViolationError(f"resource {group_id} has a dependent object")
        return super().delete_security_group(name, group_id)

    def delete_vpc(self, vpc_id: str) -> Any:
        """Route tables of a stack go with it: moto's CloudFormation doesn't delete them."""
        for table in list(self.describe_route_tables(filters={"vpc-id": vpc_id}))[1:]:
            table.associations.clear()
            self.delete_route_table(table.id)
        return super().delete_vpc(vpc_id)


def install(cloud: Cloud) -> None:
    """Put these in the place of moto's own."""
    Ec2.cloud = cloud
    ec2_backends.backend = Ec2
    ec2_backends.clear()
    moto.ec2.utils.filter_dict_attribute_mapping["client-token"] = "client_token"
