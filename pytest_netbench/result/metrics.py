"""What are the numbers of one round? From a scenario and what its hosts saw to metrics and samples; pure."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pytest_netbench.result.catalogue import CONNECT, PERCENTILES, plain, trace_names
from pytest_netbench.result.extended import extended, over_whole_runs
from pytest_netbench.result.stats import jain, quantile
from pytest_netbench.roles import Role
from pytest_netbench.scenario.extensions import Schedule
from pytest_netbench.scenario.model import Client, ConnectionOp, Iterate, Profile, Scenario, Scope, Server
from pytest_netbench.telemetry.model import ConnectionReport, CpuScope, Fact, HostReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_NS = 1e9


class Spent(NamedTuple):
    """What a round cost, and for what: CPU seconds by side, payload bytes, operations.

    CPU seconds without those that drivers needed before they could be asked for anything.
    """

    cpu: Mapping[str, float]
    payload: int
    operations: int


class Measured(NamedTuple):
    """The numbers of a round.

    ``samples``: by trace, and ``connect``, in seconds. ``whole_process``: names of metrics that cover the drivers'
    whole run, start included, since their instants or windows aren't known.
    """

    metrics: dict[str, float]
    samples: dict[str, tuple[float, ...]]
    whole_process: frozenset[str]


def measure(scenario: Scenario, hosts: Sequence[HostReport]) -> Measured:
    """All metrics that these reports carry; what can't be known from them is left out, never guessed as zero."""
    servers = [host for host in hosts if host.role is Role.SERVER]
    clients = [host for host in hosts if host.role is Role.CLIENT]
    metrics: dict[str, float] = {}
    whole: set[str] = set()
    for name, (value, marked) in _goodput(servers, clients).items():
        metrics[name] = value
        if marked:
            whole.add(name)
    samples = _samples(scenario, servers, clients)
    for trace, durations in samples.items():
        metrics |= _points(trace, durations)
    payload = sum(_received(host) for host in hosts)
    operations = _operations(scenario, servers, clients)
    for role, side in ((Role.SERVER, servers), (Role.CLIENT, clients)):
        for name, (value, marked) in _costs(role.value, side, payload, operations):
            metrics[name] = value
            if marked:
                whole.add(name)
    beyond = extended(scenario, servers, clients)
    metrics |= _kernel(hosts) | beyond
    return Measured(metrics, samples, frozenset(whole) | over_whole_runs(beyond, clients))


def start_skew(hosts: Iterable[HostReport]) -> float:
    """Seconds between the earliest and the latest real begin among the clients; 0 for one."""
    begins = [host.began_ns for host in hosts if host.role is Role.CLIENT and host.began_ns is not None]
    return (max(begins) - min(begins)) / _NS if begins else 0.0


# --- goodput -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Arrival:
    """Payload that came in somewhere: how much, and from when to when, where that is known."""

    bytes: int
    first: int | None
    last: int | None


def _rate(arrivals: Iterable[_Arrival], whole: _Arrival | None) -> tuple[float, bool] | None:
    """Bytes per second over first byte to last, and whether the drivers' whole run had to stand in for that window.

    Receivers that don't tell their instants (a server whose clock begins anew with each connection) are counted within
    the window of those that do, if these took at least half of the bytes; otherwise that window says nothing of them.
    """
    came = [one for one in arrivals if one.bytes]
    total = sum(one.bytes for one in came)
    known = [(one.first, one.last, one.bytes) for one in came if one.first is not None and one.last is not None]
    if total and 2 * sum(size for _, _, size in known) >= total:
        window = max(last for _, last, _ in known) - min(first for first, _, _ in known)
        return (total * _NS / window, False) if window > 0 else None
    if total and whole is not None and whole.first is not None and whole.last is not None and whole.last > whole.first:
        return total * _NS / (whole.last - whole.first), True
    return None


def _goodput(servers: Sequence[HostReport], clients: Sequence[HostReport]) -> dict[str, tuple[float, bool]]:
    everywhere = [_arrival(host) for host in (*servers, *clients)]
    overall = _rate(everywhere, _run_of(clients))
    if overall is None:
        return {}
    found = {"goodput": overall}
    if len(clients) > 1 and any(Fact.CONNECTIONS in one.driver.untold for one in servers) | any(
        Fact.RECEIVED in one.driver.untold for one in clients
    ):
        return found  # whose bytes they were isn't told
    accepted = _by_key(servers)
    shares = [overall] if len(clients) == 1 else [_client_rate(client, accepted) for client in clients]
    rates = [one[0] for one in shares if one is not None]
    if rates and len(rates) == len(clients):
        marked = any(one[1] for one in shares if one is not None)
        found["goodput.slowest_client"] = (min(rates), marked)
        index = jain(rates)
        if index is not None:
            found["goodput.fairness"] = (index, marked)
    return found


