"""How does a row's `build` command become programs? Once for each tree, toolchain and flags, at one path."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.drivers.process import tail
from pytest_netbench.drivers.repository import Repository, Source
from pytest_netbench.drivers.words import rewritten
from pytest_netbench.errors import BuildError
from pytest_netbench.telemetry import proc

if TYPE_CHECKING:
    from pytest_netbench.drivers.driver import Driver

OUT = "$OUT"
"""In command lines: the folder with the products of a build."""

TOOLCHAIN = ("rustc -vV", "cc --version", "clang --version", "go version", "cmake --version")
"""Whose output says with what was built, where a row doesn't say otherwise; those that aren't here don't count."""

_FLAGS = (
    "RUSTFLAGS",
    "CFLAGS",
    "CXXFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
    "CC",
    "CXX",
    "GOFLAGS",
    "RUSTUP_TOOLCHAIN",
)
_FAMILIES = ("CARGO_", "CGO_", "CMAKE_")
_NO_FLAGS = ("CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_INSTALL_ROOT")
LONGEST = 3600.0
"""Seconds that a build may take, and that another's end may be waited for."""

PRODUCTS = "products"
"""The folder, below that of a repository's builds, that is ``$OUT`` while one is made."""

KEPT = 30
"""Builds of one repository that are kept, the last used ones."""

BUILDER = "NETBENCH_BUILDER"
"""The variable that tells for which process a build is made."""

_GRACE, _PAUSE, _ANSWER = 5.0, 0.1, 30.0


@dataclass(frozen=True, slots=True)
class Build:
    """One build, done or not. ``out``: the folder with its products, at a path that is known before.

    ``again``: 0, or which other build of the same source it is, made from nothing at the same path.
    """

    driver: Driver
    repository: Repository
    source: Source
    root: Path
    key: str
    again: int = 0

    @property
    def out(self) -> Path:
        """Where its products are, once they are."""
        return self.root / "out" / self.key

    @property
    def log(self) -> Path:
        """What it prints, while it goes on and afterwards."""
        return self.root / f"{self.key}.log"

    def __str__(self) -> str:
        return f"the build of {self.driver.name} at {self.source.name}"


def cache() -> Path:
    """Where builds are kept: in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "netbench" / "builds"


def plan(driver: Driver, ref: str, folder: Path, again: int = 0) -> Build:
    """The build of a row at a ref of the repository that ``folder`` belongs to; nothing is built yet.

    ``ref``: any of git's, ``merge-base`` (where HEAD left the main branch), or ``worktree`` (the working tree as it is,
    with what isn't committed). ``again``: which other build of the same, 0 for the one that is kept.

    :raises UsageError: if the folder is in no repository, or that has no such ref.
    """
    repository = Repository.at(folder)
    source = repository.source(ref)
    root = cache() / hashlib.sha256(str(repository.top).encode()).hexdigest()[:16]
    return Build(driver, repository, source, root, _key(driver, source, repository, again), again)


def at(driver: Driver, out: Path) -> Driver:
    """The row with a folder in the place of ``$OUT``, or of the folder that stood there before."""

    def text(word: str) -> str:
        return word.replace(driver.out or OUT, str(out))

    return replace(rewritten(driver, lambda line: tuple(map(text, line)), text), out=str(out))


def ensure(build: Build) -> Path:
    """Build, if nobody has yet; the folder with the products. Two never build in one repository at the same time.

    :raises BuildError: if the build fails; with the last lines that it printed, and where all of them are.
    """
    if build.out.is_dir():
        os.utime(build.out)
        return build.out
    build.root.mkdir(parents=True, exist_ok=True)
    with _alone(build.root / "lock") as lock:
        if not build.out.is_dir():  # who had the lock before may have built the same
            _build(build, lock)
    return build.out


def _key(driver: Driver, source: Source, repository: Repository, again: int) -> str:
    """What tells two builds apart: source, command, tools, flags."""
    flags = sorted(
        f"{name}={value}"
        for name, value in os.environ.items()
        if name in _FLAGS or (name.startswith(_FAMILIES) and name not in _NO_FLAGS)
    )
    tools = [_answer(command, repository.top) for command in driver.toolchain or TOOLCHAIN]
    whole = "\0".join([source.tree, driver.build, *tools, *flags, *([f"again {again}"] if again else [])])
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def _answer(command: str, folder: Path) -> str:
    """What a tool says of itself, asked where the source is, which may choose another version of it."""
    try:
        done = subprocess.run(
            shlex.split(command), cwd=folder, capture_output=True, text=True, timeout=_ANSWER, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[int]:
    """Hold the lock of a repository's builds; its descriptor, with which a build keeps it should we be killed."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + LONGEST
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise BuildError(f"another build holds {path} for more than {LONGEST:g} s") from None
                end_abandoned(path.parent / PRODUCTS)
                time.sleep(_PAUSE)
        yield descriptor
    finally:
        os.close(descriptor)


def end_abandoned(products: Path) -> None:
    """End a build whose own session was killed: nobody takes its products, and it keeps the lock while it goes on."""
    for pid in proc.processes():
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(pid)  # from here on, the number can't be another's
            try:
                known = dict(one.partition(b"=")[::2] for one in proc.environment(pid))
                builder = known.get(BUILDER.encode(), b"").decode(errors="replace")
                if builder and known.get(b"OUT") == os.fsencode(products) and not proc.is_alive(builder):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            finally:
                os.close(descriptor)


def _build(build: Build, lock: int) -> None:
    """Lay out the source, run the command, move its products to where they are looked for."""
    source, unfinished, products = build.root / "source", build.root / "unfinished", build.root / PRODUCTS
    # What a build that was killed left in the source isn't built upon; one that is made again begins with nothing.
    clean = unfinished.exists() or build.again > 0
    unfinished.touch()
    shutil.rmtree(products, ignore_errors=True)
    products.mkdir()
    build.repository.lay_out(build.source, source, clean=clean)
    log = build.log
    status = _run(build, source, products, lock)
    if status != 0:
        unfinished.unlink()  # it ended by itself: the next one may go on from there
        how = f"exited with status {status}" if status > 0 else f"was ended by {signal.Signals(-status).name}"
        raise BuildError(f"{build} {how}: {build.driver.build}\n{_last_lines(log)}\nall of it: {log}")
    if not any(products.iterdir()):
        raise BuildError(f"{build} left nothing in $OUT: {build.driver.build}\n{_last_lines(log)}\nall of it: {log}")
    build.out.parent.mkdir(exist_ok=True)
    products.rename(build.out)
    unfinished.unlink()
    _forget_old(build)


def _forget_old(build: Build) -> None:
    """Keep the builds that were used last."""
    others = sorted(build.out.parent.iterdir(), key=lambda one: one.stat().st_mtime, reverse=True)
    for one in others[KEPT:]:
        shutil.rmtree(one, ignore_errors=True)


def _run(build: Build, source: Path, products: Path, lock: int) -> int:
    """Run the command of the user's own configuration, as a shell does; its status."""
    with build.log.open("wb") as output:
        child = subprocess.Popen(
            ("/bin/sh", "-c", build.driver.build),
            cwd=source,
            env={**os.environ, "OUT": str(products), BUILDER: proc.identify(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            start_new_session=True,
        )
        try:
            return child.wait(LONGEST)
        except subprocess.TimeoutExpired:
            raise BuildError(f"{build} took longer than {LONGEST:g} s\n{_last_lines(build.log)}") from None
        finally:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Leave nothing of a build that didn't come to its end."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE)


def _last_lines(log: Path) -> str:
    return tail(log, 3000)
