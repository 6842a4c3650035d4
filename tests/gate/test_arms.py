"""Do arms say what they should, in markers and on the command line, and become what each side runs?"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench import Arm, arms
from pytest_netbench.drivers.driver import Command, Driver, OptionKind, OptionSpec
from pytest_netbench.errors import BuildError, DriverMissing, UsageError
from pytest_netbench.gate.arms import arm, two
from pytest_netbench.gate.contenders import Contender, contenders
from pytest_netbench.gate.order import order
from pytest_netbench.hosts.model import Link
from pytest_netbench.roles import Role

OPTIONS = {
    "cc": OptionSpec(OptionKind.TEXT, choices=("cubic", "bbr")),
    "gso": OptionSpec(OptionKind.BOOLEAN),
    "buffer": OptionSpec(OptionKind.INTEGER, least=1),
}
ROWS = {
    name: Driver(name, {role: Command((f"nb-{role.value}",)) for role in Role}, options=OPTIONS)
    for name in ("old", "new")
}
OWN = dict.fromkeys(Role, ("old",))


class Table:
    """Rows by name; a build of `main` is what lies in a folder, of anything else it fails."""

    def __init__(self, rows: dict[str, Driver] | None = None, out: Path | None = None) -> None:
        self.rows, self.out = rows or ROWS, out

    def ready(self, name: str) -> Driver:
        return self.rows[name]

    raw = ready

    def build(self, row: Driver, ref: str, again: int) -> Path:
        if self.out is None:
            raise BuildError(f"the build of {row.name} at {ref} exited with status 1")
        return self.out


def resolved(
    ref: Arm | str, cand: Arm | str, role: str | None = None, table: Table | None = None
) -> tuple[Contender, Contender]:
    own = OWN if table is None else dict.fromkeys(Role, tuple(table.rows))
    options = {"gso": True} if table is None else {}
    return contenders(arms(ref=ref, cand=cand, role=role), own, options, None, table or Table())


def programs(folder: Path, text: str = "#!/bin/sh\n") -> Path:
    """A folder with the programs of both roles."""
    folder.mkdir()
    for role in Role:
        (folder / f"nb-{role.value}").write_text(text)
        (folder / f"nb-{role.value}").chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("merge-base", Arm(build="merge-base")),
        (" v1.2 ", Arm(build="v1.2")),
        ("again:main", Arm(build="main", again=1)),
        ("again-3:main", Arm(build="main", again=3)),
        ("driver:s2n-quic", Arm(driver="s2n-quic")),
        ("path:/opt/nb", Arm(path=Path("/opt/nb"))),
        ("option:cc=bbr", Arm(texts={"cc": "bbr"})),
        ("option:x=a=b", Arm(texts={"x": "a=b"})),
    ],
)
def test_an_arm_as_text(text: str, expected: Arm) -> None:
    """A git ref, a driver, a path or an option."""
    assert arm(text) == expected


@pytest.mark.parametrize("text", ["", "driver:", "path:", "option:cc", "option:=1", "docker:x", "again:", "again-0:x"])
def test_a_malformed_arm_is_refused(text: str) -> None:
    """The error says what an arm looks like."""
    with pytest.raises(UsageError, match="driver:NAME"):
        arm(text)


@pytest.mark.parametrize("text", ["one", "a,b,c", ",", "a,", ""])
def test_two_arms_are_two(text: str) -> None:
    """REF,CAND, neither empty."""
    with pytest.raises(ValueError, match="REF,CAND"):
        two(text)


def test_build_and_path_exclude_each_other() -> None:
    """Programs come from one place."""
    with pytest.raises(UsageError, match="not from both"):
        Arm(build="main", path=Path("x"))


def test_a_role_is_one_of_two() -> None:
    """A misspelt role names the nearest."""
    with pytest.raises(UsageError, match="did you mean 'server'"):
        arms(ref="a", cand="b", role="sever")


def test_options_of_an_arm_go_over_those_of_the_test_and_have_their_types() -> None:
    """On the command line they are texts; true and numbers are read by the driver's own kinds."""
    ref, cand = resolved("option:buffer=10", Arm(options={"gso": False, "cc": "bbr"}))
    assert ref.options[Role.SERVER] == {"gso": True, "buffer": 10}
    assert cand.options[Role.CLIENT] == {"gso": False, "cc": "bbr"}


def test_only_the_role_that_is_named_changes() -> None:
    """With role="server" the client is the reference's in both arms."""
    ref, cand = resolved("driver:old", Arm("new", options={"cc": "bbr"}), role="server")
    assert [one.drivers[Role.SERVER][0].name for one in (ref, cand)] == ["old", "new"]
    assert [one.drivers[Role.CLIENT][0].name for one in (ref, cand)] == ["old", "old"]
    assert cand.options == {Role.SERVER: {"gso": True, "cc": "bbr"}, Role.CLIENT: {"gso": True}}