def _client_rate(client: HostReport, accepted: defaultdict[str, deque[ConnectionReport]]) -> tuple[float, bool] | None:
    """One client's goodput: what it received, and what servers received from it, told by the connections' keys.

    ``accepted``: the servers' connections by key; each is taken out once.
    """
    came = [_arrival(client)]
    for connection in client.driver.connections:
        peer = accepted[connection.key].popleft() if connection.key is not None and accepted[connection.key] else None
        if peer is None:
            came.append(_Arrival(sum(stream.sent for stream in connection.streams), None, None))
        else:
            got = sum(stream.received for stream in peer.streams)
            came.append(_Arrival(got, peer.first_byte_ns, peer.last_byte_ns))
    return _rate(came, _run_of([client]))


def _by_key(hosts: Iterable[HostReport]) -> defaultdict[str, deque[ConnectionReport]]:
    found: defaultdict[str, deque[ConnectionReport]] = defaultdict(deque)
    for host in hosts:
        for connection in host.driver.connections:
            if connection.key is not None:
                found[connection.key].append(connection)
    return found


def _arrival(host: HostReport) -> _Arrival:
    return _Arrival(_received(host), host.driver.first_byte_ns, host.driver.last_byte_ns)


def _run_of(clients: Sequence[HostReport]) -> _Arrival | None:
    begins = [one.began_ns for one in clients if one.began_ns is not None]
    ends = [one.ended_ns for one in clients if one.ended_ns is not None]
    return _Arrival(0, min(begins), max(ends)) if begins and ends else None


def _received(host: HostReport) -> int:
    return sum(stream.received for connection in host.driver.connections for stream in connection.streams)


# --- times -------------------------------------------------------------------------------------


def _samples(
    scenario: Scenario, servers: Sequence[HostReport], clients: Sequence[HostReport]
) -> dict[str, tuple[float, ...]]:
    """Durations by trace, merged over the clients; a trace that only servers take is merged over them."""
    found: dict[str, tuple[float, ...]] = {}
    connects = tuple(
        one.connect_s for client in clients for one in client.driver.connections if one.connect_s is not None
    )
    if connects:
        found[CONNECT] = connects
    seen = (trace for host in (*clients, *servers) for trace in host.driver.samples)
    for trace, name in trace_names((*scenario.traces, *seen)).items():
        merged = _merged(trace, clients) or _merged(trace, servers)
        if merged:
            found[name] = merged
    return found


def _merged(trace: str, hosts: Sequence[HostReport]) -> tuple[float, ...]:
    parts = [host.driver.samples[trace] for host in hosts if trace in host.driver.samples]
    return parts[0] if len(parts) == 1 else tuple(one for part in parts for one in part)


def _points(trace: str, durations: Sequence[float]) -> Iterator[tuple[str, float]]:
    """Percentiles and maximum of one distribution, as pairs of metric and value."""
    ordered = sorted(durations)
    for point, share in PERCENTILES.items():
        yield f"{trace}.{point}", quantile(ordered, share)
    yield f"{trace}.max", ordered[-1]


# --- costs -------------------------------------------------------------------------------------


def _costs(
    side: str, hosts: Sequence[HostReport], payload: int, operations: int
) -> Iterator[tuple[str, tuple[float, bool]]]:
    seconds = _cpu(hosts)
    if seconds is not None:
        marked = any(host.driver.cpu.scope is CpuScope.PROCESS for host in hosts if host.driver.cpu is not None)
        if payload:
            yield f"{side}.cpu_per_byte", (seconds / payload, marked)
        if operations:
            yield f"{side}.cpu_per_op", (seconds / operations, marked)
    peaks = [host.driver.peak_rss for host in hosts if host.driver.peak_rss is not None]
    if peaks:
        yield f"{side}.peak_rss", (float(max(peaks)), False)


def _cpu(hosts: Sequence[HostReport]) -> float | None:
    """CPU seconds of all these drivers; None unless all are known."""
    known = [host.driver.cpu.seconds for host in hosts if host.driver.cpu is not None]
    return sum(known) if known and len(known) == len(hosts) else None


def spent(scenario: Scenario, hosts: Sequence[HostReport]) -> Spent:
    """What these reports say that a round cost, and for what."""
    sides = {role: [host for host in hosts if host.role is role] for role in Role}
    before = {role: sum(host.driver.cpu.before for host in side if host.driver.cpu) for role, side in sides.items()}
    cpu = {role.value: all_of - before[role] for role, side in sides.items() if (all_of := _cpu(side)) is not None}
    operations = _operations(scenario, sides[Role.SERVER], sides[Role.CLIENT])
    return Spent(cpu, sum(_received(host) for host in hosts), operations)


