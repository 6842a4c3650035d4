"""Are moto's internals still where the emulation reaches into them? If one of these fails, moto has moved."""

from __future__ import annotations

import importlib.metadata
import inspect

import moto.ec2.urls
import moto.ec2.utils
import moto.ssm.urls
import pytest
from moto.core.base_backend import BackendDict
from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.instances import Instance, InstanceState
from moto.ssm.models import Command, SimpleSystemManagerBackend, ssm_backends


def test_it_is_the_pinned_series() -> None:
    """A new series is taken after these tests were read again."""
    assert importlib.metadata.version("moto").split(".")[:2] == ["5", "2"]


@pytest.mark.parametrize("backends", [ec2_backends, ssm_backends])
def test_the_class_of_a_backend_can_be_put_in_its_place(backends: BackendDict[EC2Backend]) -> None:
    """``BackendDict.backend`` is what is instantiated."""
    assert inspect.isclass(backends.backend)
    assert "self.backend" in inspect.getsource(BackendDict) + inspect.getsource(type(backends))


@pytest.mark.parametrize("kind", [EC2Backend, SimpleSystemManagerBackend])
def test_urls_come_from_a_module_named_by_the_backend(kind: type) -> None:
    """``_url_module`` with ``url_bases`` and ``url_paths``."""
    assert isinstance(inspect.getattr_static(kind, "_url_module"), property)
    for module in (moto.ec2.urls, moto.ssm.urls):
        assert module.url_bases
        assert module.url_paths


@pytest.mark.parametrize(
    ("method", "names"),
    [
        (EC2Backend.run_instances, {"image_id", "count", "user_data", "security_group_names"}),
        (EC2Backend.all_reservations, {"filters"}),
        (EC2Backend.terminate_instances, {"instance_ids"}),
        (EC2Backend.delete_security_group, {"name", "group_id"}),
        (EC2Backend.get_multi_instances_by_id, {"instance_ids"}),
        (SimpleSystemManagerBackend.send_command, {"instance_ids", "targets", "document_name", "parameters"}),
        (Command.invocation_response, {"instance_id", "plugin_name"}),
    ],
)
def test_overridden_methods_take_what_they_took(method: object, names: set[str]) -> None:
    """By these names."""
    assert callable(method)
    assert names <= set(inspect.signature(method).parameters)


def test_an_instance_keeps_what_is_changed_behind_its_back() -> None:
    """Its state, its placement, its first interface."""
    source = inspect.getsource(Instance)
    for word in ("self._state = InstanceState", "self._placement", "self.nics[0]", "instance_initiated_shutdown"):
        assert word in source
    assert vars(InstanceState("running", 16)).keys() >= {"name", "code"}
    assert isinstance(moto.ec2.utils.filter_dict_attribute_mapping, dict)
    assert ActionResult({"a": 1}).result == {"a": 1}
