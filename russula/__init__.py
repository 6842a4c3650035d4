"""What is public in russula? The names below, each loaded when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from russula.coordinator import Coordinator
    from russula.credentials import Credentials, issue
    from russula.errors import (
        ActionFailed,
        AddressError,
        CredentialsError,
        DeadlineExceeded,
        LocalProtocolError,
        ProtocolError,
        RemoteProtocolError,
        RussulaError,
        WorkerFailed,
        WorkerLost,
    )
    from russula.introspect import Change, Snapshot, WorkerView
    from russula.member import Target
    from russula.protocol import Command, Finished, Peer, Protocol, Role, State
    from russula.talk import BEGAN, LATE, Action, Conversation, Service
    from russula.worker import serve

_HOMES = {
    "coordinator": ("Coordinator",),
    "credentials": ("Credentials", "issue"),
    "errors": (
        "ActionFailed",
        "AddressError",
        "CredentialsError",
        "DeadlineExceeded",
        "LocalProtocolError",
        "ProtocolError",
        "RemoteProtocolError",
        "RussulaError",
        "WorkerFailed",
        "WorkerLost",
    ),
    "introspect": ("Change", "Snapshot", "WorkerView"),
    "member": ("Target",),
    "protocol": ("Command", "Finished", "Peer", "Protocol", "Role", "State"),
    "talk": ("BEGAN", "LATE", "Action", "Conversation", "Service"),
    "worker": ("serve",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BEGAN",
    "LATE",
    "Action",
    "ActionFailed",
    "AddressError",
    "Change",
    "Command",
    "Conversation",
    "Coordinator",
    "Credentials",
    "CredentialsError",
    "DeadlineExceeded",
    "Finished",
    "LocalProtocolError",
    "Peer",
    "Protocol",
    "ProtocolError",
    "RemoteProtocolError",
    "Role",
    "RussulaError",
    "Service",
    "Snapshot",
    "State",
    "Target",
    "WorkerFailed",
    "WorkerLost",
    "WorkerView",
    "issue",
    "serve",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
