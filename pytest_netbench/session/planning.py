"""What will a test run, and where? Settings, marker and parameter become a plan; provider and turn are taken."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import pytest

from pytest_netbench.ab.standards import Standards
from pytest_netbench.drivers.choice import check_options, of_side
from pytest_netbench.drivers.support import check
from pytest_netbench.errors import BuildError, DriverMissing, NetbenchError, Unsupported, UsageError
from pytest_netbench.hosts.ledger import Ledger
from pytest_netbench.hosts.lock import machine_lock
from pytest_netbench.hosts.provider import Provider, ProviderContext
from pytest_netbench.roles import Role
from pytest_netbench.session import command, matching
from pytest_netbench.session.bench import Netbench
from pytest_netbench.session.bridge import spec
from pytest_netbench.settings.marker import EACH, Spec
from pytest_netbench.settings.plan import Plan

if TYPE_CHECKING:
    from pytest_netbench.drivers.driver import Driver
    from pytest_netbench.hosts.model import Fleet
    from pytest_netbench.session.session import Session

TURN_DEADLINE = 3600.0
"""Seconds that a round may wait for other runs on this machine."""


def parameters(session: Session, wanted: Spec) -> tuple[tuple[str, str], ...]:
    """The drivers with which a test runs, each pair one parameter of it.

    :raises UsageError: for a driver that no row describes, an option that it doesn't have, a provider that nobody
        offers, hosts that nobody counted.
    """
    wanted.need()
    session.provider_class(wanted.provider)
    drivers = session.settings.drivers.over(wanted.drivers)
    chosen = session.settings.ab or wanted.ab
    if chosen is not None:
        named = [name for name in (chosen.ref.driver, chosen.cand.driver) if name is not None]
        for name in named:
            session.driver(name)
        if len(named) == len((chosen.ref, chosen.cand)):  # then the test's own don't matter
            drivers = (named[0],)
    pairs = wanted.pairs(drivers)
    for pair in pairs:
        for names, role in zip(pair, (Role.SERVER, Role.CLIENT), strict=True):
            for driver in session.cast(names):
                with suppress(Unsupported):  # the test is skipped for that, when its turn comes
                    check_options(driver, of_side(wanted.options, driver, role))
    return pairs


def label(pair: tuple[str, str]) -> str:
    """A pair of drivers in a test's id."""
    return pair[0] if pair[0] == pair[1] else "/".join(pair)


def plan(session: Session, item: pytest.Item, pair: tuple[str, str]) -> Plan:
    """Merge the layers for one test; skip it, with the reason, where it can't be done here."""
    wanted, chosen = spec(item), session.settings
    if wanted.provider is not None and wanted.provider != chosen.provider:
        pytest.skip(f"needs hosts of {wanted.provider}: --netbench-provider {wanted.provider}")
    need = replace(wanted.need(), drivers=frozenset(name for side in pair for name in side.split(EACH)))
    if (refusal := session.provider_class().refuses(need)) is not None:
        pytest.skip(f"unsupported by provider {chosen.provider}: {refusal}")
    made = matching.contest_of(item)
    if made is None:
        _build(session, pair)
    servers, clients = (session.cast(names) for names in pair)
    if made is None:
        both = {Role.SERVER: servers, Role.CLIENT: clients}
        _skip_if_unable(session, wanted, both, dict.fromkeys(Role, wanted.options))
    for one in () if made is None else (made.ref, made.cand):
        _skip_if_unable(session, wanted, one.drivers, one.options, named=one.named)
    share = session.budget.share(gated=matching.is_gated(session, wanted))
    return Plan(
        nodeid=item.nodeid,
        spec=wanted,
        server_driver=servers[0],
        client_driver=clients[0],
        each={Role.SERVER: servers, Role.CLIENT: clients},
        rounds=chosen.rounds.over(wanted.rounds),
        warmup=chosen.warmup.over(wanted.warmup),
        timeout=chosen.timeout.over(wanted.timeout),
        budget=wanted.budget if share is None else share,
        contest=made,
        mode=chosen.gate,
        length=chosen.length.over(wanted.length),
        command=command.measure(item.config, item.nodeid),
    )


def _build(session: Session, names: tuple[str, ...]) -> None:
    """Have all that is built; a build that fails is an error of the test that needs it, in the build's words."""
    kind = session.provider_class()
    for name in names:
        if any(one.build for one in session.cast(name)) and not (kind.shares_machine or kind.brings):
            where = f"driver {name} is built on this machine, and $OUT isn't on the hosts"
            pytest.skip(f"unsupported by provider {session.settings.provider}: {where}")
        try:
            session.ensure_built(name)
        except BuildError as error:
            pytest.fail(str(error), pytrace=False)


