"""What is public in russula? The names below, each loaded when it is first asked for."""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "coordinator": ("Coordinator",),
    "member": ("Target",),
    "errors": (
        "ActionFailed",
        "AddressError",
        "DeadlineExceeded",
        "LocalProtocolError",
        "ProtocolError",
        "RemoteProtocolError",
        "RussulaError",
        "WorkerFailed",
        "WorkerLost",
    ),
    "introspect": ("Change", "Snapshot", "WorkerView"),
    "protocol": ("Command", "Finished", "Peer", "Protocol", "Role"),
    "worker": ("Action", "Conversation", "Service", "serve"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
