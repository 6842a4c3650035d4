"""How do tests run a real server by itself? On a port that is free, until it listens, ended at the end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_netbench.drivers import listening, registry
from pytest_netbench.errors import DriverMissing
from pytest_netbench.roles import Role
from pytest_netbench.telemetry import proc
from tests.drivers.builtin.builtin_processes import DEADLINE, HERE


@contextlib.contextmanager
def real_server(name: str, scenario: Path, *, multiplex: bool = False) -> Iterator[str]:
    """The address of a real server that runs this scenario; what it says goes to ``server.err`` beside the file."""
    driver = registry.KNOWN[name]
    try:
        program = driver.executable(Role.SERVER)
    except DriverMissing as missing:
        pytest.skip(str(missing))
    port = listening.free_port(HERE, driver.transport)
    mode = {"MULTIPLEX": "true", **driver.multiplex_env} if multiplex else {}
    env = {**os.environ, "SCENARIO": str(scenario), "TRACE": "disabled", "PORT": str(port), **mode}
    with scenario.with_name("server.err").open("w") as errors:
        process = subprocess.Popen((program, "--ip", HERE), env=env, stderr=errors)
        try:
            until = time.monotonic() + DEADLINE
            while not any(one.inode in proc.sockets(process.pid) for one in listening.at(HERE, port, driver.transport)):
                assert process.poll() is None
                assert time.monotonic() < until
            yield f"{HERE}:{port}"
        finally:
            process.terminate()
            process.wait(DEADLINE)
