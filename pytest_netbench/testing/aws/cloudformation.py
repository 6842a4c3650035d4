"""Where does moto's CloudFormation differ from AWS's, and how is that mended? By states and events."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import moto.cloudformation.urls
from moto.cloudformation.exceptions import AlreadyExistsException, ValidationError
from moto.cloudformation.models import CloudFormationBackend, cloudformation_backends

if TYPE_CHECKING:
    from moto.cloudformation.models import Stack


_GONE = re.compile(r"\bNoSuch|NotFound\b|does not exist")


class Stacks(CloudFormationBackend):
    """A stack that can't be made, or removed, is there afterwards, and says so."""

    __module__ = "moto.cloudformation.models"  # moto's metaclass reads the service's name out of it
    _url_module = types.SimpleNamespace(  # a module, by moto's word; it reads these two
        url_bases=moto.cloudformation.urls.url_bases, url_paths=moto.cloudformation.urls.url_paths
    )

    def create_stack(self, name: str, *more: Any, **named: Any) -> Stack:
        """What was made of a stack that fails is removed again, and an empty stack left: ``ROLLBACK_COMPLETE``."""
        try:
            return super().create_stack(name, *more, **named)
        except (AlreadyExistsException, ValidationError):
            raise
        except Exception as error:  # noqa: BLE001  whatever it was, AWS says it by events
            stack = self.get_stack(name)
            with suppress(Exception):
                stack.resource_map.delete()
            become(stack, "ROLLBACK_COMPLETE", str(error))
            return stack

    def delete_stack(self, name_or_stack_id: str) -> None:
        """One that can't be removed stays: ``DELETE_FAILED``. What somebody else removed before is no hindrance."""
        stack = self.stacks.get(name_or_stack_id)
        if stack is not None:
            everything = stack.resource_map
            setattr(everything, "_delete_resource", _unless_gone(everything._delete_resource))  # noqa: B010, SLF001  no other way
        try:
            super().delete_stack(name_or_stack_id)
        except Exception as error:
            if stack is None:
                raise
            self.stacks[stack.stack_id] = stack
            become(stack, "DELETE_FAILED", str(error))


def _unless_gone(delete: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    def tolerant(*resource: Any) -> None:
        try:
            delete(*resource)
        except Exception as error:  # moto has no class for all of these
            if not _GONE.search(str(error)):
                raise

    return tolerant


def become(stack: Stack, status: str, reason: str = "") -> None:
    """Change what CloudFormation says; a reason stands in its events, as one of something that failed."""
    if reason:
        failed = f"{status.partition('_')[0].replace('ROLLBACK', 'CREATE')}_FAILED"
        stack._add_stack_event(failed, resource_status_reason=reason)  # noqa: SLF001  moto gives no other way to it
    stack.status = status


def force(name: str, status: str, reason: str = "") -> None:
    """Let the stack of a name be in this state.

    :raises KeyError: if there is none.
    """
    become({one.name: one for one in _all()}[name], status, reason)


def _all() -> Iterator[Stack]:
    for regions in cloudformation_backends.values():
        for backend in regions.values():
            yield from backend.stacks.values()


def install() -> None:
    """Put these in the place of moto's own."""
    cloudformation_backends.backend = Stacks
    cloudformation_backends.clear()
