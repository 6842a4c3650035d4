"""What else is measured beside a round? Sources of other plugins: a switch's counters, a power meter, a program's log.

They are begun before the round's drivers start and end when these have ended, on the machine of the tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, SupportsFloat

from pytest_netbench.errors import RunError, UsageError
from pytest_netbench.result.catalogue import POINTS, Kind, add

if TYPE_CHECKING:
    from pytest_netbench.hosts.model import Host
    from pytest_netbench.result.model import Round


@dataclass(frozen=True, slots=True)
class Place:
    """Where a round takes place: its hosts, servers first, and the folder that keeps what it leaves."""

    hosts: tuple[Host, ...]
    folder: Path


@dataclass(frozen=True, slots=True)
class Source:
    """What a plugin measures beside every round.

    ``watch``: called with the round's place; a context manager around the round, whose value is a mapping that holds
    the metrics of this round when it has been left. ``metrics``: all that it may find, by name, in SI base units.
    """

    watch: Callable[[Place], AbstractContextManager[Mapping[str, float]]]
    metrics: Mapping[str, Kind]


def known(sources: Mapping[str, object]) -> dict[str, Source]:
    """What plugins offer, checked; from now on their metrics, as ``SOURCE.METRIC``, are known.

    :raises UsageError: for what is no source, or a metric whose name has a meaning of its own.
    """
    found: dict[str, Source] = {}
    for name, one in sources.items():
        if not isinstance(one, Source):
            raise UsageError(f"pytest_netbench_telemetry: {name}: expected a Source, got {one!r}")
        for metric in one.metrics:
            if metric.rpartition(".")[2] in POINTS:
                raise UsageError(f"pytest_netbench_telemetry: {name}.{metric}: {', '.join(POINTS)} are traces' names")
        add({f"{name}.{metric}": kind for metric, kind in one.metrics.items()})
        found[name] = one
    return found


class Beside:
    """All sources beside one round: begun with ``with``; they end when they are asked what they found."""

    def __init__(self, sources: Mapping[str, Source], place: Place) -> None:
        self._sources, self._place = sources, place
        self._found: dict[str, Mapping[str, float]] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        try:
            for name, source in self._sources.items():
                self._found[name] = self._open.enter_context(_watched(name, source, self._place))
        except RunError:
            self.__exit__(RunError)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with nullcontext() if kind is None else suppress(RunError):  # what ends the round is told, not what comes of it
            self._open.close()

    def added_to(self, done: Round) -> Round:
        """The round with what they found.

        :raises RunError: if a source fails, or finds what it didn't announce; names it.
        """
        self._open.close()
        more = {
            f"{name}.{metric}": _number(f"{name}.{metric}", value, metric in self._sources[name].metrics)
            for name, found in self._found.items()
            for metric, value in _mapping(name, found).items()
        }
        return replace(done, metrics={**done.metrics, **more})


@contextmanager
def _watched(name: str, source: Source, place: Place) -> Iterator[Mapping[str, float]]:
    """One source beside a round; whatever goes wrong in it is told as its own."""
    try:
        with source.watch(place) as found:
            yield found
    except Exception as error:
        raise RunError(f"telemetry source {name} failed: {error!r}") from error


def _mapping(name: str, found: object) -> Mapping[str, object]:
    if not isinstance(found, Mapping):
        raise RunError(f"telemetry source {name}: expected a mapping of its metrics, got {found!r}")
    return found


def _number(name: str, value: object, announced: bool) -> float:  # noqa: FBT001 - a fact among facts
    if not announced:
        raise RunError(f"telemetry source {name.partition('.')[0]} found {name}, which isn't among its metrics")
    if not isinstance(value, SupportsFloat) or not math.isfinite(number := float(value)):
        raise RunError(f"telemetry source {name.partition('.')[0]}: {name}: expected a number, got {value!r}")
    return number
