"""Do the shipped examples run, and can they be trusted as examples?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_netbench.protocols import CLIENT, SERVER
from russula.examples import warm_up
from russula.protocol import Protocol
from russula.testing import Mishap, explore, unreached

ROOT = Path(warm_up.__file__).parents[1]


def _private(folder: Path) -> Path:
    folder.chmod(0o700)
    return folder


@pytest.mark.parametrize("protocol", [SERVER, CLIENT, warm_up.WARM_UP], ids=lambda one: one.name)
def test_every_shipped_protocol_ends_in_agreement_whatever_happens(protocol: Protocol) -> None:
    """No state without a way out but the ends, no announcement lost or taken twice, no row that nobody needs."""
    assert not explore(protocol, Mishap.ALL).problems
    assert not unreached(protocol)


async def test_workers_meet_at_the_barrier(tmp_path: Path) -> None:
    """Whoever is warm first waits for the last; then all begin after one instant."""
    assert 0 <= await warm_up.main(_private(tmp_path)) < 5


def test_the_worked_example_is_short() -> None:
    """A protocol with its worker and coordinator stands in under 80 lines."""
    assert Path(warm_up.__file__).read_text().count("\n") < 80


def test_it_can_be_installed_alone(tmp_path: Path) -> None:
    """Its own wheel, with nothing else on the path but the standard library, runs the README's example."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("russula-*.whl")
    example = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[0]
    alone = f"import sys; sys.path.insert(0, {str(wheel)!r})\n{example}"
    subprocess.run([sys.executable, "-I", "-S", "-W", "error", "-c", alone], cwd=tmp_path, check=True, timeout=120)
