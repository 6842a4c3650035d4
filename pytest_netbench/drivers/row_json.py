"""How does a driver's row travel, from the coordinator to the worker on each host? As JSON, without loss.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_netbench.drivers import foreign
from pytest_netbench.drivers.driver import (
    Arming,
    Command,
    CpuBy,
    Driver,
    End,
    Level,
    OptionKind,
    OptionSpec,
    OutputFormat,
    Transport,
)
from pytest_netbench.roles import Role


def to_json(driver: Driver) -> dict[str, Any]:
    """The row as it travels to a host."""
    return {
        "name": driver.name,
        "level": driver.level.value,
        "commands": {
            role.value: {"argv": list(command.argv), "env": dict(command.env)}
            for role, command in driver.commands.items()
        },
        "arming": driver.arming.value,
        "output": driver.output.value,
        "ends": {role.value: [end.value for end in ends] for role, ends in driver.ends.items()},
        "transport": driver.transport.value,
        "options": {name: _spec_to_json(spec) for name, spec in driver.options.items()},
        "configures": driver.configures,
        "install": driver.install,
        "paths": list(driver.paths),
        "secure": driver.secure,
        "family": driver.family,
        "features": None if driver.features is None else sorted(driver.features),
        "multiplexes": driver.multiplexes,
        "multiplex_env": dict(driver.multiplex_env),
        "dumps_stacks": driver.dumps_stacks,
        "library": driver.library,
        "timeout_s": driver.timeout_s,
        "foreign": None if driver.foreign is None else foreign.to_json(driver.foreign),
        "port": driver.port,
        "tells_version": list(driver.tells_version),
        "build": driver.build,
        "toolchain": list(driver.toolchain),
        "out": driver.out,
        "cpu": driver.cpu.value,
        "modules": list(driver.modules),
        "one_thread": driver.one_thread,
        "profiles": driver.profiles,
        "qlogs": driver.qlogs,
        "meets": {name: dict(options) for name, options in driver.meets.items()},
    }


def _spec_to_json(spec: OptionSpec) -> dict[str, Any]:
    return {
        "kind": spec.kind.value,
        "meaning": spec.meaning,
        "on": list(spec.on),
        "off": list(spec.off),
        "choices": list(spec.choices),
        "least": spec.least,
        "role": None if spec.role is None else spec.role.value,
    }


def from_json(row: Mapping[str, Any]) -> Driver:
    """The row from what travelled; the inverse of ``to_json``."""
    return Driver(
        name=row["name"],
        level=Level(row["level"]),
        commands={
            Role(role): Command(tuple(command["argv"]), dict(command["env"]))
            for role, command in row["commands"].items()
        },
        arming=Arming(row["arming"]),
        output=OutputFormat(row["output"]),
        ends={Role(role): tuple(End(end) for end in ends) for role, ends in row["ends"].items()},
        transport=Transport(row["transport"]),
        options={name: _spec_from_json(spec) for name, spec in row["options"].items()},
        configures=row["configures"],
        install=row["install"],
        paths=tuple(row["paths"]),
        secure=row["secure"],
        family=row["family"],
        features=None if row["features"] is None else frozenset(row["features"]),
        multiplexes=row["multiplexes"],
        multiplex_env=dict(row["multiplex_env"]),
        dumps_stacks=row["dumps_stacks"],
        library=row["library"],
        timeout_s=row["timeout_s"],
        foreign=None if row["foreign"] is None else foreign.from_json(row["foreign"]),
        port=row["port"],
        tells_version=tuple(row["tells_version"]),
        build=row["build"],
        toolchain=tuple(row["toolchain"]),
        out=row["out"],
        cpu=CpuBy(row["cpu"]),
        modules=tuple(row["modules"]),
        one_thread=row["one_thread"],
        profiles=row["profiles"],
        qlogs=row["qlogs"],
        meets={name: dict(options) for name, options in row["meets"].items()},
    )


def _spec_from_json(spec: Mapping[str, Any]) -> OptionSpec:
    return OptionSpec(
        kind=OptionKind(spec["kind"]),
        meaning=spec["meaning"],
        on=tuple(spec["on"]),
        off=tuple(spec["off"]),
        choices=tuple(spec["choices"]),
        least=spec["least"],
        role=None if spec["role"] is None else Role(spec["role"]),
    )
