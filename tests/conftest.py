"""What holds for every test? None may reach the real AWS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_netbench.testing.aws import guard


@pytest.fixture(scope="session", autouse=True)
def _no_real_aws() -> Iterator[None]:
    """A test that is about to fails at once; its children are kept from it too."""
    with guard.up():
        yield
