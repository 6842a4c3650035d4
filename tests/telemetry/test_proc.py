"""Is a process told from another, and one that is gone from one that is there?"""

from __future__ import annotations

import os
import subprocess
import sys

from pytest_netbench.telemetry import proc


def test_a_process_that_is_gone_is_no_error() -> None:
    """Reads of a process that ended meanwhile give nothing."""
    gone = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    gone.wait()
    assert proc.children(gone.pid) == []
    assert proc.session(gone.pid) is None
    assert proc.cpu_s(gone.pid) == 0
    assert proc.rss(gone.pid) == 0
    assert not proc.is_working(gone.pid)
    assert proc.peak_rss(gone.pid) is None
    assert list(proc.sockets(gone.pid)) == []
    assert not proc.identify(gone.pid)


def test_who_computes_or_would_like_to_is_working() -> None:
    """And who waits for something else isn't."""
    spins = [sys.executable, "-I", "-S", "-c", "print(flush=True)\nwhile True: pass"]
    with subprocess.Popen(spins, stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        one.stdout.readline()
        assert proc.is_working(one.pid)
        one.kill()
        os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
        assert not proc.is_working(one.pid)


def test_a_process_that_ended_is_not_alive_nor_is_another_of_its_number() -> None:
    """The start time decides, and a zombie is dead."""
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)
    identity = proc.identify(child.pid)
    assert proc.is_alive(identity)
    assert not proc.is_alive(f"{child.pid}:1")
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
    assert proc.identify(child.pid) == identity
    assert not proc.is_alive(identity)
    child.wait()
    assert not proc.is_alive(identity)
