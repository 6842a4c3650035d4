"""What is a driver? One frozen row: how each role is run, armed and ended, its options, and where it is.

The same table is read by the coordinator, which asks what is supported and installed, and by the worker on each host,
which runs it. This file runs on hosts: standard library only.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from pytest_netbench.drivers.foreign import PLACEHOLDER, Foreign, placeholders
from pytest_netbench.errors import DriverMissing, nearest
from pytest_netbench.roles import Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OptionValue: TypeAlias = bool | int | str


class Level(Enum):
    """How a driver is spoken to."""

    NETBENCH = "netbench"
    """Environment in, it listens, exit status 127 says unsupported."""
    COMMAND = "command"
    """Command lines of any performance tool, to which plain transfers are mapped down."""
    INTEROP = "interop"
    """The contract of the quic-interop-runner: ``ROLE``, ``TESTCASE``, ``REQUESTS``, files, exit status 127."""


class Arming(Enum):
    """How a client is made to begin at an agreed instant."""

    PIPE = "pipe"
    """It keeps the protocol of ``NETBENCH_ARM`` and waits, ready, in its own process."""
    EXECUTED = "executed"
    """It can't wait: a waiting child executes it at the instant, so its start-up comes after."""


class OutputFormat(Enum):
    """In which form a driver says what it did."""

    REPORT = "report"
    """A JSON report in the file that ``NETBENCH_REPORT`` names."""
    STDIO = "stdio"
    """Lines of ``TRACE=stdio`` on standard output."""


class End(Enum):
    """An end that a driver's row may expect."""

    EXIT_0 = "exit 0"
    SIGTERM = "SIGTERM"


class Transport(Enum):
    """In which of the kernel's socket tables a server is seen to listen."""

    TCP = "tcp"
    UDP = "udp"
    ANY = "any"


class CpuBy(Enum):
    """How CPU time is had without what a driver needs to start, where it doesn't tell that itself."""

    PROCESS = "process"
    """Not at all: it is that of the whole process, and never gated."""
    SLOPE = "slope"
    """From a second, smaller run of each round: what both need to start cancels out."""


class OptionKind(Enum):
    """The type of an option's value."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    TEXT = "text"


_TYPES: Mapping[OptionKind, type] = {OptionKind.BOOLEAN: bool, OptionKind.INTEGER: int, OptionKind.TEXT: str}


@dataclass(frozen=True, slots=True)
class OptionSpec:
    """One option of a driver.

    ``on``: arguments for a value that is set, with ``{value}`` in it; for booleans those for true. ``off``: those for
    false. A row with ``configures`` ignores both: its options travel in the scenario's own ``configuration`` map.
    ``choices``: the values that a text may have, any if empty. ``least``: of an integer. ``role``: the only side that
    has it.
    """

    kind: OptionKind
    meaning: str = ""
    on: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    least: int = 0
    role: Role | None = None

    def problem(self, value: object) -> str | None:
        """What is wrong with a value, or None."""
        if type(value) is not _TYPES[self.kind]:
            return f"expected {self.kind.value}, got {value!r}"
        if self.choices and value not in self.choices:
            return f"unknown value {value!r}: {nearest(str(value), self.choices)}"
        if isinstance(value, int) and not isinstance(value, bool) and value < self.least:
            return f"expected at least {self.least}, got {value}"
        return None

    def arguments(self, value: OptionValue) -> tuple[str, ...]:
        """The command-line arguments that set the option."""
        if value is False:
            return self.off
        return tuple(one.replace("{value}", str(value)) for one in self.on)


@dataclass(frozen=True, slots=True)
class Command:
    """How one role is run: arguments and additional environment, with the placeholders of ``PLACEHOLDERS``."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


PLACEHOLDERS = ("ip", "port", "scenario", "python", "package")
"""What may stand in braces in a command: address to bind, port, scenario file, this interpreter, our package."""


_BOTH: Mapping[Role, tuple[End, ...]] = MappingProxyType(
    {
        Role.SERVER: (End.SIGTERM, End.EXIT_0),
        Role.CLIENT: (End.EXIT_0,),
    }
)


