"""Is the table of drivers complete, checked, and the same after its way to a host?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.drivers import registry, s2n
from pytest_netbench.drivers.choice import check_options
from pytest_netbench.drivers.driver import Arming, CpuBy, Driver, End, OptionKind, OptionSpec, OutputFormat, Transport
from pytest_netbench.drivers.row_json import from_json, to_json
from pytest_netbench.drivers.support import check
from pytest_netbench.errors import DriverMissing, Unsupported, UsageError
from pytest_netbench.roles import Role
from pytest_netbench.scenario.shape import Kind

MINE: dict[str, Any] = {
    "server": ["my-server", "--ip", "{ip}"],
    "client": "my-client --fast 'two words'",
    "env": {"MY_PORT": "{port}"},
    "timeout": 5,
    "path": "/opt/mine",
    "install": "make mine",
    "transport": "udp",
    "library": "mine",
    "options": {"mtu": {"type": "integer", "on": ["--mtu", "{value}"], "least": 1200}},
}


def test_the_known_rows_are_there() -> None:
    """The built-in ones and the four real ones, without any configuration."""
    assert list(registry.table()) == ["tcp", "tls", "quic", "s2n-tcp", "s2n-native-tls", "s2n-tls", "s2n-quic"]


@pytest.mark.parametrize("row", [*registry.table({"mine": MINE}).values()], ids=lambda row: row.name)
def test_a_row_survives_its_way_to_a_host(row: Driver) -> None:
    """What a worker gets is what the coordinator has."""
    assert from_json(json.loads(json.dumps(to_json(row)))) == row


def test_a_table_survives_its_way_to_a_host() -> None:
    """The whole table as one text."""
    rows = registry.table({"mine": MINE})
    assert registry.load(registry.dump(rows)) == rows


def test_the_real_rows_differ_only_in_what_the_table_says() -> None:
    """Names of crates and executables, the line that installs, what needs certificates, how a server ends."""
    quic = s2n.ROWS["s2n-quic"]
    assert quic.install == "cargo install --locked s2n-netbench-driver-s2n-quic@0.1.0"
    assert quic.commands[Role.CLIENT].argv == ("s2n-netbench-driver-client-s2n-quic",)
    assert quic.ends[Role.SERVER] == (End.SIGTERM,)
    assert quic.transport is Transport.UDP
    assert [name for name, row in s2n.ROWS.items() if not row.secure] == ["s2n-tcp"]


def test_a_section_becomes_a_row() -> None:
    """Every key of a section has its place in the row."""
    row = registry.table({"mine": MINE})["mine"]
    assert row.commands[Role.SERVER].argv == ("my-server", "--ip", "{ip}")
    assert row.commands[Role.CLIENT].argv == ("my-client", "--fast", "two words")
    assert (row.timeout_s, row.paths, row.transport) == (5.0, ("/opt/mine",), Transport.UDP)
    assert row.options["mtu"] == OptionSpec(OptionKind.INTEGER, on=("--mtu", "{value}"), least=1200)
    assert (row.arming, row.output) == (Arming.EXECUTED, OutputFormat.STDIO)


def test_paths_are_from_where_one_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker stands elsewhere: it gets whole paths; names alone are looked for."""
    monkeypatch.chdir(tmp_path)
    row = registry.table({"mine": {"server": "./build/mine", "client": "mine", "path": "bin"}})["mine"]
    assert row.commands[Role.SERVER].argv == (str(tmp_path / "build/mine"),)
    assert row.commands[Role.CLIENT].argv == ("mine",)
    assert row.paths == (str(tmp_path / "bin"),)


def test_a_known_driver_may_be_told_where_it_is() -> None:
    """A section for it says where to look first, and how its CPU time is had; nothing else."""
    assert registry.table({"s2n-tcp": {"path": "/opt"}})["s2n-tcp"].paths == ("/opt",)
    assert registry.table({"s2n-tcp": {"cpu": "slope"}})["s2n-tcp"].cpu is CpuBy.SLOPE
    with pytest.raises(UsageError, match=r"\[drivers.s2n-tcp\].*only `path`.*'server'"):
        registry.table({"s2n-tcp": {"server": "mine"}})


