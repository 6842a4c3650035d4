"""Do drivers of every kind run on hosts that have nothing but Python? Sessions on the emulated cloud."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_netbench.testing.aws.emulation import Emulation
from tests.aws.aws_runs import configure, left, pytest_run
from tests.aws.test_end_to_end import ends, results
from tests.drivers.test_interop import PROGRAM
from tests.test_own_driver import example

pytestmark = pytest.mark.timeout(300)
IPERF3 = Path(__file__).parents[2] / "docs" / "driver-command.md"
TEST = """
import pytest
from pytest_netbench import KB, download

@pytest.mark.netbench(scenario=download(200 * KB), drivers=["DRIVER"], rounds=1)
def test_it(netbench):
    assert netbench.run()["goodput"].value > 0
"""


BUILT = """
[drivers.mine]
build = "install -m 755 driver.py $OUT/mine"
toolchain = ["true"]
transport = "tcp"
server = "$OUT/mine"
client = "$OUT/mine"
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a driver that is to be built, one commit of it, and a change since."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    driver = tmp_path / "driver.py"
    driver.write_text(f"#!{sys.executable}\n{example()}")
    for words in (["init", "--quiet"], ["add", "driver.py"], ["commit", "--quiet", "-m", "driver"]):
        named = ["-c", "user.name=x", "-c", "user.email=x@localhost"]
        subprocess.run(["git", *named, *words], check=True, cwd=tmp_path)
    driver.write_text(driver.read_text() + "# changed\n")
    return tmp_path


def session(cloud: Emulation, folder: Path, driver: str, more: str = "", *words: str) -> tuple[int, str]:
    """How a session with one driver ends."""
    cloud.set_up()
    (folder / "test_it.py").write_text(TEST.replace("DRIVER", driver))
    configure(folder, cloud)
    with (folder / "netbench.toml").open("a") as file:
        file.write(more)
    ended = ends(pytest_run(folder, "-rs", *words))
    assert left(cloud) == []
    return ended


def test_packages_are_brought(cloud: Emulation, tmp_path: Path) -> None:
    """The built-in ``quic`` finds aioquic beside it."""
    status, said = session(cloud, tmp_path, "quic")
    assert status == 0, said
    assert " 1 passed" in said


def test_a_build_is_brought(cloud: Emulation, repository: Path) -> None:
    """Built here, run there."""
    status, said = session(cloud, repository, "mine", BUILT)
    assert status == 0, said
    assert " 1 passed" in said


def test_both_arms_of_a_comparison_are_brought(cloud: Emulation, repository: Path) -> None:
    """Two builds of one driver, side by side on the same hosts."""
    status, said = session(cloud, repository, "mine", BUILT, "--netbench-ab", "HEAD,worktree")
    assert status == 0, said
    rounds = results(repository)["tests"][0]["rounds"]
    assert {one["arm"] for one in rounds if one["metrics"]} == {"ref", "cand"}


def test_programs_of_level_interop_are_brought(cloud: Emulation, tmp_path: Path) -> None:
    """With their port and folders told, they need nothing that an ordinary user hasn't."""
    program = tmp_path / "endpoint"
    program.write_text(f"#!{sys.executable}\n{PROGRAM}")
    program.chmod(0o755)
    line = f"{program} {{www}} {{downloads}} {{certs}}"
    row = {"level": "interop", "server": f"{line} {{host}} {{port}}", "client": line, "transport": "tcp"}
    rows = "\n".join(f"{key} = {json.dumps(value)}" for key, value in row.items())
    status, said = session(cloud, tmp_path, "mine", f"[drivers.mine]\n{rows}\n")
    assert status == 0, said
    assert " 1 passed" in said


def iperf3() -> str:
    """The lines of its page."""
    return IPERF3.read_text().partition("```toml\n")[2].partition("```")[0]


@pytest.mark.skipif(shutil.which("iperf3") is None, reason="apt-get install iperf3")
def test_a_tool_may_be_on_the_image(cloud: Emulation, tmp_path: Path) -> None:
    """Where the settings say that it is."""
    where = f'[providers.aws.programs]\niperf3 = "{shutil.which("iperf3")}"\n'
    status, said = session(cloud, tmp_path, "iperf3", where + iperf3())
    assert status == 0, said
    assert " 1 passed" in said
    assert results(tmp_path)["tests"][0]["driver"] == "iperf3"


def test_a_tool_that_should_be_on_the_image_and_isnt_is_named(cloud: Emulation, tmp_path: Path) -> None:
    """By the hosts, with the setting that names it; they go all the same."""
    where = '[providers.aws.programs]\niperf3 = "/nowhere/iperf3"\n'
    status, said = session(cloud, tmp_path, "iperf3", where + iperf3())
    assert status == 1
    assert "the image has no program /nowhere/iperf3" in said


@pytest.mark.skipif(shutil.which("iperf3") is None, reason="apt-get install iperf3")
def test_a_tool_with_libraries_of_its_own_is_refused_before_a_host_is_made(cloud: Emulation, tmp_path: Path) -> None:
    """The library is named, and the way out."""
    before = len(cloud.state()["hosts"])
    status, said = session(cloud, tmp_path, "iperf3", iperf3())
    assert status == 1
    assert "iperf3/iperf3 needs libiperf.so.0, which the image doesn't have" in said
    assert len(cloud.state()["hosts"]) == before
