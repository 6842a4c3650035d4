"""Is it found out where a driver's CPU time goes, and said where it isn't? With real processes and a real perf."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.drivers import profiling
from pytest_netbench.drivers.process import Process
from pytest_netbench.drivers.profiling import NOTE, Recording, profiled
from pytest_netbench.drivers.registry import KNOWN
from pytest_netbench.telemetry.stacks import left

SPIN = """
import os, time
while not os.path.exists("go"): time.sleep(0.001)
end = time.process_time() + 0.5
while time.process_time() < end: sum(range(1000))
"""


async def record(folder: Path, **row: Any) -> dict[str, Any]:
    """Record a process that computes for a while, once it is recorded, as if it were a driver; what is said of it."""
    outbox, inbox = folder / "out", folder / "in"
    outbox.mkdir()
    inbox.mkdir()
    process = Process.start((sys.executable, "-c", SPIN), {}, output=inbox / "o", errors=inbox / "e", folder=inbox)
    async with profiled(Recording(replace(KNOWN["tcp"], **row), process.tree(), outbox, inbox)):
        (inbox / "go").touch()
        await process.wait()
    await process.kill()
    said: dict[str, Any] = json.loads((outbox / NOTE).read_text())
    return said


async def test_without_a_profiler_it_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way with its reason."""
    monkeypatch.setenv("PATH", "/nonexistent")
    said = await record(tmp_path, profiles=False)
    assert (said["by"], said["samples"]) == ("", 0)
    assert "doesn't say that it samples itself; perf: it isn't on this host" in said["why_not"]


async def test_a_driver_that_wrote_nothing_is_told(tmp_path: Path) -> None:
    """It said that it samples itself."""
    said = await record(tmp_path, profiles=True)
    assert (said["samples"], said["why_not"]) == (0, "the driver: it took no sample")


async def test_a_profiler_that_fails_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A perf that the kernel allows nothing says so in its own words."""
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "perf"
    fake.write_text("#!/bin/sh\necho 'Error:' >&2\necho 'No permission to enable cpu-clock event.' >&2\nexit 255\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    said = await record(tmp_path, profiles=False)
    assert said["why_not"].endswith("perf: No permission to enable cpu-clock event.")


@pytest.mark.skipif(shutil.which("perf") is None, reason="apt-get install linux-perf")
async def test_perf_samples_a_program_that_knows_nothing_of_it(tmp_path: Path) -> None:
    """Where the kernel allows it: stacks with the program's name first, and nothing else is left on the host."""
    said = await record(tmp_path, profiles=False)
    if not said["samples"]:
        pytest.skip(said["why_not"])
    assert said["by"].startswith("perf")
    assert left(tmp_path / "out").total() == said["samples"] > 10
    assert not list((tmp_path / "in").glob("perf.data*"))
    assert set(profiling.PROFILERS) == {"the driver", "perf"}
