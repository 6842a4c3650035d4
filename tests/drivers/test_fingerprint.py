"""Are programs told from others by what is in them, wherever they stand?"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from pytest_netbench.drivers import fingerprint
from pytest_netbench.drivers.build import at
from pytest_netbench.drivers.builtin_row import ROWS
from pytest_netbench.drivers.driver import Command, Driver
from pytest_netbench.drivers.fingerprint import CODE, artifacts, programs
from pytest_netbench.gate.contenders import used
from pytest_netbench.roles import Role
from tests.test_architecture import TREES, _reached

S, C = Role.SERVER, Role.CLIENT


def row(*argv: str, **env: str) -> Driver:
    """A driver whose server is run by this line, its client by a program beside it."""
    return Driver("mine", {S: Command(argv, env), C: Command(("$OUT/client",))})


def folder(place: Path, **files: str) -> Path:
    place.mkdir()
    for name, text in files.items():
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    return place


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_an_executable_is_known_by_its_own_sha256(tmp_path: Path) -> None:
    """As sha256sum prints it, under its name."""
    out = folder(tmp_path / "out", server="s", client="c")
    made = at(row("$OUT/server", "--port={port}"), out)
    assert artifacts(made, S) == {"server": sha256("s")}
    assert artifacts(made, C) == {"client": sha256("c")}


def test_a_script_is_a_part_of_the_program(tmp_path: Path) -> None:
    """Beside the interpreter that runs it."""
    out = folder(tmp_path / "out", server="s", client="c")
    found = artifacts(at(row(sys.executable, "$OUT/server"), out), S)
    assert found == {Path(sys.executable).name: fingerprint.sha256(Path(sys.executable)), "server": sha256("s")}


def test_what_a_build_leaves_beside_counts(tmp_path: Path) -> None:
    """Another library makes another program, though the executable is the same."""
    rows = [
        at(row("$OUT/server", LD_LIBRARY_PATH="$OUT"), folder(tmp_path / name, server="s", client="c", lib=lib))
        for name, lib in (("a", "one"), ("b", "one"), ("c", "two"))
    ]
    assert programs(rows[0], S) == programs(rows[1], S)
    assert programs(rows[0], S) != programs(rows[2], S)
    assert artifacts(rows[0], S)["$OUT"] != artifacts(rows[2], S)["$OUT"]


def test_another_client_is_no_other_server(tmp_path: Path) -> None:
    """Each side is told by what it runs."""
    rows = [at(row("$OUT/server"), folder(tmp_path / name, server="s", client=name)) for name in ("a", "b")]
    assert programs(rows[0], S) == programs(rows[1], S)
    assert programs(rows[0], C) != programs(rows[1], C)


def test_arguments_and_environment_count(tmp_path: Path) -> None:
    """The same file with another flag, or variable, isn't the same."""
    out = folder(tmp_path / "out", server="s", client="c")
    lines = [row("$OUT/server"), row("$OUT/server", "-x"), row("$OUT/server", X="1")]
    assert len({programs(at(one, out), S) for one in lines}) == len(lines)


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    """What was read once isn't believed for ever."""
    out = folder(tmp_path / "out", server="s", client="c")
    made = at(row("$OUT/server"), out)
    before = artifacts(made, S)
    (out / "server").write_text("longer")
    assert artifacts(made, S) != before


def test_what_isnt_here_has_no_fingerprint(tmp_path: Path) -> None:
    """It is left out; the rows can still be compared."""
    made = at(row("$OUT/server"), tmp_path / "absent")
    assert artifacts(made, S) == {}
    assert programs(made, S) == programs(made, S)


def test_programs_that_hosts_have_of_their_own_are_left_out(tmp_path: Path) -> None:
    """A copy on this machine says nothing of them."""
    made = at(row("$OUT/server"), folder(tmp_path / "out", server="s", client="c"))
    assert list(used({S: [made], C: [made]}, {"server"})) == ["client: mine/client"]


@pytest.mark.parametrize("name", ["tcp", "quic"])
def test_a_built_in_driver_is_the_packages_version_and_code(name: str) -> None:
    """With the version of what it stands on."""
    (program,) = artifacts(ROWS[name], S)
    assert program.startswith("pytest-netbench-")
    assert ("aioquic-" in program) == (name == "quic")


def test_all_that_the_built_in_program_loads_is_in_it() -> None:
    """Whatever its entry points reach stands in the places that are read."""
    entries = ("pytest_netbench.drivers.builtin.__main__", "pytest_netbench.drivers.adapter.__main__")
    loaded = set().union(*(_reached(one, lazily=True) for one in entries)) - {"pytest_netbench", "russula"}
    known = {f"pytest_netbench.{name.removesuffix('.py')}" for name in CODE}
    assert not {one for one in loaded if ".".join(one.split(".")[:2]) not in known}
    assert "pytest_netbench.drivers.builtin.server" in TREES
