"""What holds for every test? None may reach the real AWS, and none fails for the time that an example took."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from pytest_netbench.testing.aws import guard
from tests.steady import make_steady

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""On a busy machine the first example alone takes a while."""
settings.register_profile("explore", SLOW)
settings.register_profile("sample", SLOW, derandomize=True)


def pytest_configure(config: pytest.Config) -> None:
    """In CI's sample, examples are the same each time: what turns red there is a change's doing."""
    settings.load_profile("sample" if config.option.markexpr == "not deep" else "explore")


@pytest.fixture(scope="session", autouse=True)
def _no_real_aws() -> Iterator[None]:
    """A test that is about to fails at once; its children are kept from it too."""
    with guard.up():
        yield


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds count whatever this machine, which isn't ours alone, does to them."""
    make_steady(monkeypatch)
