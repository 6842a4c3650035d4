"""Do the examples in README.md and docs/ run as they are shown?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.settings.options import settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "russula" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"(?:^```toml\n([^`]*)^```\n\s*)?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(configuration, code, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, (configuration, code) in enumerate(_BLOCK.findall(page.read_text()))
]
TABLES = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in PAGES
    for number, text in enumerate(_TOML.findall(page.read_text()))
    if text.lstrip().startswith("[")
]


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize(("configuration", "code"), EXAMPLES)
def test_an_example_runs_as_shown(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, configuration: str, code: str
) -> None:
    """A block that holds tests passes under pytest, with the configuration that stands before it; any other runs."""
    if configuration:
        name = "pyproject.toml" if configuration.startswith("[tool.") else "netbench.toml"
        (pytester.path / name).write_text(configuration)
    monkeypatch.setenv("XDG_STATE_HOME", str(pytester.path / "state"))
    if re.search(r"^(async )?def test_", code, re.MULTILINE):
        pytester.makeini("[pytest]\nfilterwarnings = error\n")
        pytester.makepyfile(test_example=code)
        outcome = pytester.runpytest_subprocess("test_example.py")
        assert outcome.ret == pytest.ExitCode.OK
    else:
        path = pytester.makepyfile(example=code)
        assert pytester.runpython(path).ret == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """A relative link names a file of this repository."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("text", TABLES)
def test_a_configuration_is_read(tmp_path: Path, text: str) -> None:
    """Every table that is shown is one that this version takes."""
    path = tmp_path / ("pyproject.toml" if text.startswith("[tool.") else "netbench.toml")
    path.write_text(text)
    assert registry.table(settings(start=tmp_path, command_line={}, environment={}).driver_rows)


def test_a_tool_takes_ten_lines() -> None:
    """From nothing to a drawn result: what the page of level command begins with."""
    (text, *_) = _TOML.findall((ROOT / "docs" / "driver-command.md").read_text())
    assert len(text.splitlines()) <= 10
