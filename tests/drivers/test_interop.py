"""Is the interop runner's contract kept without its containers, with a small program and with quic-go's own?"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.cli.main import main
from pytest_netbench.drivers import install, registry
from pytest_netbench.drivers.adapter import container, interop
from pytest_netbench.drivers.driver import Driver
from pytest_netbench.drivers.job import Watch
from pytest_netbench.drivers.support import check
from pytest_netbench.drivers.version import version_of
from pytest_netbench.errors import Unsupported
from pytest_netbench.roles import Role
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.catalog import connect, download, fan_out
from pytest_netbench.scenario.certificates import certify
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.telemetry.gather import read_host
from pytest_netbench.telemetry.model import HostReport
from russula import WorkerFailed
from tests import steady
from tests.worker_rounds import Round, serving

PROGRAM = """
'''An endpoint of the contract whose transport is TCP: a line with a path there, the file back.'''
import os, pathlib, socket, sys
www, downloads, certs = (pathlib.Path(one) for one in sys.argv[1:4])
if os.environ["TESTCASE"] not in ("transfer", "multiconnect"):
    print("can't do", os.environ["TESTCASE"])
    sys.exit(127)
if "QLOGDIR" in os.environ:
    pathlib.Path(os.environ["QLOGDIR"], os.environ["ROLE"] + ".sqlog").write_text("{}")
if os.environ["ROLE"] == "server":
    assert (certs / "cert.pem").read_text() and (certs / "priv.key").read_text()
    listener = socket.create_server((sys.argv[4], int(sys.argv[5])))
    while True:
        sock, _ = listener.accept()
        with sock, sock.makefile("r") as lines:
            sock.sendall((www / lines.readline().strip()).read_bytes())
assert not (certs / "priv.key").exists()
for url in os.environ["REQUESTS"].split():
    address, _, path = url.removeprefix("https://").partition("/")
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as sock, (downloads / path).open("wb") as file:
        sock.sendall(path.encode() + b"\\n")
        while data := sock.recv(1 << 16):
            file.write(data)
    if "SPOIL" in os.environ:
        spoiled = (downloads / path).read_bytes()[int(os.environ["SPOIL"]):]
        (downloads / path).write_bytes(spoiled + b"." * (len(os.environ.get("PAD", ""))))
"""
needs_mounts = pytest.mark.skipif(container.why_not() is not None, reason="no mount namespace of one's own here")


def small(folder: Path, *, places: bool = True, **more: Any) -> Driver:
    """The program above: told its folders by placeholders, or with those of the contract."""
    path = folder / "endpoint.py"
    path.write_text(PROGRAM)
    given = "{www} {downloads} {certs}" if places else "/www /downloads /certs"
    line = f"{sys.executable} -IS {path} {given}"
    section = {"level": "interop", "server": f"{line} {{host}} {{port}}", "client": line, "transport": "tcp", **more}
    return registry.table({"mine": section})["mine"]


async def play(driver: Driver, scenario: Scenario, folder: Path, watch: Watch | None = None) -> list[HostReport]:
    """A round between both ends."""
    scenario = certify(scenario)
    scenario.write(folder / "scenario.json")
    async with serving({"mine": driver}, folder) as address:
        await Round(address, folder / "scenario.json", folder / "results", "mine", watch=watch).play()
    return [read_host(folder / "results" / role.value, driver, scenario, role, 0, role.value) for role in Role]


def reasons(scenario: Scenario, hosts: list[HostReport]) -> tuple[str, ...]:
    return steady.reasons(scenario, hosts, armed=False)


@pytest.mark.parametrize(
    "scenario", [download(3_000_000), download(5000, request=1, connections=3), connect(4)], ids=["one", "three", "4"]
)
async def test_files_are_downloaded_and_compared(scenario: Scenario, tmp_path: Path) -> None:
    """Each stream is a file; as many bytes as the scenario says have come, and the round counts."""
    hosts = await play(small(tmp_path), scenario, tmp_path)
    assert reasons(scenario, hosts) == ()
    received = sum(one.received for connection in hosts[1].driver.connections for one in connection.streams)
    assert received == (0 if scenario == connect(4) else analyse(scenario).server_to_client_bytes)


@needs_mounts
async def test_folders_are_where_the_contract_has_them(tmp_path: Path) -> None:
    """A program that was made for a container finds them under the root, and its peer by name."""
    scenario = download(50_000)
    assert reasons(scenario, await play(small(tmp_path, places=False), scenario, tmp_path)) == ()
    assert "www" not in os.listdir("/")  # noqa: PTH208 - quick enough for a loop


@pytest.mark.parametrize(
    ("spoil", "pad", "why"),
    [
        ("1", "", "file0 has 49,999 bytes after its download, it should have 50,000"),
        ("1", "x", "file0 isn't the same after its download"),
    ],
)
async def test_a_file_that_differs_is_told(spoil: str, pad: str, why: str, tmp_path: Path) -> None:
    """Too short, or with other bytes: the round doesn't count."""
    driver = small(tmp_path, env={"SPOIL": spoil, "PAD": pad})
    scenario = download(50_000)
    assert f"client: {why}" in reasons(scenario, await play(driver, scenario, tmp_path))


