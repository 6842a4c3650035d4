"""Is only installed what is missing?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_netbench.drivers import install


def test_what_cargo_has_is_read_from_its_record(tmp_path: Path) -> None:
    """Names with versions; a record that is absent or broken says nothing."""
    assert install.installed(tmp_path) == frozenset()
    record: dict[str, object] = {"installs": {"s2n-netbench-driver-tcp 0.1.0 (registry+https://example)": {"bins": []}}}
    (tmp_path / ".crates2.json").write_text(json.dumps(record))
    assert install.installed(tmp_path) == {"s2n-netbench-driver-tcp@0.1.0"}
    (tmp_path / ".crates2.json").write_text("{")
    assert install.installed(tmp_path) == frozenset()


def test_all_drivers_share_one_target_folder(tmp_path: Path) -> None:
    """As set, else in the user's cache."""
    assert install.target_folder({"CARGO_TARGET_DIR": "/x"}) == Path("/x")
    assert install.target_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "netbench" / "cargo-target"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("HOME", "PATH", "CARGO_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return tmp_path


def test_the_commands_are_printed(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The generator, and TCP alone or all four, each with its version and locked."""
    assert install.main(["--print"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "cargo install --locked s2n-netbench-scenarios@0.1.1",
        "cargo install --locked s2n-netbench-driver-tcp@0.1.0",
    ]
    assert install.main(["--print", "--all"]) == 0
    assert capsys.readouterr().out.count("--locked") == 5


def test_without_cargo_it_says_how_to_get_it(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, a status, and the one command."""
    assert install.main([]) == 1
    assert "rustup" in capsys.readouterr().err


def test_what_is_there_in_the_right_version_is_left_alone(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said to be there, cargo is run for the rest; an executable alone, of whatever version, isn't enough."""
    record: dict[str, object] = {
        "installs": {"s2n-netbench-driver-tcp 0.1.0 (x)": {}, "s2n-netbench-scenarios 0.1.0 (x)": {}}
    }
    (bare / ".crates2.json").write_text(json.dumps(record))
    for program in (one for each in install.packages(everything=False) for one in each.programs):
        (bare / program).touch(mode=0o755)
    assert install.main(["--print"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "cargo install --locked s2n-netbench-scenarios@0.1.1",
        "s2n-tcp: s2n-netbench-driver-tcp@0.1.0 is there",
    ]


def test_cargos_failure_is_ours(bare: Path) -> None:
    """Its exit status is handed on."""
    cargo = bare / "cargo"
    cargo.write_text("#!/bin/sh\nexit 101\n")
    cargo.chmod(0o755)
    assert install.main([]) == 101


def test_endpoints_of_the_interop_runner_need_go(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without it that is said; with all in place, nothing is done."""
    install.examples_folder({"HOME": str(bare)}).mkdir(parents=True)
    assert install.main(["--interop"]) == 1
    assert "go isn't on PATH" in capsys.readouterr().err
    folder = install.interop_folder({"HOME": str(bare)})
    folder.mkdir(parents=True)
    for name in ("server", "client"):
        (folder / name).touch()
    assert install.main(["--interop"]) == 0
    assert f"are in {folder}" in capsys.readouterr().out
