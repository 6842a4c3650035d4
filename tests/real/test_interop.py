"""Do our drivers and the real ones run the same scenarios with each other, byte for byte, over every wire?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.interop_cases import CASES, PAIRS, check_rounds

SAMPLE = [
    ("ping-one", "tcp", "s2n-tcp"),
    ("ping-one", "s2n-tcp", "tcp"),
    ("parallel-one", "tcp", "s2n-tcp"),
    ("fan_out-one", "s2n-tcp", "tcp"),
    ("parallel-many", "tcp", "s2n-tcp"),
    ("scopes-many", "s2n-tcp", "tcp"),
    ("lowered-many", "tcp", "s2n-tcp"),
    ("lowered-one", "s2n-tcp", "tcp"),
    ("request_response-one", "tls", "s2n-native-tls"),
    ("request_response-many", "s2n-native-tls", "tls"),
    ("ping-one", "s2n-tls", "tls"),
    ("rates-many", "tls", "s2n-tls"),
    ("connect-one", "quic", "s2n-quic"),
    ("request_response-many", "s2n-quic", "quic"),
]


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steady: None) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.real
@pytest.mark.parametrize(("name", "server", "client"), SAMPLE)
def test_both_sides_count_the_same_bytes(name: str, server: str, client: str) -> None:
    """A round between two drivers is valid: as many bytes received as sent, as many accepts as connects."""
    assert check_rounds(name, dict(CASES)[name], server, client)[0]["metrics"]["goodput"] > 0


@pytest.mark.deep
@pytest.mark.parametrize(("server", "client"), [pytest.param(*pair, id="/".join(pair)) for pair in PAIRS])
@pytest.mark.parametrize("name", dict(CASES))
def test_every_scenario_between_all_drivers(name: str, server: str, client: str) -> None:
    """The whole matrix, in both roles where two drivers speak the same wire."""
    assert check_rounds(name, dict(CASES)[name], server, client)
