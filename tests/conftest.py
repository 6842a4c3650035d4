"""What holds for every test? None may reach the real AWS, and none fails for the time that an example took."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from pytest_netbench.testing.aws import guard

settings.register_profile("netbench", deadline=None)  # on a busy machine the first example alone takes a while
settings.load_profile("netbench")


@pytest.fixture(scope="session", autouse=True)
def _no_real_aws() -> Iterator[None]:
    """A test that is about to fails at once; its children are kept from it too."""
    with guard.up():
        yield
