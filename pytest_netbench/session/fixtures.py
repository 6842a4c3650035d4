"""Which fixtures does a test ask for? Thin ones: they yield what the other files make, and close it."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from pytest_netbench.errors import NetbenchWarning
from pytest_netbench.session.bridge import BENCH, PLAN, TimeoutClock, session_of

if TYPE_CHECKING:
    from pytest_netbench.hosts.model import Fleet
    from pytest_netbench.hosts.provider import Provider
    from pytest_netbench.playing import Clients, Servers
    from pytest_netbench.run import Stage
    from pytest_netbench.session.bench import Netbench
    from pytest_netbench.settings.plan import Plan


@pytest.fixture
def netbench_driver(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The names of the server's and the client's driver of this parameter of the test."""
    pair: tuple[str, str] = request.param
    return pair


@pytest.fixture
def _netbench_plan(request: pytest.FixtureRequest, netbench_driver: tuple[str, str]) -> Plan:
    from pytest_netbench.session.planning import plan

    made = plan(session_of(request.config), request.node, netbench_driver)
    request.node.stash[PLAN] = made
    return made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def netbench_provider(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    """The provider of hosts of this session; everything that it made is gone at the session's end."""
    from pytest_netbench.session.planning import provider

    async with provider(session_of(request.config)) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def hosts(_netbench_plan: Plan, netbench_provider: Provider) -> AsyncIterator[Fleet]:
    """The hosts of this test, with a worker that listens on each."""
    async with netbench_provider.fleet(_netbench_plan.need()) as fleet:
        yield fleet


@pytest_asyncio.fixture(loop_scope="session")
async def netbench(
    request: pytest.FixtureRequest, _netbench_plan: Plan, hosts: Fleet, netbench_provider: Provider
) -> AsyncIterator[Netbench]:
    """Runs the rounds of the test's scenario: ``netbench.run()``; in ``async def`` tests ``await netbench.arun()``."""
    from pytest_netbench.session.planning import bench
    from pytest_netbench.session.recording import passed

    clock = TimeoutClock(request.node)
    made = bench(session_of(request.config), _netbench_plan, hosts, netbench_provider, clock)
    request.node.stash[BENCH] = made
    yield made
    if made.result is not None and (words := made.result.unasked) and passed(request.node):
        warnings.warn(NetbenchWarning(words), stacklevel=1)


class _ByHand:
    """One round that the test drives itself: both coordinators share its place, and the machine's turn."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.servers: Servers | None = None


@pytest_asyncio.fixture(loop_scope="session")
async def _netbench_by_hand(netbench: Netbench) -> AsyncIterator[_ByHand]:
    async with netbench.turn():
        with netbench.by_hand() as stage:
            yield _ByHand(stage)
            await netbench.abandoned(stage)


@pytest_asyncio.fixture(loop_scope="session")
async def server_coord(_netbench_by_hand: _ByHand) -> AsyncIterator[Servers]:
    """The coordinator of the servers' workers, at READY."""
    from pytest_netbench import run

    async with run.servers(_netbench_by_hand.stage) as coordinator:
        _netbench_by_hand.servers = coordinator
        yield coordinator


@pytest_asyncio.fixture(loop_scope="session")
async def client_coord(_netbench_by_hand: _ByHand) -> AsyncIterator[Clients]:
    """The coordinator of the clients' workers, at READY; its clients meet the servers of ``server_coord``."""
    from pytest_netbench import run

    lead = run.LEADS[1]  # nobody begins such a round anew
    async with run.clients(_netbench_by_hand.stage, lambda: _netbench_by_hand.servers, lead) as coordinator:
        yield coordinator