def _skip_if_unable(
    session: Session,
    wanted: Spec,
    drivers: Mapping[Role, Sequence[Driver]],
    options: Mapping[Role, Mapping[str, Any]],
    *,
    named: bool = False,
) -> None:
    """Skip a test whose drivers aren't here, or can't do it; an arm that was asked for by name fails where it isn't."""
    from pytest_netbench.scenario.analysis import analyse

    try:
        for several in drivers.values():
            for driver in several:
                session.provider_class().look_for(driver, session.provider_settings)
        if wanted.scenario is not None:
            analysis = analyse(wanted.scenario)
            for role, several in drivers.items():
                for driver in several:
                    check(driver, analysis, role, options[role])
    except DriverMissing as error:
        if named:
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    except Unsupported as error:
        pytest.skip(f"unsupported: {error}")


@asynccontextmanager
async def provider(session: Session) -> AsyncIterator[Provider]:
    """The session's provider, while it lives; SIGTERM and SIGHUP end it as Ctrl-C does, so that it is closed."""
    from pytest_netbench.drivers.registry import dump

    ledger = session.ledger = Ledger.open(session.name)  # closed with the session, which may have to sweep after us
    with _terminated_as_interrupted(session.hurry):
        context = ProviderContext(
            run=session.name,
            ledger=ledger,
            drivers=dump(session.hosts_drivers),
            settings=session.provider_settings,
            keep=session.settings.keep_hosts,
            upcoming=lambda: tuple(session.upcoming.values()),
            hurried=lambda: session.hurried,
        )
        kind = session.provider_class()
        if session.worker and not kind.parallel:
            raise UsageError(f"provider {kind.name} can't be shared by workers of pytest-xdist: run without -n")
        session.provider = kind(context)  # from now on a sweep finds what it made, also if it doesn't come up
        async with session.provider as made:
            yield made
        session.provider = None


def forecast(session: Session, items: Iterable[pytest.Item]) -> None:
    """Note what all these tests will need, for a provider that wants to know."""
    if not session.provider_class().forecasts:
        return
    for item in items:
        try:
            need = spec(item).need()
        except NetbenchError:  # it is told when the test is set up
            continue
        session.upcoming[item.nodeid] = need


@contextmanager
def _terminated_as_interrupted(hurry: Callable[[], None]) -> Iterator[None]:
    main = threading.current_thread() is threading.main_thread()
    ours = [one for one in (signal.SIGTERM, signal.SIGHUP) if main and signal.getsignal(one) is signal.SIG_DFL]

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        hurry()
        signal.raise_signal(signal.SIGINT)

    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def bench(session: Session, made: Plan, fleet: Fleet, hosts_from: Provider, clock: Clock) -> Netbench:
    """What runs the rounds of one test, on the running loop."""
    return Netbench(
        plan=made,
        fleet=fleet,
        provider=hosts_from,
        loop=asyncio.get_running_loop(),
        run_id=session.name,
        staging=session.staging,
        out=session.settings.out,
        turn=lambda: turn(clock),
        contend=lambda arms, link: matching.contest(session, made, arms, link),
        judged=session.judged,
        sources=session.sources,
        spend=session.budget.spend,
        standards=standards(session, made.spec),
    )


def standards(session: Session, wanted: Spec) -> Standards:
    """To what a test is held.

    :raises NetbenchError: if a baseline, an acceptance or the calibration can't be used.
    """
    arms = session.settings.ab or wanted.ab
    if not wanted.gate:
        return Standards()
    return Standards(session.references, session.acceptances(arms), session.calibration)


class Clock(Protocol):
    """A deadline that can be held while a test waits for its turn."""

    def stop(self) -> None:
        """Hold it."""

    def start(self) -> None:
        """Let it run again."""


class NoClock:
    """Nothing counts the time that a round waits for its turn."""

    def stop(self) -> None:
        """Nothing to hold."""

    def start(self) -> None:
        """Nothing to let go."""


@asynccontextmanager
async def turn(clock: Clock) -> AsyncIterator[None]:
    """A round's turn on this machine; while others have theirs, the clock stands still."""
    async with machine_lock(deadline=TURN_DEADLINE, on_wait=clock.stop, on_acquired=clock.start):
        yield


def refuse(error: Exception, nodeid: str) -> NoReturn:
    """Report a mistake in a test's marker as that test's collection error, in one line."""
    raise pytest.Collector.CollectError(f"{nodeid}: {error}") from None
