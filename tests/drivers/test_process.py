"""Is a driver's process tree started, watched and ended as promised?"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_netbench.drivers.process import Process, half_of, tail
from pytest_netbench.telemetry import proc
from tests.drivers.driver_children import argv, running


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("name", "status", "number"), [("ends", 0, None), ("exits_1", 1, None), ("kills_itself", None, 9)]
)
async def test_every_end_is_read(tmp_path: Path, name: str, status: int | None, number: int | None) -> None:
    """The exit status is read, or the signal that ended it."""
    async with running(name, tmp_path) as child:
        ended = await child.process.wait()
        assert (ended.status, ended.signal) == (status, number)


async def test_sigterm_comes_first(tmp_path: Path) -> None:
    """A driver that obeys SIGTERM isn't killed."""
    async with running("waits", tmp_path) as child:
        await child.says()
        assert (await child.process.stop(30)).signal == signal.SIGTERM
        assert not child.process.killed


async def test_a_driver_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After its grace, SIGKILL ends it."""
    async with running("ignores_sigterm", tmp_path) as child:
        await child.says()
        assert (await child.process.stop(0.05)).signal == signal.SIGKILL
        assert child.process.killed


async def test_a_daemon_is_found_and_ended(tmp_path: Path) -> None:
    """A grandchild in its own session is gone when the driver is, too."""
    async with running("daemonises", tmp_path) as child:
        daemon = int(await child.says())
        await child.process.stop(30)
        assert not is_there(daemon)


@pytest.fixture
def dead() -> Iterator[int]:
    """A child of this process that has ended, and for which nobody has waited."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        yield child.pid


async def test_a_daemon_is_found_whose_parent_is_just_ending(
    tmp_path: Path, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first look it isn't the worker's child yet, and its parent doesn't tell any more whose it was."""
    children, seen = proc.children, [[dead]]
    monkeypatch.setattr(proc, "children", lambda pid: seen.pop() if seen and pid == os.getpid() else children(pid))
    async with running("daemonises", tmp_path) as child:
        daemon = int(await child.says())
        await child.process.stop(30)
        assert not is_there(daemon)
    assert not seen


async def test_another_driver_is_not_touched(tmp_path: Path) -> None:
    """Ending one tree leaves another of the same worker alone."""
    async with running("waits", tmp_path) as other, running("daemonises", tmp_path) as child:
        await child.says()
        await child.process.kill()
        assert other.process.exit is None


async def test_cpu_is_that_of_the_tree(tmp_path: Path) -> None:
    """CPU seconds come with the end."""
    async with running("burns", tmp_path) as child:
        assert (await child.process.wait()).cpu_s >= 0.05


async def test_stacks_are_dumped_on_request(tmp_path: Path) -> None:
    """A driver that hangs says where it stands."""
    async with running("dumps", tmp_path) as child:
        await child.says()
        await child.process.dump_stacks()
        assert "most recent call first" in child.process.tail()


async def test_stacks_of_the_dead_are_not_asked_for(tmp_path: Path) -> None:
    """Asking a driver that has ended for its stacks does nothing."""
    async with running("ends", tmp_path) as child:
        await child.process.wait()
        await child.process.dump_stacks()
        assert child.process.tree() == ()


async def test_the_tail_is_fit_to_be_shown(tmp_path: Path) -> None:
    """Nothing in the tail steers a terminal, whatever was written."""
    async with running("garbage", tmp_path) as child:
        await child.process.wait()
        assert child.process.tail() == "\ufffd[31mred\ufffd"


def test_the_tail_has_whole_lines(tmp_path: Path) -> None:
    """A long file is cut at a line's beginning; one that isn't there is empty."""
    path = tmp_path / "err"
    path.write_text("one line\n" * 1000)
    assert set(tail(path).splitlines()) == {"one line"}
    assert tail(tmp_path / "none") == ""


@pytest.mark.parametrize("program", ["absent", "."])
async def test_what_is_not_executable_is_an_error(tmp_path: Path, program: str) -> None:
    """A program that can't be executed is told at once, and nothing runs."""
    with pytest.raises(OSError, match=r"No such file|Permission denied"):
        Process.start([str(tmp_path / program)], {}, output=tmp_path / "o", errors=tmp_path / "e", folder=tmp_path)


async def test_output_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """No driver starts without the files of its streams."""
    with pytest.raises(FileNotFoundError):
        Process.start(argv("waits"), {}, output=tmp_path / "no" / "o", errors=tmp_path / "e", folder=tmp_path)


WORKER = """
import asyncio, os, sys
from pathlib import Path
from pytest_netbench.drivers.process import Process

async def main():
    here = Path(sys.argv[1])
    process = Process.start(sys.argv[2:], dict(os.environ), output=here / "o", errors=here / "e", folder=here)
    print(process.pid, flush=True)
    await process.wait()

asyncio.run(main())
"""


def test_a_driver_dies_with_its_worker(tmp_path: Path) -> None:
    """SIGKILL to the worker ends the driver: it is never left behind."""
    command = [sys.executable, "-c", WORKER, str(tmp_path), *argv("waits")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        descriptor = os.pidfd_open(int(worker.stdout.readline()))
        worker.kill()
    assert select.select([descriptor], [], [], 30)[0]  # readable: it has ended
    os.close(descriptor)


async def test_a_driver_runs_on_the_processors_that_it_is_given(tmp_path: Path) -> None:
    """Its children inherit them."""
    one = min(os.sched_getaffinity(0))
    program = [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"]
    process = Process.start(
        program,
        dict(os.environ),
        output=tmp_path / "o",
        errors=tmp_path / "e",
        folder=tmp_path,
        cpus=frozenset({one}),
    )
    assert (await process.wait()).status == 0
    await process.stop(30)
    assert (tmp_path / "o").read_text().strip() == str({one})


@pytest.mark.parametrize(
    ("cpus", "half", "expected"),
    [
        ({0, 1, 2, 3}, 0, {0, 1}),
        ({0, 1, 2, 3}, 1, {2, 3}),
        ({7, 5, 3, 1, 9}, 1, {5, 7, 9}),
        ({0, 1, 2, 3}, None, None),
        ({0, 1}, 0, {0}),
        ({0, 1}, 1, {1}),
        ({3}, 0, None),
    ],
)
def test_halves_of_a_machine(cpus: set[int], half: int | None, expected: set[int] | None) -> None:
    """Two halves without overlap; a single processor is shared."""
    assert half_of(cpus, half) == expected
