"""What did a performance tool say that it did? By a named parser, or by a regular expression; pure.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_netbench.units import GB, KB, MB, Gbit_per_s, GiB, Kbit_per_s, KiB, Mbit_per_s, MiB

if TYPE_CHECKING:
    from pytest_netbench.drivers.foreign import Output

_SHOWN = 200


class Unreadable(Exception):
    """The output isn't what its rule expects; the text says what stands there."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one command's output tells; None for what it doesn't.

    ``moved``: payload bytes, in the direction of the kind, where the tool doesn't say which end counted. ``seconds``:
    over which they were moved. ``connects``: seconds of each handshake.
    """

    sent: int | None = None
    received: int | None = None
    moved: int | None = None
    seconds: float | None = None
    connections: int | None = None
    connects: tuple[float, ...] = ()


_BYTES = {"B": 1, "KB": KB, "MB": MB, "GB": GB, "KiB": KiB, "MiB": MiB, "GiB": GiB}
_BYTES |= {name.removesuffix("B") + "Bytes": size for name, size in _BYTES.items()}
_TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_RATES = {f"{name}/s": float(size) for name, size in _BYTES.items()}
_RATES |= {"bit/s": 0.125, "Kbit/s": Kbit_per_s, "Mbit/s": Mbit_per_s, "Gbit/s": Gbit_per_s}
_RATES |= {"bps": 0.125, "kbps": Kbit_per_s, "Mbps": Mbit_per_s, "Gbps": Gbit_per_s}

UNITS: Mapping[str, Mapping[str, float]] = {"bytes": _BYTES, "time": _TIMES, "rate": _RATES, "number": {"1": 1}}
"""The names of units by what they count: bytes, seconds, bytes per second."""

GROUPS: Mapping[str, str] = {
    "bytes": "bytes",
    "sent": "bytes",
    "received": "bytes",
    "seconds": "time",
    "rate": "rate",
    "connect": "time",
    "connections": "number",
}
"""The groups that an expression may have, and what each counts. ``NAME_unit`` beside one holds the unit itself."""


def read(rule: Output, text: str) -> Said:
    """What an output tells.

    :raises Unreadable: if it doesn't fit its rule; says what stands there.
    """
    return PARSERS[rule.parser](text) if rule.parser else _by_pattern(rule, text)


# --- a regular expression ----------------------------------------------------------------------


def _by_pattern(rule: Output, text: str) -> Said:
    """Of each group its last match counts; of ``connect``, a handshake each, all do."""
    last: dict[str, float] = {}
    connects: list[float] = []
    for match in re.finditer(rule.pattern, text, re.MULTILINE):
        for group, written in match.groupdict().items():
            if written is None or group.endswith("_unit"):
                continue
            number = _number(rule, group, written, match.groupdict().get(f"{group}_unit"))
            last[group] = number
            if group == "connect":
                connects.append(number)
    if not last:
        raise Unreadable(f"its output doesn't fit {rule.pattern!r}: {_last_line(text)}")
    seconds = last.get("seconds")
    if seconds is None and last.get("rate"):
        total = next((last[one] for one in ("bytes", "received", "sent") if one in last), None)
        seconds = None if total is None else total / last["rate"]
    whole = {name: round(last[name]) for name in ("sent", "received", "connections") if name in last}
    return Said(
        moved=round(last["bytes"]) if "bytes" in last else None,
        seconds=seconds,
        connects=tuple(connects),
        **whole,
    )


def _number(rule: Output, group: str, written: str, unit: str | None) -> float:
    known = UNITS[GROUPS[group]]
    name = (unit or "").strip() or rule.units.get(group, "")
    if name and name not in known:
        raise Unreadable(f"its output counts {group} in {name!r}, known are {', '.join(known)}")
    try:
        return float(written.replace(",", "")) * known.get(name, 1)
    except ValueError:
        raise Unreadable(f"in its output {group} is {written!r}, expected a number") from None


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return f"its last line is {lines[-1][:_SHOWN]!r}" if lines else "it printed nothing"


# --- iperf3 --json -----------------------------------------------------------------------------


def _iperf3(text: str) -> Said:
    """Results of ``iperf3 --json``, of one run or of several behind each other."""
    runs = [_iperf3_run(one, text) for one in _documents(text)]
    times = [one.seconds for one in runs if one.seconds is not None]
    return Said(
        sent=sum(one.sent or 0 for one in runs),
        received=sum(one.received or 0 for one in runs),
        seconds=sum(times),
        connections=sum(one.connections or 0 for one in runs),
    )


def _documents(text: str) -> Iterator[Any]:
    decoder, at, found = json.JSONDecoder(), 0, False
    while at < len(text) and (at := at + len(text[at:]) - len(text[at:].lstrip())) < len(text):
        try:
            document, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise Unreadable(f"its output isn't iperf3's JSON (--json): {_last_line(text[at:])}") from None
        found = True
        yield document
    if not found:
        raise Unreadable("its output isn't iperf3's JSON (--json): it printed nothing")


def _iperf3_run(document: Any, text: str) -> Said:  # noqa: ANN401 - whatever stands there
    if isinstance(document, dict) and document.get("error"):
        raise Unreadable(f"iperf3 says {str(document['error'])[:_SHOWN]!r}")
    try:
        end = document["end"]
        ours = end.get("sum_sent") or end["sum"]
        theirs = end.get("sum_received") or end["sum"]
        sending = [bool(ours.get("sender")), bool(theirs.get("sender"))]
        says = ours if any(sending) else theirs
        return Said(
            sent=int(ours["bytes"]) if any(sending) else 0,
            received=0 if any(sending) else int(theirs["bytes"]),
            seconds=float(says["seconds"]),
            connections=int(document["start"]["test_start"]["num_streams"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Unreadable(f"its output isn't iperf3's JSON (--json): {_last_line(text)}") from None


PARSERS: Mapping[str, Callable[[str], Said]] = {"iperf3-json": _iperf3}
"""Those that go by a name."""