@dataclass(frozen=True, slots=True)
class Driver:
    """A row of the table of drivers.

    ``ends``: the ends that are expected of each role. ``options`` as users name them. ``configures``: options are
    written into the scenario's ``configuration`` map and not given as arguments. ``install``: the line that brings the
    driver. ``paths``: folders that are looked into before PATH and ``~/.cargo/bin``. ``secure``: it needs certificates.
    ``family``: the name under which the analysis of a scenario lists this driver's faults. ``features``: what it can do
    of what a scenario may need (``Feature``'s names in lower case), None if it doesn't say and exits with 127 itself.
    ``multiplexes``: it carries several streams over one connection only when told to (``MULTIPLEX``);
    ``multiplex_env``: more environment then.
    ``dumps_stacks``: SIGUSR1 makes it write where it stands to standard error. ``library``: the library inside whose
    version is shown. ``tells_version``: the command whose first line is shown instead. ``timeout_s``: its own limit to
    a round. ``foreign``: the lines of a program that knows no scenarios (levels other than netbench). ``port``: where
    it always listens, 0 for any. ``build``: the shell command that makes it out of a repository, for ``$OUT`` in its
    commands; ``toolchain``: commands whose output says with what; ``out``: what stands in the place of ``$OUT``.
    ``cpu``: how CPU time is had where the driver tells that of its whole process only. ``meets``: options that it
    takes by itself where the other side is of that family. ``modules``: of Python, that it needs; on other hosts it
    says itself that they are missing. ``one_thread``: a process of it never uses more than one processor,
    unless it is told to (``multithreaded``, ``multiplex_env``).
    ``profiles``: it samples itself where ``NETBENCH_PROFILE`` names a file for
    folded stacks. ``qlogs``: it writes qlogs into the folder that ``QLOGDIR`` names.
    """

    name: str
    commands: Mapping[Role, Command]
    level: Level = Level.NETBENCH
    arming: Arming = Arming.EXECUTED
    output: OutputFormat = OutputFormat.STDIO
    ends: Mapping[Role, tuple[End, ...]] = field(default_factory=lambda: _BOTH)
    transport: Transport = Transport.ANY
    options: Mapping[str, OptionSpec] = field(default_factory=lambda: MappingProxyType({}))
    configures: bool = False
    install: str = ""
    paths: tuple[str, ...] = ()
    secure: bool = False
    family: str = ""
    features: frozenset[str] | None = None
    multiplexes: bool = False
    multiplex_env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    dumps_stacks: bool = False
    library: str = ""
    timeout_s: float | None = None
    foreign: Foreign | None = None
    port: int = 0
    tells_version: tuple[str, ...] = ()
    build: str = ""
    toolchain: tuple[str, ...] = ()
    out: str = ""
    cpu: CpuBy = CpuBy.PROCESS
    meets: Mapping[str, Mapping[str, OptionValue]] = field(default_factory=lambda: MappingProxyType({}))
    modules: tuple[str, ...] = ()
    one_thread: bool = False
    profiles: bool = False
    qlogs: bool = False

    @property
    def can_be_armed(self) -> bool:
        """Whether it waits, ready, and begins at an instant itself."""
        return self.arming is Arming.PIPE and self.foreign is None

    def locate(self) -> Mapping[Role, Path]:
        """The executable of each role on this machine.

        :raises DriverMissing: says what was looked for and where; the last line installs it.
        """
        for module in self.modules:
            if importlib.util.find_spec(module) is None:
                raise DriverMissing(f"driver {self.name}: {sys.executable} has no module {module}\n{self.install}")
        return {role: self.executable(role) for role in self.commands}

    def executable(self, role: Role) -> Path:
        """The executable of one role on this machine.

        :raises DriverMissing: as for ``locate``.
        """
        return self.find(self.commands[role].argv[0])

    def find(self, wanted: str) -> Path:
        """One of its executables on this machine.

        :raises DriverMissing: as for ``locate``.
        """
        if wanted == "{python}":
            return Path(sys.executable)
        found = find_executable(wanted, self.paths)
        if found is not None:
            return found
        where = ", ".join([*self.paths, "PATH", "~/.cargo/bin"]) if os.sep not in wanted else "that place"
        missing = f"driver {self.name}: no executable {wanted} in {where}"
        raise DriverMissing(f"{missing}\n{self.install}" if self.install else missing)


def find_executable(wanted: str, paths: Sequence[str] = ()) -> Path | None:
    """An executable of that name in these folders, on PATH or in ``~/.cargo/bin``; or at that path."""
    if os.sep in wanted:
        candidates = [Path(wanted).expanduser()]
    else:
        folders = [*paths, *os.environ.get("PATH", os.defpath).split(os.pathsep), "~/.cargo/bin"]
        candidates = [Path(folder).expanduser() / wanted for folder in folders if folder]
    return next((one for one in candidates if one.is_file() and os.access(one, os.X_OK)), None)


def unknown_placeholders(command: Command) -> list[str]:
    """What stands in braces in a command that nobody fills."""
    texts = (*command.argv, *command.env.values())
    return [name for name in placeholders(*texts) if name not in PLACEHOLDERS]


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of placeholders; unknown ones stay as they are, and double braces become single ones."""
    return PLACEHOLDER.sub(lambda match: values.get(match[2], match[0]) if match[2] else match[0][1:-1], text)
