"""Which layer wins, and what happens to a wrong key or value?"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_netbench.errors import UsageError
from pytest_netbench.settings.options import OPTIONS, Settings, settings


def merged(tmp_path: Path, toml: str = "", **command_line: object) -> Settings:
    if toml:
        (tmp_path / "netbench.toml").write_text(toml)
    return settings(start=tmp_path, command_line=command_line, environment={})


def test_defaults_are_the_contracts(tmp_path: Path) -> None:
    """Without any setting: driver tcp, provider local, three rounds, netbench-results."""
    found = merged(tmp_path)
    assert found.drivers.over(None) == ("tcp",)
    assert (found.provider, found.rounds.over(None), found.out) == ("local", 3, Path("netbench-results"))


def test_the_command_line_beats_environment_marker_and_file(tmp_path: Path) -> None:
    """Order: command line, variable, marker, file, default."""
    (tmp_path / "netbench.toml").write_text("rounds = 7")
    by_all = settings(start=tmp_path, command_line={"rounds": "2"}, environment={"NETBENCH_ROUNDS": "4"})
    by_variable = settings(start=tmp_path, command_line={}, environment={"NETBENCH_ROUNDS": "4"})
    by_file = settings(start=tmp_path, command_line={}, environment={})
    assert [one.rounds.over(5) for one in (by_all, by_variable, by_file)] == [2, 4, 5]
    assert by_file.rounds.over(None) == 7


def test_pyproject_is_read_where_there_is_no_file_of_ours(tmp_path: Path) -> None:
    """``[tool.netbench]`` stands in for netbench.toml, from any folder below."""
    (tmp_path / "pyproject.toml").write_text('[tool.netbench]\ndriver = ["s2n-tcp"]\n')
    (tmp_path / "deep").mkdir()
    assert merged(tmp_path / "deep").drivers.over(None) == ("s2n-tcp",)


def test_an_unknown_key_names_the_nearest_known_one(tmp_path: Path) -> None:
    """A misspelt key is an error, never silence."""
    with pytest.raises(UsageError, match=r"unknown key 'ronds': did you mean 'rounds'\?"):
        merged(tmp_path, "ronds = 3")


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("rounds = 0", "at least 1, found 0"),
        ("rounds = true", "at least 1, found True"),
        ("provider = 3", "expected a text, found 3"),
        ("driver = []", "expected one name or several"),
        ('budget = "soon"', "budget: "),
        ('keep_hosts = "maybe"', "expected true or false"),
        ("drivers = 3", "must hold tables"),
        ("rounds = ", "isn't TOML"),
    ],
)
def test_a_wrong_value_says_where_it_stands_and_what_was_expected(tmp_path: Path, toml: str, text: str) -> None:
    """The file, the key, what was expected, what was found."""
    with pytest.raises(UsageError, match=text) as caught:
        merged(tmp_path, toml)
    assert "netbench.toml" in str(caught.value)


def test_times_have_units(tmp_path: Path) -> None:
    """A budget of 8m is 480 seconds, a number is seconds."""
    assert merged(tmp_path, 'budget = "8m"').budget == 480
    assert merged(tmp_path, "", budget="90s").budget == 90


def test_every_option_of_the_command_line_has_help() -> None:
    """The table is the help."""
    assert all(option.help and option.variable.startswith("NETBENCH_") for option in OPTIONS)