def slopes(large: Spent, small: Spent) -> dict[str, float | None]:
    """CPU time of one more byte, and of one more operation, between two sizes: what both needed to start cancels out.

    None where the larger one took no more; nothing where it did no more.
    """
    found: dict[str, float | None] = {}
    for side in large.cpu.keys() & small.cpu.keys():
        more = large.cpu[side] - small.cpu[side]
        for what, amount in (("byte", large.payload - small.payload), ("op", large.operations - small.operations)):
            if amount > 0:
                found[f"{side}.cpu_per_{what}"] = more / amount if more > 0 else None
    return found


def _operations(scenario: Scenario, servers: Sequence[HostReport], clients: Sequence[HostReport]) -> int:
    """How many operations the round carried out: samples of outermost traces, or connections if there are none.

    The clients' traces count; those of servers only if no client takes any. None are known of clients that don't tell.
    """
    if any(Fact.CONNECTIONS in client.driver.untold for client in clients):
        return 0
    if any(Fact.TRACES in client.driver.untold for client in clients):
        return sum(len(client.driver.connections) for client in clients)
    for endpoints, hosts in ((scenario.clients, clients), (scenario.servers, servers)):
        outermost = outermost_traces(scenario, endpoints)
        if outermost:
            return sum(len(host.driver.samples.get(trace, ())) for host in hosts for trace in outermost)
    return sum(len(client.driver.connections) for client in clients)


def outermost_traces(scenario: Scenario, endpoints: Iterable[Client | Server]) -> frozenset[str]:
    """Names of the ``profile`` and ``iterate`` traces of these endpoints that stand in no other such trace."""
    programs = [connection for endpoint in endpoints for connection in endpoint.connections]
    ids = {found for program in programs for ops in (program.ops, *program.peer_streams) for found in _outermost(ops)}
    return frozenset(scenario.traces[one] if one < len(scenario.traces) else str(one) for one in ids)


def _outermost(operations: tuple[ConnectionOp, ...]) -> Iterator[int]:
    """Trace ids of the outermost traces; with a stack of its own, since files may nest deeply."""
    waiting: list[ConnectionOp] = list(operations)
    while waiting:
        operation = waiting.pop()
        match operation:
            case Profile(trace_id=trace):
                yield trace
            case Iterate(trace_id=int(trace)):
                yield trace
            case Schedule(trace_id=trace):
                yield trace
            case Iterate(operations=inside):
                waiting.extend(inside)
            case Scope(threads=threads):
                waiting.extend(one for thread in threads for one in thread)
            case _:
                pass


# --- the kernel's counters ---------------------------------------------------------------------


def _kernel(hosts: Sequence[HostReport]) -> dict[str, float]:
    """Retransmits and drops: their sums, and each host's own where there are several that can be told apart.

    Retransmits come from the drivers' own connections where every driver tells them; the kernel's counters also see
    what else goes on in a namespace.
    """
    counted = [host for host in hosts if host.counters is not None]
    spaces = {host.host: host.counters.namespace for host in counted if host.counters is not None}
    drops = {host.host: host.counters.udp_rcvbuf_drops for host in counted if host.counters is not None}
    resent = {host.host: host.counters.tcp_retransmits for host in counted if host.counters is not None}
    found: dict[str, float] = {}
    own = _own_retransmits(hosts)
    if own is None:
        found |= _once_a_namespace("tcp.retransmits", resent, spaces)
    else:
        found |= _once_a_namespace("tcp.retransmits", own, {host: host for host in own})
    return found | _once_a_namespace("udp.rcvbuf_drops", drops, spaces)


def _own_retransmits(hosts: Sequence[HostReport]) -> dict[str, int] | None:
    """Retransmits by host as its driver read them from its connections; None unless all drivers tell."""
    counts = {host.host: [one.retransmits for one in host.driver.connections] for host in hosts}
    if not any(counts.values()) or any(None in one for one in counts.values()):
        return None
    return {host: sum(one for one in several if one is not None) for host, several in counts.items()}


def _once_a_namespace(name: str, counts: Mapping[str, int], spaces: Mapping[str, str]) -> dict[str, float]:
    """The sum of counts over namespaces; hosts of one read the same counter, at slightly different moments."""
    if not counts:
        return {}
    largest: dict[str, int] = {}
    for host, count in counts.items():
        largest[spaces[host]] = max(count, largest.get(spaces[host], 0))
    found = {name: float(sum(largest.values()))}
    if len(counts) > 1 and len(largest) == len(counts):
        found |= {f"{name}.{plain(host)}": float(count) for host, count in counts.items()}
    return found