def test_a_plugin_adds_rows() -> None:
    """As rows, or as tables like those of the configuration; the name is the one under which it stands."""
    rows = registry.table({}, {"theirs": MINE, "other": replace(s2n.ROWS["s2n-tcp"])})
    assert rows["theirs"].name == "theirs"
    assert rows["other"].name == "other"
    with pytest.raises(UsageError, match="a plugin offers a driver 'tcp'"):
        registry.table({}, {"tcp": MINE})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"sever": "x"}, r"\[drivers.mine\]: unknown key 'sever': did you mean 'server'\?"),
        ({"server": []}, r"\[drivers.mine\] server: expected a program"),
        ({"server": "unclosed 'quote"}, r"\[drivers.mine\] server: .*can't be split"),
        ({"server": ["x", 1]}, r"\[drivers.mine\] server\[1\]: expected a text, got 1"),
        ({"server": "x {prot}"}, r"unknown placeholder 'prot': did you mean 'port'\?"),
        ({"env": "x"}, r"\[drivers.mine\] env: expected a table"),
        ({"timeout": -1}, r"\[drivers.mine\] timeout: expected seconds above 0, got -1"),
        ({"timeout": True}, r"expected seconds above 0, got True"),
        ({"secure": "yes"}, r"\[drivers.mine\] secure: expected true or false, got 'yes'"),
        ({"level": "netbnch"}, r"level: unknown value 'netbnch': did you mean 'netbench'\?"),
        ({"transport": "sctp"}, r"transport: unknown value 'sctp': .*known: any, tcp, udp"),
        ({"options": {"mtu": {}}}, r"options.mtu: expected `type`"),
        ({"options": {"mtu": {"type": "integer", "least": "1"}}}, r"options.mtu least: expected an integer"),
        ({"features": ["stream"]}, r"features: unknown value 'stream': did you mean 'streams'\?"),
        ({"path": 7}, r"\[drivers.mine\] path: expected a list of texts, got 7"),
    ],
)
def test_a_wrong_key_is_named(change: dict[str, Any], text: str) -> None:
    """Each mistake in a section names the section, the key, and what was expected or is known."""
    with pytest.raises(UsageError, match=text):
        registry.table({"mine": {**MINE, **change}})


@pytest.mark.parametrize("section", [{}, {"env": {}}, "tcp", None])
def test_a_section_without_a_command_is_refused(section: object) -> None:
    """A driver runs something, as server, as client, or as both."""
    with pytest.raises(UsageError, match=r"\[drivers.mine\]"):
        registry.table({"mine": section})


@pytest.mark.parametrize("name", ["a/b", "a+b"])
def test_a_name_joins_no_others(name: str) -> None:
    """What stands between names of drivers that run together stands in none."""
    with pytest.raises(UsageError, match="a name without / and \\+ is expected"):
        registry.table({name: MINE})


def test_an_unknown_name_names_the_nearest() -> None:
    """A driver that no row describes is a mistake of the user's."""
    with pytest.raises(UsageError, match="unknown driver 's2n-tpc': did you mean 's2n-tcp'"):
        registry.find(registry.table(), "s2n-tpc")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"quic.mtu": 9000}, "driver s2n-quic has no option 'quic.mtu': did you mean 'quic.max_mtu'"),
        ({"quic.max_mtu": "9000"}, "option 'quic.max_mtu': expected integer, got '9000'"),
        ({"quic.max_mtu": True}, "expected integer, got True"),
        ({"quic.max_mtu": 1}, "expected at least 1228, got 1"),
        ({"quic.gso": 1}, "expected boolean, got 1"),
    ],
)
def test_options_are_typed(options: dict[str, object], text: str) -> None:
    """An option that isn't the driver's, or has a wrong value, is a mistake of the user's."""
    with pytest.raises(UsageError, match=text):
        check_options(s2n.ROWS["s2n-quic"], options)


