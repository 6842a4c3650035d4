"""How does this machine become several hosts? One loopback address and one worker each, in a network of their own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from pytest_netbench.errors import HostError, UsageError, nearest
from pytest_netbench.hosts import namespace
from pytest_netbench.hosts.held import HeldWorkers
from pytest_netbench.hosts.ledger import DIRECTORY, KEPT
from pytest_netbench.hosts.model import Fleet, Host, Need
from pytest_netbench.hosts.provider import Provider, ProviderContext
from pytest_netbench.hosts.reap import reap_here
from pytest_netbench.result.environment import environment
from pytest_netbench.roles import Role

UP_DEADLINE = 30.0
"""Seconds for the holder, and for a worker, to be ready."""
WORKER = "pytest_netbench.worker:main"
LONGEST_SOCKET = 100
"""Bytes of a socket's path that every kernel takes (its limit is 108)."""

_SETTINGS = ("namespace",)


@dataclass(frozen=True, slots=True)
class _Place:
    """What belongs to one host, whichever worker it has."""

    role: Role
    index: int
    control: Path
    directory: Path
    log: Path

    @property
    def name(self) -> str:
        return f"{self.role.value}-{self.index}"


class LocalProvider(Provider):
    """Hosts on this machine; no root, nothing to set up.

    ``[providers.local] namespace = false`` keeps them on the machine's own loopback.
    """

    name: ClassVar[str] = "local"
    shares_machine: ClassVar[bool] = True

    @classmethod
    def refuses(cls, need: Need) -> str | None:
        """Links, kinds and MTUs that one loopback can't have."""
        if need.link is not None:
            return "a loopback has no link to emulate"
        for role, kind in need.kinds.items():
            if kind.type or kind.placement or kind.zone:
                return f"this machine is what it is: hosts of {role.value}s can't be {kind}"
        mtu = namespace.MTU if namespace.why_not_own() is None else namespace.mtu_of_lo()
        if need.mtu is not None and need.mtu != mtu:
            return f"the loopback of its hosts has an MTU of {mtu}, {need.mtu} is needed"
        return None

    def __init__(self, context: ProviderContext, worker: str = WORKER) -> None:
        for key in context.settings:
            if key not in _SETTINGS:
                raise UsageError(f"[providers.local] unknown key {key!r}: {nearest(key, _SETTINGS)}")
        self._context = context
        self._own = context.settings.get("namespace", True) is True and namespace.why_not_own() is None
        self._held = HeldWorkers(context.ledger, context.drivers, worker, own=self._own)
        self._folders: list[Path] = []
        self._places: dict[str, _Place] = {}
        self._facts: Mapping[str, str | int] = {}

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(reap_here)
        self._make_folders()
        up = await asyncio.to_thread(self._held.start, self._work / "holder.log", UP_DEADLINE)
        self._facts = _facts(up)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._context.keep:
            self._held.keep()
            self._context.ledger.made(KEPT, self._context.run)
        else:
            await asyncio.to_thread(self.sweep)

    @asynccontextmanager
    async def fleet(self, need: Need) -> AsyncIterator[Fleet]:
        """Hosts for one test; those of earlier tests serve again, a worker that died is replaced."""
        wanted = [(Role.SERVER, index) for index in range(need.servers)]
        wanted += [(Role.CLIENT, index) for index in range(need.clients)]
        places = [self._place(role, index) for role, index in wanted]
        await self._alive(places)
        hosts = [self._host(place) for place in places]
        yield Fleet(
            servers=tuple(host for host in hosts if host.role is Role.SERVER),
            clients=tuple(host for host in hosts if host.role is Role.CLIENT),
            note=self._note(),
        )

    async def _alive(self, places: Sequence[_Place]) -> None:
        """Start the workers that aren't there."""
        requests = [
            {"name": one.name, "control": f"unix:{one.control}", "directory": str(one.directory), "log": str(one.log)}
            for one in places
            if not self._held.is_alive(one.name)
        ]
        await asyncio.to_thread(self._held.workers, requests, UP_DEADLINE)

    async def renew(self, fleet: Fleet) -> None:
        """End the workers and fork new ones."""
        places = [self._place(host.role, host.index) for host in fleet.all]
        await asyncio.to_thread(self._held.end, [place.name for place in places], UP_DEADLINE)
        await self._alive(places)

    async def salvage(self, hosts: Sequence[Host], into: Path) -> None:
        """Copy workers' logs, which survive the workers."""
        for host in hosts:
            if host.worker_log is not None:
                await asyncio.to_thread(_copy, host.worker_log, into / host.name / "worker.log")

    def sweep(self) -> None:
        """End all workers and remove all folders, now."""
        if self._context.keep:
            return
        self._held.stop()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
            self._context.ledger.removed(DIRECTORY, str(folder))
        self._folders.clear()

    def _make_folders(self) -> None:
        self._sockets, self._work = self._folder(_short_root()), self._folder(Path(tempfile.gettempdir()))

    def _folder(self, root: Path) -> Path:
        """A new folder of our own, in the ledger before it is made."""
        for name in _names(f"{self._context.run} {os.getpid()} {len(self._folders)}"):
            folder = root / name
            self._context.ledger.intent(DIRECTORY, str(folder))
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                self._context.ledger.removed(DIRECTORY, str(folder))
                continue
            except OSError as error:
                raise HostError(f"can't make a folder in {root}: {error.strerror}") from error
            self._context.ledger.made(DIRECTORY, str(folder))
            self._folders.append(folder)
            return folder
        raise HostError(f"can't find a free name for a folder in {root}")

    def _place(self, role: Role, index: int) -> _Place:
        name = f"{role.value}-{index}"
        if name not in self._places:
            directory = self._work / name
            directory.mkdir(mode=0o700)
            control = self._sockets / f"{role.value[0]}{index}"
            self._places[name] = _Place(role, index, control, directory, self._work / f"{name}.log")
        return self._places[name]

    def _host(self, place: _Place) -> Host:
        return Host(
            name=place.name,
            role=place.role,
            index=place.index,
            control=f"unix:{place.control}",
            data=address(place.role, place.index, run=None if self._own else self._context.run),
            facts=self._facts,
            worker_log=place.log,
        )

    def _note(self) -> str:
        if self._own:
            return ""
        mtu, why = self._facts["mtu"], namespace.why_not_own() or "switched off in the configuration"
        return (
            f"hosts share this machine's own loopback, whose MTU of {mtu} flatters every transport, "
            f"since there is no network of their own: {why}"
        )


