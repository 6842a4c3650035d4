"""With which arguments and environment is a driver run for a job? Pure.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.drivers.driver import Driver, OptionValue, fill
from pytest_netbench.drivers.job import Job, Watch
from pytest_netbench.drivers.row_json import to_json
from pytest_netbench.roles import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGE = Path(__file__).parents[1]
_CONTRACT = (
    "SCENARIO",
    "TRACE",
    "PORT",
    "IP",
    "LOCAL_IP",
    "MULTIPLEX",
    "MULTITHREADED",
    "MAX_MTU",
    "DISABLE_GSO",
    "QLOGDIR",
)
_FAMILIES = ("SERVER_", "CLIENT_", "ROUTER_", "NETBENCH_")
"""What the environment says to a driver: none of it may come from whoever started the worker."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command line, complete, and the whole environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


def endpoint(address: str, port: int) -> str:
    """``HOST:PORT``, an IPv6 address in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def invocation(
    driver: Driver,
    job: Job,
    *,
    options: Mapping[str, OptionValue],
    executable: Path,
    scenario: Path,
    report: Path,
    port: int,
    multiplex: bool,
    inherited: Mapping[str, str],
) -> Invocation:
    """What is executed for a job. ``inherited``: the environment of the worker."""
    command = driver.commands[job.role]
    values = {
        "ip": job.bind,
        "port": str(port),
        "scenario": str(scenario),
        "python": sys.executable,
        "package": str(_PACKAGE),
    }
    env = {name: value for name, value in inherited.items() if not _belongs_to_contract(name)}
    env |= {"SCENARIO": str(scenario), "NETBENCH_REPORT": str(report), "TRACE": "stdio"}
    env |= _watching(driver, job, report.parent)
    if job.role is Role.SERVER:
        env |= {"SERVER_ID": str(job.index), "IP": job.bind, "PORT": str(port)}
    else:
        env |= {"CLIENT_ID": str(job.index), "LOCAL_IP": job.bind}
        env |= {f"SERVER_{index}": peer for index, peer in enumerate(job.peers)}
    if multiplex or driver.multiplexes:
        env["MULTIPLEX"] = str(multiplex).lower()
    if multiplex:
        env |= driver.multiplex_env
    if driver.foreign is None:
        env |= {name: fill(text, values) for name, text in command.env.items()}
    added = [one for name, value in options.items() for one in driver.options[name].arguments(value)]
    if driver.foreign is not None:
        return _stand_in(driver, env, added)
    arguments = [fill(text, values) for text in command.argv[1:]]
    return Invocation((str(executable), *arguments, *([] if driver.configures else added)), env)


def _watching(driver: Driver, job: Job, outbox: Path) -> dict[str, str]:
    """What tells a driver to leave more than a report; in rounds that are measured, nothing does."""
    if job.watch is Watch.PROFILE and driver.profiles:
        return {"NETBENCH_PROFILE": str(outbox / "profile.folded")}
    return {"QLOGDIR": str(outbox)} if job.watch is Watch.QLOG and driver.qlogs else {}


def _stand_in(driver: Driver, env: Mapping[str, str], arguments: list[str]) -> Invocation:
    """Our own program in the place of one that knows no scenarios; that is run by it."""
    program = _PACKAGE / "drivers" / "adapter" / "__main__.py"
    plain = {name: value for name, value in env.items() if name == "QLOGDIR" or not _belongs_to_contract(name)}
    told = {
        "NETBENCH_ROW": json.dumps(to_json(driver)),
        "NETBENCH_ARGUMENTS": json.dumps(arguments),
        "NETBENCH_SPAWN": json.dumps(plain),
    }
    return Invocation((sys.executable, "-I", "-S", str(program)), {**env, **told})


def _belongs_to_contract(name: str) -> bool:
    return name in _CONTRACT or name.startswith(_FAMILIES)


def configured(scenario: bytes, role: Role, index: int, options: Mapping[str, OptionValue]) -> bytes:
    """A scenario file with options in the ``configuration`` of one endpoint, all as texts as the format has it."""
    document = json.loads(scenario)
    one = document[f"{role.value}s"][index]
    texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in options.items()}
    one["configuration"] = {**one.get("configuration", {}), **texts}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
