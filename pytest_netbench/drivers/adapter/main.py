"""How does the stand-in behave as a netbench driver? It listens or begins at the instant, runs commands, reports, ends.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pytest_netbench.drivers import launcher, listening
from pytest_netbench.drivers.adapter import interop, parts
from pytest_netbench.drivers.adapter.children import Children, Ended
from pytest_netbench.drivers.adapter.report import report
from pytest_netbench.drivers.adapter.work import Work
from pytest_netbench.drivers.driver import Level
from pytest_netbench.drivers.environment import endpoint
from pytest_netbench.drivers.job import STATUS_UNSUPPORTED
from pytest_netbench.errors import NetbenchError, Unsupported
from pytest_netbench.roles import Role
from pytest_netbench.telemetry import proc
from pytest_netbench.telemetry.report_json import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_netbench.drivers.adapter.parts import Part

FAILED, USAGE = 1, 2
GRACE = 5.0
"""Seconds that a server has from SIGTERM on; below what its worker gives to this process."""


class Failure(Exception):
    """A command can't go on; ``status`` is what this process then exits with."""

    def __init__(self, text: str, status: int = FAILED) -> None:
        super().__init__(text)
        self.status = status


def main() -> int:
    """Do the work that the environment asks for; the exit status."""
    try:
        work = Work.of(os.environ)
        made = interop.parts(work) if work.driver.level is Level.INTEROP else parts.parts(work)
        return _server(work, made) if work.role is Role.SERVER else _client(work, made)
    except Unsupported as error:
        _say(f"unsupported: {error}")
        return STATUS_UNSUPPORTED
    except Failure as error:
        _say(str(error))
        return error.status
    except (NetbenchError, OSError) as error:
        _say(str(error))
        return USAGE


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is how a driver says why


def _start(children: Children, part: Part) -> int:
    try:
        return children.start(part.argv, part.env, part.output, part.root)
    except OSError as error:
        raise Failure(f"{part.argv[0]} can't be executed: {error.strerror}") from None


def _say_still_there(children: Children, what: str) -> None:
    """Of commands that are to end before they did what they should: which they are, and what they last printed."""
    for one in children.running:
        _say(f"`{one.shown}` {what}{one.last_words}")


# --- a server ----------------------------------------------------------------------------------


def _server(work: Work, made: Sequence[Part]) -> int:
    children = Children()
    try:
        _come_up(work, made, children)
        children.ready()
        while not children.told_to_end:
            children.wait()
            _still_there(children, "while it should serve", allowed=(0,))
    finally:
        daemons = [_daemon(one, children) for one in children.ended if children.left_behind]
        deaf = children.end(GRACE)
        interop.keep_logs(work)
    write(report(work, made, children, ()), work.outbox / "report.json")
    bad = [*daemons, *(f"`{one}` didn't end within {GRACE:g} s of SIGTERM" for one in deaf)]
    expected = {0, -15, 128 + 15, *work.foreign.ends}
    bad += [f"`{one.shown}` {one.how} at SIGTERM" for one in children.ended if not deaf and one.status not in expected]
    for words in bad:
        _say(words)
    return FAILED if bad else 0


def _come_up(work: Work, made: Sequence[Part], children: Children) -> None:
    """Start all commands, and wait until each listens; the first port is the one that others look at: it comes last."""
    for part in reversed(made):
        pid = _start(children, part)
        while not _listens(work, part, pid):
            if children.told_to_end:
                _say_still_there(children, f"doesn't listen at {endpoint(work.bind, part.port)}")
                return
            children.wait(0.002)
            _still_there(children, "before it was seen to listen", allowed=())


def _listens(work: Work, part: Part, pid: int) -> bool:
    """Whether that command, or what it started, listens."""
    found = {one.inode for one in listening.at(work.bind, part.port, work.driver.transport)}
    return any(inode in found for each in (pid, *proc.descendants(pid)) for inode in proc.sockets(each))


def _still_there(children: Children, when: str, *, allowed: Sequence[int]) -> None:
    """Nothing has ended by itself, but what has served all that it was asked for; none is a daemon."""
    for one in children.ended:
        if children.left_behind:
            raise Failure(_daemon(one, children))
        if one.status not in allowed and not children.told_to_end:
            status = STATUS_UNSUPPORTED if one.status == STATUS_UNSUPPORTED else FAILED
            raise Failure(f"`{one.shown}` ended {when}: it {one.how}{one.last_words}", status)


def _daemon(one: Ended, children: Children) -> str:
    return (
        f"`{one.shown}` made itself a daemon: it {one.how}, and process {children.left_behind[0]} goes on. "
        "Run it in the foreground: a benchmark has to see its end and its CPU time"
    )


# --- a client ----------------------------------------------------------------------------------


def _client(work: Work, made: Sequence[Part]) -> int:
    children = Children()
    if not _began():
        return launcher.STATUS_NO_INSTANT
    together = work.plain.parallel or work.driver.level is Level.INTEROP
    try:
        for part in made:
            _start(children, part)
            while not together and children.running and not children.told_to_end:
                children.wait()
                _all_well(children)
        while children.running and not children.told_to_end:
            children.wait()
            _all_well(children)
        _say_still_there(children, "hasn't ended")
    finally:
        children.end(0.3)
        interop.keep_logs(work)
    problems = [f"a command left process {pid} behind: run it in the foreground" for pid in children.left_behind]
    if work.driver.level is Level.INTEROP:
        problems += interop.compare(work, made)
    write(report(work, made, children, problems), work.outbox / "report.json")
    return 0


def _began() -> bool:
    """Say that all is ready, and wait for the instant; False if nobody will give one."""
    if "NETBENCH_ARM" not in os.environ:
        return True
    reader, writer = (int(one) for one in os.environ["NETBENCH_ARM"].split(","))
    os.write(writer, b"armed\n")
    instant = launcher.read_instant(reader)
    for one in (reader, writer):
        os.close(one)
    if instant is not None:
        launcher.sleep_to(instant)
    return instant is not None


def _all_well(children: Children) -> None:
    for one in children.ended:
        if one.status:
            status = STATUS_UNSUPPORTED if one.status == STATUS_UNSUPPORTED else FAILED
            raise Failure(f"`{one.shown}` {one.how}{one.last_words}", status)