def address(role: Role, index: int, run: str | None = None) -> str:
    """A host's loopback address; on the machine's own loopback each run has a block of its own."""
    block = 1 if run is None else 64 + hashlib.sha256(run.encode()).digest()[0] % 128
    third, fourth = divmod(index + 1, 256)
    return f"127.{block}.{third + (0 if role is Role.SERVER else 128)}.{fourth}"


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _names(what: str) -> Iterator[str]:
    """Short names that nobody else is likely to have."""
    digest = hashlib.sha256(what.encode()).hexdigest()
    return (f"nb-{digest[start : start + 8]}" for start in range(0, 56, 8))


def _short_root() -> Path:
    """Where sockets go: the user's runtime folder, the temporary one, or ``/tmp`` where those are too long."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    for root in (given, tempfile.gettempdir()):
        if root and len(os.fsencode(root)) + len("/nb-12345678/c99999") <= LONGEST_SOCKET and os.access(root, os.W_OK):
            return Path(root)
    return Path("/tmp")  # noqa: S108  a folder of mode 0700 is made in it


def _facts(up: Mapping[str, object]) -> dict[str, str | int]:
    known = environment()
    facts: dict[str, str | int] = {
        key: value for key in ("cpu_model", "cores") if isinstance(value := known.get(key), str | int)
    }
    return {
        "kernel": platform.release(),
        **facts,
        "mtu": int(str(up["mtu"])),
        "namespace": "own" if up["own"] else "machine",
    }
