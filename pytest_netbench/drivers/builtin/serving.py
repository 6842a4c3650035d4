"""How does a server come up? Its sockets, then one process, or several that share the address.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from pytest_netbench.drivers.builtin import support, tcp
from pytest_netbench.drivers.builtin.ending import Misused, Stopped
from pytest_netbench.drivers.builtin.place import place
from pytest_netbench.drivers.builtin.pool import Pool
from pytest_netbench.drivers.builtin.preparation import multiplexed, recorder_of, server_of, settle, wire_of
from pytest_netbench.drivers.builtin.recorder import Recorder
from pytest_netbench.drivers.builtin.sampler import sampled
from pytest_netbench.drivers.builtin.settings import Settings
from pytest_netbench.drivers.builtin.signals import Signals
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.scenario.walk import cut_by_time, reopened_by_clients


def serve(
    chosen: Settings,
    scenario: Scenario,
    recorders: list[Recorder | Pool],
    signals: Signals,
    say: Callable[[str], None],
) -> None:
    """Serve until a signal comes; the last of ``recorders`` has seen what was served.

    :raises Stopped: when the signal came.
    :raises Failed: if the address can't be had.
    """
    if chosen.index >= len(scenario.servers):
        raise Misused(f"SERVER_ID: {chosen.index}, the scenario has {len(scenario.servers)} servers")
    own = scenario.servers[chosen.index]
    many = multiplexed(chosen, scenario)
    support.check(f"servers[{chosen.index}]", own.connections, many=many)
    wire = wire_of(chosen, scenario, own, multiplex=many)
    again, exact = reopened_by_clients(scenario, chosen.index), not cut_by_time(scenario)
    where = place(own.configuration)

    def carry_out(
        listening: socket.socket, recorder: Recorder, ready: Callable[[], None], number: int | None = None
    ) -> None:
        server = server_of(chosen)(own, chosen.index, listening, wire, recorder, say, again=again, exact=exact)
        settle()
        signals.end(server.engine)
        ready()
        recorder.begin()
        with wire.finishing(), sampled(chosen.profile, number):
            server.run()

    def one_of_many(number: int, ready: Callable[[], None]) -> Recorder:
        where.take(number)
        recorder = recorder_of(chosen, scenario)
        with contextlib.suppress(Stopped):
            carry_out(sockets[number], recorder, ready, number)
        return recorder

    with ExitStack() as stack:
        sockets = wire.listeners(chosen.ip, chosen.port, where.processes)
        for one in sockets:
            stack.enter_context(one)
        ready = partial(_tell, sockets[0])
        if where.processes > 1:
            pool = Pool()
            recorders.append(pool)
            pool.run(where.processes, one_of_many, ready)
        else:
            where.take()
            recorder = recorders[-1]
            assert isinstance(recorder, Recorder)
            carry_out(sockets[0], recorder, ready)


def _tell(listening: socket.socket) -> None:
    """Say where the server listens: with port 0 one asks."""
    with contextlib.suppress(OSError):  # nobody wants to know
        print(f"listening on {tcp.text(listening.getsockname())}", flush=True)  # noqa: T201
