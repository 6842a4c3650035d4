"""What does a test author import? The public names; each is loaded when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_netbench.errors import (
        BuildError,
        DriverMissing,
        HostError,
        NetbenchError,
        NetbenchWarning,
        RunError,
        ScenarioError,
        TooFewSamples,
        UnknownMetric,
        Unsupported,
        UsageError,
    )
    from pytest_netbench.gate import Gate
    from pytest_netbench.gate.arms import Arm, arms
    from pytest_netbench.hosts.model import Hosts, Link
    from pytest_netbench.protocols import NetbenchClient, NetbenchServer
    from pytest_netbench.result.catalogue import Kind
    from pytest_netbench.result.model import Better
    from pytest_netbench.result.result import Result
    from pytest_netbench.result.source import Place, Source
    from pytest_netbench.scenario.builder import build
    from pytest_netbench.scenario.catalog import (
        bidi,
        connect,
        download,
        fan_in,
        fan_out,
        handshakes,
        idle,
        open_loop,
        ping,
        request_response,
        requests,
        upload,
    )
    from pytest_netbench.scenario.model import Scenario
    from pytest_netbench.session.bench import Netbench
    from pytest_netbench.units import (
        GB,
        KB,
        MB,
        Gbit_per_s,
        GiB,
        Kbit_per_s,
        KiB,
        Mbit_per_s,
        MiB,
        ms,
        s,
        us,
    )

_HOMES = {
    "session.bench": ("Netbench",),
    "errors": (
        "BuildError",
        "DriverMissing",
        "HostError",
        "NetbenchError",
        "NetbenchWarning",
        "RunError",
        "ScenarioError",
        "TooFewSamples",
        "UnknownMetric",
        "Unsupported",
        "UsageError",
    ),
    "gate": ("Gate",),
    "gate.arms": ("Arm", "arms"),
    "hosts.model": ("Hosts", "Link"),
    "protocols": ("NetbenchClient", "NetbenchServer"),
    "result.catalogue": ("Kind",),
    "result.model": ("Better",),
    "result.result": ("Result",),
    "result.source": ("Place", "Source"),
    "scenario.builder": ("build",),
    "scenario.catalog": (
        "bidi",
        "connect",
        "download",
        "fan_in",
        "fan_out",
        "handshakes",
        "idle",
        "open_loop",
        "ping",
        "request_response",
        "requests",
        "upload",
    ),
    "scenario.model": ("Scenario",),
    "units": ("GB", "KB", "MB", "Gbit_per_s", "GiB", "Kbit_per_s", "KiB", "Mbit_per_s", "MiB", "ms", "s", "us"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "GB",
    "KB",
    "MB",
    "Arm",
    "Better",
    "BuildError",
    "DriverMissing",
    "Gate",
    "Gbit_per_s",
    "GiB",
    "HostError",
    "Hosts",
    "Kbit_per_s",
    "KiB",
    "Kind",
    "Link",
    "Mbit_per_s",
    "MiB",
    "Netbench",
    "NetbenchClient",
    "NetbenchError",
    "NetbenchServer",
    "NetbenchWarning",
    "Place",
    "Result",
    "RunError",
    "Scenario",
    "ScenarioError",
    "Source",
    "TooFewSamples",
    "UnknownMetric",
    "Unsupported",
    "UsageError",
    "arms",
    "bidi",
    "build",
    "connect",
    "download",
    "fan_in",
    "fan_out",
    "handshakes",
    "idle",
    "ms",
    "open_loop",
    "ping",
    "request_response",
    "requests",
    "s",
    "upload",
    "us",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