def test_a_path_gives_rows_of_their_own(tmp_path: Path) -> None:
    """The hosts know both builds under different names; the arm's folder is looked into first."""
    first, second = programs(tmp_path / "a", "#!/bin/sh\n"), programs(tmp_path / "b", "#!/bin/bash\n")
    ref, cand = resolved(f"path:{first}", f"path:{second}")
    names = {one.drivers[Role.SERVER][0].name for one in (ref, cand)}
    assert len(names) == 2
    assert all(name.startswith("old@") for name in names)
    assert cand.drivers[Role.CLIENT][0].executable(Role.CLIENT) == second / "nb-client"
    assert not ref.same_as(cand)


def test_what_a_build_fills_stands_for_out_in_commands(tmp_path: Path) -> None:
    """$OUT is the folder of the arm."""
    folder = programs(tmp_path / "out")
    row = Driver("mine", {role: Command((f"$OUT/nb-{role.value}", "--lib=$OUT")) for role in Role}, build="make")
    ref, cand = resolved("main", f"path:{folder}", table=Table({"mine": row}, folder))
    (made,) = ref.drivers[Role.SERVER]
    assert made.commands[Role.SERVER].argv == (f"{folder}/nb-server", f"--lib={folder}")
    assert made.build == ""
    assert ref.same_as(cand)


def test_a_build_may_be_run_by_another_program(tmp_path: Path) -> None:
    """An interpreter isn't looked for among the products."""
    row = Driver("mine", {role: Command(("python3", f"$OUT/{role.value}.py")) for role in Role}, build="make")
    ref, _ = resolved("main", "main", table=Table({"mine": row}, tmp_path))
    assert ref.drivers[Role.CLIENT][0].commands[Role.CLIENT].argv == ("python3", f"{tmp_path}/client.py")


def test_each_host_of_a_side_keeps_its_driver() -> None:
    """An option changes all of them."""
    own = {Role.SERVER: ("old",), Role.CLIENT: ("old", "new")}
    ref, _ = contenders(arms(ref="option:cc=bbr", cand="driver:new"), own, {}, None, Table())
    assert [row.name for row in ref.drivers[Role.CLIENT]] == ["old", "new"]


def test_a_path_without_the_programs_is_refused(tmp_path: Path) -> None:
    """It isn't silently the other arm's program from PATH."""
    with pytest.raises(DriverMissing, match="no server nb-server in"):
        resolved("driver:old", f"path:{tmp_path}")


def test_a_driver_that_is_built_in_has_no_path(tmp_path: Path) -> None:
    """A path can't change what the interpreter runs."""
    row = Driver("tcp", {role: Command(("{python}", "x.py")) for role in Role})
    with pytest.raises(UsageError, match="wherever the arm says"):
        resolved("driver:tcp", f"path:{tmp_path}", table=Table({"tcp": row}))


def test_equal_arms_are_seen_to_be_equal(tmp_path: Path) -> None:
    """The same programs in two folders are the same arm; another option or link makes it another."""
    first, second = programs(tmp_path / "a"), programs(tmp_path / "b")
    ref, cand = resolved(f"path:{first}", f"path:{second}")
    assert ref.same_as(cand)
    ref, cand = resolved("driver:old", Arm(link=Link(rtt=0.05)))
    assert not ref.same_as(cand)
    assert not ref.same_as(resolved("driver:old", "option:gso=false")[1])


@pytest.mark.parametrize(
    "text", ["option:gso=maybe", "option:buffer=x", "option:buffer=0", "option:nothing=1", "option:cc=vegas"]
)
def test_a_wrong_option_names_driver_and_option(text: str) -> None:
    """Type, bounds, choices and names are checked before anything runs."""
    with pytest.raises(UsageError, match="driver old"):
        resolved("driver:old", text)


def test_a_build_that_fails_is_the_builders_error() -> None:
    """What the builder says is what the test shows."""
    with pytest.raises(BuildError, match="the build of old at main exited with status 1"):
        resolved("main", "driver:old")


@given(st.integers(0, 2**32), st.integers(1, 50))
def test_every_block_holds_each_order_once(seed: int, blocks: int) -> None:
    """Drift and order cost both arms the same."""
    turns = list(islice(order(seed, "screen"), 2 * blocks))
    for first, second in zip(turns[::2], turns[1::2], strict=True):
        assert {first, second} == {("ref", "cand"), ("cand", "ref")}


def test_screen_and_confirmation_have_coins_of_their_own() -> None:
    """Neither repeats the other's order."""
    assert list(islice(order(1, "screen"), 60)) != list(islice(order(1, "confirm"), 60))
