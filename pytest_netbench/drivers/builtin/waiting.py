"""For what does a client wait that is told to end? Read from where its generators stand: to note it would cost time.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pytest_netbench.drivers.builtin.thread import Thread

_SHOWN = 3

_OPERATIONS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "_send_rest": lambda own: f"stream {own['stream'].number}, send {own['amount']:,} bytes: {own['left']:,} are left",
    "_receive_rest": lambda own: (
        f"stream {own['stream'].number}, receive {own['amount']:,} bytes: {own['left']:,} are missing"
    ),
    "_drain": lambda own: f"stream {own['stream'].number}, receive all",
    "_refuse_rest": lambda own: f"stream {own['stream'].number}, receive finish",
    "_accept_later": lambda own: f"stream {own['number']} of the peer, accept",
    "_open_later": lambda own: f"stream {own['number']}, open",
    "park": lambda own: f"park at checkpoint {own['checkpoint']}",
    "sleep_until": lambda _: "sleep",
    "hold": lambda own: f"hold until {own['wanted']:,} connections are there",
    "_connecting": lambda _: "connect",
    "_dial": lambda _: "connect",
    **dict.fromkeys(("_handshake", "_fetch"), lambda _: "TLS handshake"),
    "_until_ready": lambda _: "QUIC handshake",
}


def waiting(thread: Thread) -> str:
    """What the first few of a thread and its children wait for, by connection, stream and operation."""
    found = list(dict.fromkeys(_each(thread)))
    more = [f"and {len(found) - _SHOWN:,} more"] if len(found) > _SHOWN else []
    return "; ".join([*found[:_SHOWN], *more])


def _each(thread: Thread) -> Iterator[str]:
    generator: Any = thread.generator
    while generator is not None and generator.gi_yieldfrom is not None:
        generator = generator.gi_yieldfrom
    frame = getattr(generator, "gi_frame", None)
    if frame is None:
        return
    name, own = frame.f_code.co_name, frame.f_locals
    if name in {"beside", "_as_they_arrive"}:
        for child in own["children"]:
            yield from _each(child)
        return
    where = getattr(thread.context, "title", "client")
    yield f"{where}, {_OPERATIONS[name](own) if name in _OPERATIONS else 'its end'}"
