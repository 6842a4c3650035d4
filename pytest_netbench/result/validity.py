"""Does a round count? One small rule each; every reason is a sentence with numbers and the names of hosts."""

from __future__ import annotations

import signal
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_netbench.result.extended import undone
from pytest_netbench.result.words import count, show
from pytest_netbench.roles import Role
from pytest_netbench.scenario.model import Scenario, Send
from pytest_netbench.scenario.walk import dials, programs, walk
from pytest_netbench.telemetry.model import ConnectionReport, Ending, Fact, HostReport, StreamBytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pytest_netbench.scenario.analysis import Analysis

_SHOWN = 3  # of many reasons of one kind, this many are spelled out

_IN_FLIGHT = 16 << 20
"""Bytes of a connection: a tool that stops when enough was sent leaves what is in socket buffers."""


@dataclass(frozen=True, slots=True)
class Budgets:
    """What a valid round may show at most.

    Seconds between the clients' begins, armed and not; bytes on control connections in the run; datagrams dropped for a
    full buffer (None where the link doesn't promise that none are).
    """

    skew_armed_s: float = 0.005
    skew_s: float = 0.1
    control_bytes: int = 0
    udp_drops: int | None = 0


@dataclass(frozen=True, slots=True)
class _Case:
    """One round as the rules see it."""

    scenario: Scenario
    analysis: Analysis
    servers: Sequence[HostReport]
    clients: Sequence[HostReport]
    skew_s: float
    armed: bool
    control_bytes: int
    budgets: Budgets

    @property
    def hosts(self) -> tuple[HostReport, ...]:
        """Servers, then clients."""
        return (*self.servers, *self.clients)

    def hosts_of(self, noun: str) -> Sequence[HostReport]:
        """The ``servers`` or the ``clients``."""
        return self.servers if noun == "servers" else self.clients


def judge(
    scenario: Scenario,
    analysis: Analysis,
    hosts: Sequence[HostReport],
    skew_s: float,
    armed: bool,  # noqa: FBT001 - a fact among facts, in the order of the record
    control_bytes: int,
    budgets: Budgets | None = None,
) -> tuple[str, ...]:
    """Why the round doesn't count; nothing for a valid one."""
    case = _case(scenario, analysis, hosts, skew_s, armed, control_bytes, budgets or Budgets())
    return tuple(reason for rule in RULES for reason in _first(rule(case)))


def from_outside(scenario: Scenario, analysis: Analysis, hosts: Sequence[HostReport]) -> tuple[str, ...]:
    """Those of the reasons that come from outside the benchmark, in the same words."""
    case = _case(scenario, analysis, hosts, 0.0, True, 0, Budgets())  # noqa: FBT003 - as in the record
    return tuple(reason for rule in OUTSIDE for reason in _first(rule(case)))


def _case(
    scenario: Scenario,
    analysis: Analysis,
    hosts: Sequence[HostReport],
    skew_s: float,
    armed: bool,  # noqa: FBT001 - a fact among facts
    control_bytes: int,
    budgets: Budgets,
) -> _Case:
    return _Case(
        scenario,
        analysis,
        [host for host in hosts if host.role is Role.SERVER],
        [host for host in hosts if host.role is Role.CLIENT],
        skew_s,
        armed,
        control_bytes,
        budgets,
    )


def _first(reasons: Iterable[str]) -> Iterator[str]:
    """The first few reasons of one rule, and how many there are more."""
    found = list(reasons)
    yield from found[:_SHOWN]
    if len(found) > _SHOWN:
        yield f"... and {len(found) - _SHOWN:,} more of this kind"


# --- the rules ---------------------------------------------------------------------------------


def _all_report(case: _Case) -> Iterator[str]:
    """Every endpoint of the scenario has told what it saw."""
    for noun, have, wanted in (
        ("server", len(case.servers), len(case.scenario.servers)),
        ("client", len(case.clients), len(case.scenario.clients)),
    ):
        if have != wanted:
            yield f"the scenario has {count(wanted, noun)}, {have} reported"


def _expected_end(case: _Case) -> Iterator[str]:
    """Each driver ended as its row expects."""
    for host in case.hosts:
        if not host.ending.expected:
            yield f"{host.host}: its driver {_ended(host.ending)}"


def _ended(ending: Ending) -> str:
    if ending.signal is not None:
        try:
            name = signal.Signals(ending.signal).name
        except ValueError:
            name = f"signal {ending.signal}"
        how = f"was ended by {name}"
    elif ending.status is not None:
        how = f"exited with status {ending.status}"
    else:
        how = "did not end"
    return f"{how}: {ending.reason}" if ending.reason else f"{how}, which its row doesn't expect"


def _no_problems(case: _Case) -> Iterator[str]:
    """No driver reports a problem."""
    for host in case.hosts:
        for problem in host.driver.problems:
            yield f"{host.host}: {problem}"


