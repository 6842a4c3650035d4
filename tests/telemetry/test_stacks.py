"""Are stacks folded as flame graphs want them, whatever compilers, languages and hosts call a function?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.errors import ResultsError
from pytest_netbench.telemetry.stacks import DEEPEST, from_text, left, of_perf, plain, to_text

PERF = """
python3 cpu-clock:uppp:
\t   1aed copy (/usr/lib/libc.so.6)
\t   2aed core::ptr::read<[u8; 32]>::h0123456789abcdef (/opt/nb-server)
\t   3aed [unknown] (/opt/nb-server)
\t      0 [unknown] ([unknown])

tokio-runtime w cpu-clock:uppp:
\t   1aed poll (/opt/nb-server)

"""

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def test_perfs_samples_become_stacks() -> None:
    """The outermost first, below the program's name; what has no name is called by its file, or left out."""
    stacks, users = of_perf(PERF.splitlines())
    assert stacks == {
        ("python3", "[nb-server]", "core::ptr::read<[u8, 32]>", "copy"): 1,
        ("tokio-runtime w", "poll"): 1,
    }
    assert users
    assert not of_perf(PERF.replace(":uppp", ":ppp").splitlines())[1]


@given(st.dictionaries(st.lists(names, min_size=1, max_size=5).map(tuple), st.integers(1, 10**9), max_size=5))
def test_what_is_written_is_read_again(stacks: dict[tuple[str, ...], int]) -> None:
    """Names may have blanks, semicolons and any letters; only their plain form is kept."""
    expected: Counter[tuple[str, ...]] = Counter()
    for stack, count in stacks.items():
        expected[tuple(map(plain, stack))] += count
    assert from_text(to_text(stacks), "it") == expected


def test_two_builds_of_one_source_have_the_same_names() -> None:
    """A compiler's hash isn't part of a name."""
    assert plain("nb::copy::h0123456789abcdef") == plain("nb::copy::hfedcba9876543210.llvm.123") == "nb::copy"


@pytest.mark.parametrize("text", ["main;read", "12", "main;read twelve", "main -3"])
def test_what_is_no_stack_is_refused(text: str) -> None:
    """With the line's number."""
    with pytest.raises(ResultsError, match="it, line 2: expected a stack"):
        from_text(f"main 1\n{text}\n", "it")


def test_a_recursion_without_end_is_cut() -> None:
    """The outermost frames are kept."""
    lines = ["p cpu-clock:", *("\t 1 again (/p)" for _ in range(1000)), "\t 2 main (/p)"]
    ((stack,), _) = of_perf(lines)
    assert len(stack) == DEEPEST + 1
    assert stack[:3] == ("p", "main", "again")


def test_the_files_of_several_processes_are_added_up(tmp_path: Path) -> None:
    """As a server with several leaves them."""
    (tmp_path / "profile-0.folded").write_text("a;b 1\n")
    (tmp_path / "profile-1.folded").write_text("a;b 2\na 1\n")
    assert left(tmp_path) == {("a", "b"): 3, ("a",): 1}
