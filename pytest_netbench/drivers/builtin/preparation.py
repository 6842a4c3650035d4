"""What is prepared in the same way for a client and for a server? The mode, the wire, and a quiet interpreter.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

from pytest_netbench.drivers.builtin import slow, tcp
from pytest_netbench.drivers.builtin.ending import Unsupported
from pytest_netbench.drivers.builtin.recorder import Recorder
from pytest_netbench.drivers.builtin.server import Server
from pytest_netbench.drivers.builtin.settings import Settings, Transport
from pytest_netbench.drivers.builtin.wire import Wire
from pytest_netbench.scenario import model as m
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.features import Feature
from pytest_netbench.scenario.walk import one_at_a_time


def multiplexed(chosen: Settings, scenario: m.Scenario) -> bool:
    """Whether streams go in frames: as asked, or where a connection of the scenario has more than one."""
    if chosen.transport is Transport.QUIC:
        return True  # it has streams of its own
    if chosen.multiplex is not None:
        return chosen.multiplex
    return analyse(scenario).streams_per_connection > 1


def wire_of(chosen: Settings, scenario: m.Scenario, own: m.Client | m.Server, *, multiplex: bool) -> Wire:
    """How this endpoint's connections carry streams.

    :raises Misused: if the endpoint's configuration or its certificates can't be read.
    :raises Unsupported: if this Python can't do what is chosen.
    """
    alone = isinstance(own, m.Client) or one_at_a_time(scenario, chosen.index)
    match chosen.transport:
        case Transport.TCP:
            slow.take(own.configuration)
            return Wire(tcp.options(own.configuration), multiplex=multiplex, alone=alone)
        case Transport.TLS:
            from pytest_netbench.drivers.builtin import security  # not for others: it takes time and memory

            if isinstance(own, m.Client):
                return security.for_client(scenario, own, multiplex=multiplex)
            return security.for_server(scenario, own, multiplex=multiplex, alone=alone)
        case Transport.QUIC:
            with _aioquic():
                from pytest_netbench.drivers.builtin import quic
            return quic.wire(scenario, own, chosen.qlogs)


def server_of(chosen: Settings) -> type[Server]:
    """What accepts this transport's connections.

    :raises Unsupported: if this host hasn't got what that needs.
    """
    if chosen.transport is not Transport.QUIC:
        return Server
    with _aioquic():
        from pytest_netbench.drivers.builtin.quic_server import QuicServer
    return QuicServer


@contextlib.contextmanager
def _aioquic() -> Iterator[None]:
    """Import what needs aioquic, which isn't on every host."""
    try:
        yield
    except ImportError as error:
        raise Unsupported(f"quic needs aioquic on this host: pip install 'pytest-netbench[quic]' ({error})") from None


def recorder_of(chosen: Settings, scenario: m.Scenario) -> Recorder:
    """What records what this endpoint does."""
    return Recorder(scenario.traces, chosen.index, holds=Feature.HOLD.word in scenario.requires)


def settle() -> None:
    """What was made until now stays: no search for garbage in the middle of a measurement."""
    gc.freeze()
    gc.disable()