def test_texts_may_be_restricted() -> None:
    """Of an option with choices, the nearest is named."""
    spec = OptionSpec(OptionKind.TEXT, choices=("cubic", "reno"))
    assert spec.problem("cubik") == "unknown value 'cubik': did you mean 'cubic'? known: cubic, reno"
    assert spec.problem("reno") is None


def test_options_become_arguments() -> None:
    """Flags for true and false, values in their place."""
    options = {**s2n.ROWS["s2n-quic"].options, **s2n.ROWS["s2n-tcp"].options}
    assert options["quic.max_mtu"].arguments(1500) == ("--max-mtu", "1500")
    assert options["quic.gso"].arguments(value=False) == ("--disable-gso",)
    assert options["quic.gso"].arguments(value=True) == ()
    assert options["tcp.nodelay"].arguments(value=False) == ("--nagle",)


def test_a_missing_driver_says_how_it_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was looked for and where; the last line installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DriverMissing) as caught:
        s2n.ROWS["s2n-tls"].locate()
    first, last = str(caught.value).splitlines()
    assert first == "driver s2n-tls: no executable s2n-netbench-driver-server-s2n-tls in PATH, ~/.cargo/bin"
    assert last == "cargo install --locked s2n-netbench-driver-s2n-tls@0.1.0"


def test_the_configured_folder_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The configuration's path, then PATH, then cargo's folder; what isn't executable doesn't count."""
    for folder in ("configured", "path", ".cargo/bin"):
        (tmp_path / folder).mkdir(parents=True)
        for role in ("server", "client"):
            (tmp_path / folder / f"s2n-netbench-driver-{role}-tcp").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("HOME", str(tmp_path))
    row = replace(s2n.ROWS["s2n-tcp"], paths=(str(tmp_path / "configured"),))
    assert row.executable(Role.SERVER).parent.name == "configured"
    (tmp_path / "configured" / "s2n-netbench-driver-server-tcp").chmod(0o644)
    assert row.executable(Role.SERVER).parent.name == "path"
    assert replace(row, paths=()).executable(Role.CLIENT).parent.name == "path"


def test_a_role_without_a_command_is_unsupported() -> None:
    """A row may describe a client alone."""
    row = registry.table({"mine": {"client": "mine"}})["mine"]
    with pytest.raises(Unsupported, match="driver mine as server: mine has no command for a server"):
        check(row, None, Role.SERVER, {})  # type: ignore[arg-type] # the scenario isn't looked at


def test_relative_paths_count_from_the_configurations_folder(tmp_path: Path) -> None:
    """Programs with a slash, arguments that name a file there, folders; other words stay as they are."""
    for name in ("driver.py", "serve"):
        (tmp_path / name).touch()
    section = {"server": "./nb serve driver.py 127.0.0.1 gone.py", "client": "$OUT/x", "build": "make", "path": "bin"}
    row = registry.table({"mine": section}, home=tmp_path)["mine"]
    assert row.commands[Role.SERVER].argv == (
        *(f"{tmp_path}/nb", "serve", f"{tmp_path}/driver.py", "127.0.0.1", "gone.py"),
    )
    assert row.commands[Role.CLIENT].argv == ("$OUT/x",)
    assert row.paths == (f"{tmp_path}/bin",)
    tool = {"level": "command", "server": ["tool"], "client": {"upload": ["python3", "driver.py", "a" * 300 + "."]}}
    foreign = registry.table({"mine": tool}, home=tmp_path)["mine"].foreign
    assert foreign is not None
    assert foreign.lines[Role.CLIENT][Kind.UPLOAD][1] == f"{tmp_path}/driver.py"