def _connects_are_accepts(case: _Case) -> Iterator[str]:
    """Clients dialled as many connections as the scenario says, and servers accepted as many, each its own."""
    wanted = expected_connects(case.scenario)
    made = [one for client in case.clients for one in client.driver.connections]
    dialled = _all_tell(case.clients, Fact.CONNECTIONS)
    total = None if None in wanted.values() else sum(one or 0 for one in wanted.values())
    if total is not None and len(made) != total and dialled:
        yield f"the scenario has {count(total, 'connection')}, the clients report {len(made):,}"
    for server in case.servers:
        accepted, expected = len(server.driver.connections), wanted.get(server.index, 0)
        if expected is None and dialled:  # a time decides: as many as were dialled
            expected = sum(one.server == server.index for one in made)
        if expected is not None and accepted != expected and _all_tell([server], Fact.CONNECTIONS):
            yield f"{server.host}: it accepted {accepted:,} of {count(expected, 'connection')}"


def _all_tell(hosts: Iterable[HostReport], fact: Fact) -> bool:
    """Whether all these drivers say that; what isn't told isn't compared."""
    return not any(fact in host.driver.untold for host in hosts)


def expected_connects(scenario: Scenario) -> dict[int, int | None]:
    """How many connections each server gets, by its index; None where a time decides."""
    found: dict[int, int | None] = {}
    for client in scenario.clients:
        for one, often in dials(client.scenario):
            before = found.get(one.server_id, 0)
            found[one.server_id] = None if before is None or often is None else before + often
    return found


def _bytes_conserved(case: _Case) -> Iterator[str]:
    """What was sent was received, on every stream that no timed ``iterate`` cuts; there at most that."""
    dialled, accepted = _keyed(case.clients), _keyed(case.servers)
    paired: set[str] = set()
    for key, ours in dialled.items():
        theirs = accepted.get(key, [])
        if len(ours) == len(theirs):
            paired.add(key)
            for (client, near), (server, far) in zip(ours, theirs, strict=True):
                yield from _connection_conserved(client, near, server, far)
    yield from _totals_conserved(case, paired)


def _keyed(hosts: Iterable[HostReport]) -> Mapping[str, list[tuple[str, ConnectionReport]]]:
    found: defaultdict[str, list[tuple[str, ConnectionReport]]] = defaultdict(list)
    for host in hosts:
        for connection in host.driver.connections:
            if connection.key is not None:
                found[connection.key].append((host.host, connection))
    return found


def _connection_conserved(client: str, near: ConnectionReport, server: str, far: ConnectionReport) -> Iterator[str]:
    for stream, here, there in _streams(near, far):
        cut = here.cut or there.cut
        for sender, sent, receiver, received in (
            (client, here.sent, server, there.received),
            (server, there.sent, client, here.received),
        ):
            if sent != received and not (cut and received <= sent):
                yield (
                    f"connection {near.key}, stream {stream}: {sender} sent {sent:,} bytes, "
                    f"{receiver} received {received:,}"
                )


def _streams(near: ConnectionReport, far: ConnectionReport) -> Iterator[tuple[str, StreamBytes, StreamBytes]]:
    """The streams of a connection with what both ends say of them; an end that knows nothing of one says zero.

    The only stream of a connection is the same at both ends, whatever its number: without streams on the wire (duplex
    mode), the accepting end counts from 0.
    """
    if len(near.streams) == len(far.streams) == 1:
        yield str(near.streams[0].stream), near.streams[0], far.streams[0]
        return
    ours = {(one.stream, one.opened_here): one for one in near.streams}
    theirs = {(one.stream, not one.opened_here): one for one in far.streams}
    for number, by_client in dict.fromkeys((*ours, *theirs)):
        nothing = StreamBytes(number, by_client, 0, 0)
        name = f"{number} of the {'client' if by_client else 'server'}"
        yield name, ours.get((number, by_client), nothing), theirs.get((number, by_client), nothing)


def _totals_conserved(case: _Case, paired: set[str]) -> Iterator[str]:
    """The same over all connections whose two ends can't be told to be one.

    A driver that tells of a call when it is over doesn't tell of one that was cut, of which a part may have come.
    """
    ours = [one for host in case.clients for one in host.driver.connections if one.key not in paired]
    theirs = [one for host in case.servers for one in host.driver.connections if one.key not in paired]
    cut = sum(stream.cut for one in (*ours, *theirs) for stream in one.streams)
    for sender, senders, receiver, receivers, expected in (
        ("clients", ours, "servers", theirs, case.analysis.client_to_server_bytes),
        ("servers", theirs, "clients", ours, case.analysis.server_to_client_bytes),
    ):
        sent = sum(stream.sent for one in senders for stream in one.streams)
        received = sum(stream.received for one in receivers for stream in one.streams)
        if not (_all_tell(case.hosts_of(sender), Fact.SENT) and _all_tell(case.hosts_of(receiver), Fact.RECEIVED)):
            continue
        may_lack = cut or expected is None
        if sent != received and not (may_lack and received < sent + cut * _largest_send(case.scenario)):
            yield f"the {sender} sent {sent:,} bytes, the {receiver} received {received:,}"


