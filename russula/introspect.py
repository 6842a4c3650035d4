"""What can be seen of a coordination? Frozen snapshots and changes; and each protocol's picture, from its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from russula.clocks import Clock
from russula.messages import JSON
from russula.protocol import Command, Peer, Protocol, Role, Trigger


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker, as its coordinator knows it; instants in monotonic nanoseconds.

    ``clock``: how the worker's clock goes beside this one, once that was measured. ``silent_bytes``: what crossed its
    connections while they should have been silent. ``resumed``: how often a broken connection was had again.
    """

    state: Enum
    since_ns: int
    coordinator_state: Enum
    history: tuple[Enum, ...]
    said: Mapping[Enum, Mapping[str, JSON]]
    clock: Clock | None
    bytes_sent: int
    bytes_received: int
    silent_bytes: int
    connected: bool
    resumed: int
    last_error: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All workers of a coordinator, by name."""

    protocol: str
    workers: Mapping[str, WorkerView]


@dataclass(frozen=True, slots=True)
class Change:
    """A worker entered a state."""

    worker: str
    state: Enum


def label(trigger: Trigger) -> str:
    """A trigger in a picture."""
    match trigger:
        case Peer(state):
            return f"peer {state.name}"
        case Command(name):
            return name
        case _:
            return "finished"


def mermaid(protocol: Protocol) -> tuple[str, str]:
    """The coordinator's table and the worker's, as a mermaid state diagram each."""
    return _mermaid(f"{protocol.name}, coordinator", protocol.coordinator), _mermaid(
        f"{protocol.name}, worker", protocol.worker
    )


def _mermaid(title: str, role: Role[Enum]) -> str:
    lines = ["---", f"title: {title}", "---", "stateDiagram-v2", f"    [*] --> {role.initial.name}"]
    for state, row in role.table.items():
        lines += [f"    {state.name} --> {target.name}: {label(trigger)}" for trigger, target in row.items()]
        if not row:
            lines.append(f"    {state.name} --> [*]")
    failed = role.failed.name
    return "\n".join([*lines, f"    {failed}: {failed}, from any state but the ends", f"    {failed} --> [*]"]) + "\n"


def text(protocol: Protocol) -> str:
    """Both tables in columns: state, trigger, next state; an acting state has a star."""
    lines = []
    for name, role in (("coordinator", protocol.coordinator), ("worker", protocol.worker)):
        lines.append(f"{protocol.name} {name}")
        for state, row in role.table.items():
            star = "*" if state in role.acts else " "
            rows = [(label(trigger), target.name) for trigger, target in row.items()] or [("", "(end)")]
            lines += [f"  {state.name + star:12} {trigger:16} {target}" for trigger, target in rows]
        lines.append(f"  {'(any)':12} {'failure':16} {role.failed.name}")
    return "\n".join(lines) + "\n"


def markdown(protocol: Protocol) -> str:
    """All of it, as it stands in a page."""
    fenced = (("mermaid", one) for one in mermaid(protocol))
    return "\n".join(f"```{form}\n{drawn}```\n" for form, drawn in (*fenced, ("text", text(protocol))))
