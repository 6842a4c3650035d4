"""Do the examples in README.md and docs/ run as they are shown?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "russula" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, code in enumerate(_BLOCK.findall(page.read_text()))
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs_as_shown(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """A block that holds tests passes under pytest; any other runs to its end."""
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
