"""Are private and public addresses kept apart? Emulated hosts with networks of their own, where a mix-up can't pass."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.errors import HostError
from pytest_netbench.hosts import namespace
from pytest_netbench.testing.aws import namespaced
from pytest_netbench.testing.aws.emulation import Emulation
from pytest_netbench.testing.aws.rules import Kind
from tests.aws.test_brought import TEST
from tests.aws.test_end_to_end import INCAST, results
from tests.drivers.test_interop import quic_go

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(namespace.why_not_own() is not None, reason="no namespaces on this machine"),
]
ROOT = Path(__file__).parents[2]


def apart(what: str, folder: Path, **told: str) -> dict[str, Any]:
    """What came of it, in namespaces."""
    command = (sys.executable, "-m", "tests.aws.apart", what, str(folder), json.dumps(told))
    done = subprocess.run(namespace.within(command), cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_an_address_leads_where_it_should_and_nowhere_else(tmp_path: Path) -> None:
    """Hosts meet at private addresses alone; from outside there are public ones alone, and the group's port alone."""
    found = apart("addresses", tmp_path)
    assert all(one.startswith("10.77.") for one in found["private"])
    assert all(one.startswith("127.") for one in found["public"])
    assert found["own"] == [found["private"][0]]
    assert not [one for one in found["routes"] if one.startswith("default")]
    assert found["inside"][0] == "reached"
    assert found["inside"][1] != "reached"
    assert found["outside"] == ["ENETUNREACH", "reached", "ECONNREFUSED"]
    assert (found["facts"]["interface"], found["facts"]["mtu"]) == ("eth0", 9001)


@pytest.mark.parametrize("driver", ["tcp", "s2n-tcp"])
def test_a_session_keeps_control_and_data_apart(tmp_path: Path, driver: str) -> None:
    """Control over public addresses, data over private ones, in one and the same session; nothing is left."""
    (tmp_path / "test_incast.py").write_text(INCAST)
    done = apart("session", tmp_path, control="public", driver=driver)
    if "skipped" in done["said"] and driver != "tcp":
        pytest.skip("the real driver isn't installed")
    assert done["status"] == 0, done["said"]
    (test,) = results(tmp_path)["tests"]
    assert [] in [one["validity"] for one in test["rounds"]]
    assert all(one["address"].startswith("10.77.") for one in test["hosts"])
    assert done["left"] == []


@pytest.mark.real
def test_a_program_of_level_interop_has_its_port_and_its_folders(tmp_path: Path) -> None:
    """quic-go's, as they are: brought, and served at port 443 of each host."""
    rows = "\n".join(f"{key} = {json.dumps(value)}" for key, value in quic_go().items())
    (tmp_path / "test_it.py").write_text(TEST.replace("DRIVER", "quic-go"))
    done = apart("session", tmp_path, control="public", driver="quic-go", rows=f"[drivers.quic-go]\n{rows}\n")
    assert done["status"] == 0, done["said"]
    assert done["left"] == []
    (test,) = results(tmp_path)["tests"]
    assert [one["validity"] for one in test["rounds"]] == [[]]


def test_a_mix_up_of_the_two_is_no_success(tmp_path: Path) -> None:
    """A coordinator that takes private addresses from outside reaches nobody."""
    (tmp_path / "test_incast.py").write_text(INCAST.replace("incast(4, 2)", "incast(1, 1)").replace("== 8", "== 1"))
    done = apart("session", tmp_path, control="private", driver="tcp")
    assert done["status"] == 1
    assert "Network is unreachable" in done["said"]
    assert done["left"] == []


@pytest.mark.skipif(namespaced.why_not_here() is None, reason="this network has no default route")
def test_it_is_refused_where_a_mix_up_could_leave_the_machine() -> None:
    """A default route would take what is meant for a private address to strangers."""
    with pytest.raises(HostError, match="default route"), Emulation(Kind.NAMESPACES):
        pass