def qlogs(folder: Path, role: Role) -> list[Path]:
    return sorted((folder / "results" / role.value).glob("*qlog"))


@pytest.mark.parametrize("watch", [Watch.QLOG, None])
@pytest.mark.parametrize("places", [True, pytest.param(False, marks=needs_mounts)])
async def test_qlogs_are_kept_where_they_are_asked_for(places: bool, watch: Watch | None, tmp_path: Path) -> None:
    """Of the server, and of each client's command; in a round that is measured no program is told to write them."""
    scenario = download(50_000, connections=2)
    assert reasons(scenario, await play(small(tmp_path, places=places), scenario, tmp_path, watch)) == ()
    assert [len(qlogs(tmp_path, role)) for role in Role] == ([1, 2] if watch else [0, 0])


async def test_a_test_case_that_it_has_not_is_unsupported(tmp_path: Path) -> None:
    """Exit status 127, as the contract says."""
    with pytest.raises(WorkerFailed) as caught:
        await play(small(tmp_path), connect(1), tmp_path)
    assert caught.value.reason == "unsupported"


def test_an_option_with_one_server_only() -> None:
    """What HTTP/0.9 can't do is said before."""
    driver = registry.table({"mine": {"level": "interop", "client": "client"}})["mine"]
    with pytest.raises(Unsupported, match="mine has no command for a server"):
        check(driver, analyse(fan_out(servers=2)), Role.SERVER, {})


def test_contents_differ_and_are_the_same_at_both_ends() -> None:
    """No file is like another, or could be told from its length alone."""
    whole = b"".join(interop.content(0, 2_500_000))
    assert whole == b"".join(interop.content(0, 2_500_000))
    assert b"".join(interop.content(1, 2_500_000)) != whole
    assert len(whole) == 2_500_000


# --- real endpoints ----------------------------------------------------------------------------


def toml(value: Any) -> str:
    """A value of a configuration."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)


def run_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch, section: dict[str, Any], scenario: Scenario
) -> dict[str, Any]:
    """A round by the command, on hosts with a network of their own; it counts. What results.json says of it."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    rows = "".join(f"{key} = {toml(value)}\n" for key, value in section.items())
    (folder / "netbench.toml").write_text(f"[drivers.mine]\n{rows}")
    scenario.write("scenario.json")
    assert main(["run", "scenario.json", "--driver", "mine", "--rounds", "1"]) == 0
    (test,) = json.loads((folder / "netbench-results/results.json").read_text())["tests"]
    assert test["rounds"][0]["validity"] == []
    found: dict[str, Any] = test
    return found


def aioquic() -> dict[str, Any]:
    """The section of aioquic's own examples, as the page has it."""
    folder = install.examples_folder(os.environ)
    if not folder.is_dir():
        pytest.skip("make interop")
    keys = "--certificate {certs}/cert.pem --private-key {certs}/priv.key"
    files = "--ca-certs {certs}/ca.pem --output-dir {downloads} {requests}"
    return {
        "level": "interop",
        "server": f"{sys.executable} {folder}/http3_server.py --host {{host}} --port {{port}} {keys}",
        "client": f"{sys.executable} {folder}/http3_client.py --legacy-http {files}",
        "env": {"STATIC_ROOT": "{www}"},
    }


@pytest.mark.parametrize("scenario", [download(2_000_000), download(50_000, connections=3), connect(1)], ids=str)
def test_aioquics_own_examples(scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unchanged; they are told their folders and where to listen, and check certificates."""
    run_in(tmp_path, monkeypatch, aioquic(), scenario)


def quic_go() -> dict[str, str]:
    """The section of quic-go's own programs, made for the runner's containers."""
    folder = install.interop_folder(os.environ)
    if not (folder / "client").is_file():
        pytest.skip("make interop")
    if (why := container.why_not()) is not None:
        pytest.skip(f"no mount namespace of one's own here: {why}")
    lines = {"server": f"{folder}/server", "client": f"{folder}/client {{requests}}"}
    return {"level": "interop", **lines, "library": "quic-go"}


@pytest.mark.real
@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize(
    "scenario", [download(5_000_000), download(100_000, connections=3), connect(1), connect(5)], ids=str
)
def test_quic_go_keeps_the_contract(scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unchanged: its folders under the root, its port, its certificates, on hosts with a network of their own."""
    test = run_in(tmp_path, monkeypatch, quic_go(), scenario)
    assert "mine as server doesn't tell" in test["note"]


@pytest.mark.real
async def test_quic_go_writes_qlogs(tmp_path: Path) -> None:
    """Both ends say what was sent and received, each in a file of its own."""
    driver = registry.table({"mine": quic_go()})["mine"]
    await play(driver, download(50_000), tmp_path, Watch.QLOG)
    for role in Role:
        (path,) = qlogs(tmp_path, role)
        assert "packet_sent" in path.read_text()
        assert "packet_received" in path.read_text()


@pytest.mark.real
def test_quic_go_tells_its_version() -> None:
    """Go leaves the list of modules in an executable."""
    assert version_of(registry.table({"quic-go": quic_go()})["quic-go"]) == f"quic-go {install.INTEROP_VERSION}"
