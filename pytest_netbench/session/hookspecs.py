"""What may other plugins add? Each hook is a signature and one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_netbench.drivers.driver import Driver
    from pytest_netbench.gate import Gate
    from pytest_netbench.hosts.provider import Provider
    from pytest_netbench.result.model import SessionRecord
    from pytest_netbench.result.source import Source


@pytest.hookspec
def pytest_netbench_providers(config: pytest.Config) -> Mapping[str, type[Provider]]:  # type: ignore[empty-body]
    """Providers of hosts by name."""


@pytest.hookspec
def pytest_netbench_drivers(config: pytest.Config) -> Mapping[str, Driver | Mapping[str, Any]]:  # type: ignore[empty-body]
    """Drivers by name, as rows, or as tables like ``[drivers.NAME]`` in the configuration."""


@pytest.hookspec
def pytest_netbench_telemetry(config: pytest.Config) -> Mapping[str, Source]:  # type: ignore[empty-body]
    """Sources of telemetry by name: what is measured beside every round, in results as ``NAME.METRIC``."""


@pytest.hookspec
def pytest_netbench_gates(item: pytest.Item) -> Mapping[str, Gate]:  # type: ignore[empty-body]
    """Limits by metric for a benchmark whose marker declares none: what a project wants to be gated everywhere."""


@pytest.hookspec
def pytest_netbench_report(config: pytest.Config, session: SessionRecord) -> None:
    """The session's results are written to the result folder: do more with them."""