def _largest_send(scenario: Scenario) -> int:
    sizes = (one.bytes for ops, path in programs(scenario) for one, _ in walk(ops, path) if isinstance(one, Send))
    return max(sizes, default=0)


def _bytes_expected(case: _Case) -> Iterator[str]:
    """Receivers got what the scenario sends them, where no time decides how much that is."""
    for receiver, hosts, expected in (
        ("servers", case.servers, case.analysis.client_to_server_bytes),
        ("clients", case.clients, case.analysis.server_to_client_bytes),
    ):
        if expected is None or not _all_tell(hosts, Fact.RECEIVED):
            continue
        streams = [one for host in hosts for two in host.driver.connections for one in two.streams]
        received = sum(one.received for one in streams)
        stops = sum(one.cut for one in streams)
        if received != expected and not (received and stops and expected - received <= stops * _IN_FLIGHT):
            names = ", ".join(host.host for host in hosts[:_SHOWN]) + (", ..." if len(hosts) > _SHOWN else "")
            yield f"the scenario sends {expected:,} bytes to the {receiver}, they received {received:,} ({names})"


def _began_together(case: _Case) -> Iterator[str]:
    """The clients began within the budget, 5 ms if all were armed."""
    budget = case.budgets.skew_armed_s if case.armed else case.budgets.skew_s
    begins = sorted((host.began_ns, host.host) for host in case.clients if host.began_ns is not None)
    if len(case.clients) > 1 and len(begins) < len(case.clients):
        silent = [host.host for host in case.clients if host.began_ns is None]
        yield f"it isn't known when {', '.join(silent[:_SHOWN])} began, so the start skew isn't either"
    if case.skew_s > budget:
        who = f" ({begins[0][1]} first, {begins[-1][1]} last)" if len(begins) > 1 else ""
        kind = "armed" if case.armed else "not armed"
        yield f"the clients began {show(case.skew_s, 's')} apart{who}, {kind} drivers may {show(budget, 's')}"


def _silent(case: _Case) -> Iterator[str]:
    """Nothing was said on control connections while the benchmark ran."""
    if case.control_bytes > case.budgets.control_bytes:
        yield (
            f"{case.control_bytes:,} bytes were sent on control connections during the run, "
            f"{case.budgets.control_bytes:,} are allowed"
        )


def _no_drops(case: _Case) -> Iterator[str]:
    """No datagrams were dropped for a full buffer where the link promises that; counted once a network namespace."""
    budget = case.budgets.udp_drops
    drops: dict[str, tuple[int, list[str]]] = {}
    for host in case.hosts:
        if host.counters is not None:
            most, names = drops.get(host.counters.namespace, (0, []))
            drops[host.counters.namespace] = (max(most, host.counters.udp_rcvbuf_drops), [*names, host.host])
    for dropped, names in drops.values():
        if budget is not None and dropped > budget:
            where = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            yield f"{where}: {count(dropped, 'datagram')} dropped for a full receive buffer, the link promises {budget}"


def _not_starved(case: _Case) -> Iterator[str]:
    """The load generators had the processor that they needed."""
    for host in case.hosts:
        if host.starved:
            yield f"{host.host}: its driver may have been starved: {host.starved}"


def _extensions_done(case: _Case) -> Iterator[str]:
    """What the scenario requires beyond netbench's language was done, and to the extent that it asks for."""
    yield from undone(case.scenario, case.servers, case.clients)


def _clock_steady(case: _Case) -> Iterator[str]:
    """No clock was set while drivers may have read it."""
    for host in case.hosts:
        if host.clock_step_s:
            yield f"{host.host}: its clock was set by {show(host.clock_step_s, 's')} during the run"


def _within_allowances(case: _Case) -> Iterator[str]:
    """No cloud held traffic back because a host was above its share."""
    for host in case.hosts:
        for name, grown in host.counters.allowances_exceeded.items() if host.counters is not None else ():
            yield f"{host.host}: the network held back {count(grown, 'packet')}: above its share ({name})"


RULES: tuple[Callable[[_Case], Iterator[str]], ...] = (
    _all_report,
    _expected_end,
    _no_problems,
    _connects_are_accepts,
    _bytes_conserved,
    _bytes_expected,
    _extensions_done,
    _began_together,
    _silent,
    _no_drops,
    _not_starved,
    _clock_steady,
    _within_allowances,
)

OUTSIDE: tuple[Callable[[_Case], Iterator[str]], ...] = (_not_starved, _clock_steady)
"""The rules whose reasons neither side of a benchmark can have caused."""
