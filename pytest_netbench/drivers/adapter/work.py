"""What is asked of the stand-in? Its environment, read: row, role, the scenario's plain transfer, addresses.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_netbench.drivers.driver import Driver, Level
from pytest_netbench.drivers.foreign import Foreign, placeholders
from pytest_netbench.drivers.process import MARK
from pytest_netbench.drivers.row_json import from_json
from pytest_netbench.roles import Role
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.scenario.netbench_json import read
from pytest_netbench.scenario.shape import Shape, shape

ROW, ARGUMENTS, SPAWN_ENVIRONMENT = "NETBENCH_ROW", "NETBENCH_ARGUMENTS", "NETBENCH_SPAWN"
"""Variables: the row as JSON, the arguments that options add as JSON, the environment of what is run as JSON."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a server is."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Peer:
        """From ``HOST:PORT``, an IPv6 address in brackets."""
        host, _, port = text.rpartition(":")
        return cls(host.strip("[]"), int(port))


@dataclass(frozen=True, slots=True)
class Work:
    """One side of a round.

    ``outbox``: where its files go that are fetched, ``folder``: the others. ``arguments``: what options add to each
    line. ``env``: of the commands, without the row's own.
    """

    driver: Driver
    foreign: Foreign
    role: Role
    index: int
    scenario: Scenario
    plain: Shape
    bind: str
    port: int
    peers: tuple[Peer, ...]
    outbox: Path
    folder: Path
    arguments: tuple[str, ...]
    env: Mapping[str, str]

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Work:
        """The work that an environment asks for.

        :raises Unsupported: if the scenario is no plain transfer.
        :raises ScenarioError: if its file is malformed.
        """
        driver = from_json(json.loads(environment[ROW]))
        assert driver.foreign is not None
        role = Role.SERVER if "SERVER_ID" in environment else Role.CLIENT
        scenario = read(environment["SCENARIO"])
        servers = range(len(scenario.servers)) if role is Role.CLIENT else ()
        return cls(
            driver=driver,
            foreign=driver.foreign,
            role=role,
            index=int(environment[f"{role.value.upper()}_ID"]),
            scenario=scenario,
            plain=shape(scenario),
            bind=environment["IP"] if role is Role.SERVER else environment["LOCAL_IP"],
            port=int(environment.get("PORT", "0")),
            peers=tuple(Peer.parse(environment[f"SERVER_{index}"]) for index in servers),
            outbox=Path(environment["NETBENCH_REPORT"]).parent,
            folder=Path.cwd(),
            arguments=tuple(json.loads(environment[ARGUMENTS])),
            env={**json.loads(environment[SPAWN_ENVIRONMENT]), **_mark(environment)},
        )

    @property
    def name(self) -> str:
        """The name for which the servers' certificate is valid."""
        return f"0.{self.scenario.id}.net"

    @property
    def commands_a_client(self) -> int:
        """How many commands a client runs for one server: one, or one a connection where the line has no number."""
        lines = self.foreign.lines.get(Role.CLIENT, {})
        if self.driver.level is Level.INTEROP:
            return self.plain.connections if self.plain.parallel else 1
        every = self.plain.kind in lines and "connections" not in placeholders(*lines[self.plain.kind])
        return self.plain.connections if every else 1


def _mark(environment: Mapping[str, str]) -> dict[str, str]:
    return {MARK: environment[MARK]} if MARK in environment else {}
