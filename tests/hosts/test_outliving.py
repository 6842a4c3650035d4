"""Is nothing said of a child that is meant to outlive its parent?"""

from __future__ import annotations

import subprocess
import sys

import pytest

PARENT = """
import subprocess
from pytest_netbench.hosts.outliving import let_go
{keep}(subprocess.Popen(["cat"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
"""


@pytest.mark.parametrize(("keep", "said"), [("let_go", False), ("[].append", True)])
def test_python_is_told_that_nobody_waits_for_it(keep: str, said: bool) -> None:
    """Without that, it warns at its end of a child that still runs: this one, until its input ends."""
    command = [sys.executable, "-W", "always", "-c", PARENT.format(keep=keep)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
        assert parent.stderr is not None
        assert ("is still running" in parent.stderr.read()) is said
        assert parent.wait(60) == 0
