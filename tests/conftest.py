"""What holds for every test? A deadline; none may reach the real AWS; none fails for the time that an example took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, settings

from pytest_netbench.testing.aws import guard
from tests.steady import make_steady

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""On a busy machine the first example alone takes a while."""
settings.register_profile("explore", SLOW)
settings.register_profile("sample", SLOW, derandomize=True)
TIMEOUT = 300
"""Seconds for a test that doesn't say otherwise. No option of the configuration: `pytest benches/` needs no
pytest-timeout."""


def pytest_configure(config: pytest.Config) -> None:
    """In CI's sample, examples are the same each time: what turns red there is a change's doing."""
    settings.load_profile("sample" if config.option.markexpr == "not deep" else "explore")


def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Give tests their deadline, unless `--timeout` gives them another."""
    for item in items:
        if config.getoption("timeout") is None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture(scope="session", autouse=True)
def _no_real_aws() -> Iterator[None]:
    """A test that is about to fails at once; its children are kept from it too."""
    with guard.up():
        yield


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds count whatever this machine, which isn't ours alone, does to them."""
    make_steady(monkeypatch)
