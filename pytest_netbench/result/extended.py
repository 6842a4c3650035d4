"""What came of what extends netbench's language? Its metrics, and whether it was done as it is required; pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_netbench.result.catalogue import CONNECT, trace_names
from pytest_netbench.result.words import count, show
from pytest_netbench.scenario.features import Feature
from pytest_netbench.scenario.model import Client, Scenario, Sleep
from pytest_netbench.scenario.walk import endpoint_programs, walk
from pytest_netbench.telemetry.model import ConnectionReport, Fact, HostReport, Pace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LEAST = 0.99
"""Of the load that a schedule offers, and of the connections that are to resume: less is another measurement."""


def extended(scenario: Scenario, servers: Sequence[HostReport], clients: Sequence[HostReport]) -> dict[str, float]:
    """The metrics that these reports carry; none for a plain scenario."""
    needed = frozenset(scenario.requires)
    if not needed:
        return {}
    found = _loads(scenario, clients)
    if Feature.REPEAT.word in needed and (rates := [_connect_rate(client) for client in clients]):
        found |= {f"{CONNECT}.rate": sum(one for one in rates if one)} if all(rates) else {}
    for name, (done, asked) in _sessions(one for client in clients for one in client.driver.connections).items():
        found |= {f"{CONNECT}.{name}": done / asked} if asked else {}
    found |= _memory("server", servers) | _memory("client", clients)
    sent, received = _datagrams((*servers, *clients))
    return found | ({"datagrams.lost": max(1 - received / sent, 0.0)} if sent else {})


def _loads(scenario: Scenario, clients: Sequence[HostReport]) -> dict[str, float]:
    """Rates by trace, summed over the clients, which run beside each other."""
    paces: defaultdict[str, list[Pace]] = defaultdict(list)
    names = trace_names((*scenario.traces, *(trace for client in clients for trace in client.driver.loads)))
    for client in clients:
        for trace, load in client.driver.loads.items():
            paces[f"{names[trace]}.{'rate' if load.due is None else 'achieved'}"].append(load.done)
            if load.due is not None:
                paces[f"{names[trace]}.offered"].append(load.due)
    rates = {name: [one.rate for one in several] for name, several in paces.items()}
    return {name: sum(one for one in several if one) for name, several in rates.items() if None not in several}


def _connect_rate(client: HostReport) -> float | None:
    """By the instants; of a driver that only counts connections, over its whole run."""
    if instants := _instants(client):
        return Pace(1, len(instants), min(instants), max(instants)).rate
    if Fact.CONNECTIONS in client.driver.untold or client.began_ns is None or client.ended_ns is None:
        return None
    return Pace(0, len(client.driver.connections), client.began_ns, client.ended_ns).rate


def _instants(client: HostReport) -> list[int]:
    return [one.usable_ns for one in client.driver.connections if one.usable_ns is not None]


def over_whole_runs(metrics: Iterable[str], clients: Iterable[HostReport]) -> frozenset[str]:
    """Those of these metrics for which the whole run of a driver stands, since it doesn't tell its instants."""
    rate = f"{CONNECT}.rate"
    return frozenset({rate} if rate in metrics and not all(_instants(client) for client in clients) else ())


def _sessions(connections: Iterable[ConnectionReport]) -> dict[str, tuple[int, int]]:
    """How many connections resumed their session, and had their early data taken; and how many were to."""
    tried: dict[str, list[bool]] = {"resumed": [], "early_data": []}
    for one in connections:
        for name, done in (("resumed", one.resumed), ("early_data", one.early_data)):
            if done is not None:
                tried[name].append(done)
    return {name: (sum(several), len(several)) for name, several in tried.items()}


def _memory(side: str, hosts: Sequence[HostReport]) -> dict[str, float]:
    held = [host.driver.held for host in hosts if host.driver.held is not None and host.driver.held.connections]
    if not held:
        return {}
    grown, connections = sum(one.rss - one.before for one in held), sum(one.connections for one in held)
    return {f"{side}.memory_per_connection": grown / connections}


def _datagrams(hosts: Iterable[HostReport]) -> tuple[int, int]:
    counts = [one.datagrams for host in hosts for one in host.driver.connections if one.datagrams is not None]
    return sum(sent for sent, _ in counts), sum(received for _, received in counts)


# --- was it done? ------------------------------------------------------------------------------


def undone(scenario: Scenario, servers: Sequence[HostReport], clients: Sequence[HostReport]) -> Iterator[str]:
    """Why a round doesn't show what its scenario requires."""
    needed = frozenset(scenario.requires)
    if Feature.SCHEDULE.word in needed:
        yield from _uncarried(clients)
    for feature, name, what in (
        (Feature.RESUMPTION, "resumed", "resume a session"),
        (Feature.EARLY_DATA, "early_data", "send early data"),
    ):
        if feature.word in needed:
            yield from _unresumed(name, what, clients)
    if Feature.HOLD.word in needed:
        yield from _unheld(scenario, clients)
    if Feature.DATAGRAMS.word in needed and not any(
        one.datagrams for host in (*servers, *clients) for one in host.driver.connections
    ):
        yield "the scenario sends datagrams, no driver tells of any"


def _uncarried(clients: Sequence[HostReport]) -> Iterator[str]:
    """The load that a schedule offers was carried."""
    if not any(load.due for client in clients for load in client.driver.loads.values()):
        yield "the scenario has a schedule, no client tells which load it offered and achieved"
    for client in clients:
        for trace, load in client.driver.loads.items():
            if load.due is None:
                continue
            offered, achieved = load.due.rate, load.done.rate
            if load.done.events < load.due.events:
                yield f"{client.host}: {trace}: {load.done.events:,} of {count(load.due.events, 'arrival')} ended"
            elif offered and achieved and achieved < LEAST * offered:
                yield (
                    f"{client.host}: {trace}: {show(achieved, '1/s')} achieved of {show(offered, '1/s')} offered "
                    f"({achieved / offered:.1%}): at least {LEAST:.0%} makes a load that was carried"
                )


def _unresumed(name: str, what: str, clients: Sequence[HostReport]) -> Iterator[str]:
    tried = 0
    for client in clients:
        done, asked = _sessions(client.driver.connections)[name]
        tried += asked
        if done < LEAST * asked:
            yield f"{client.host}: {name}: {done:,}/{asked:,} connections"
    if not tried:
        yield f"the scenario has connections that {what}, no client tells of any that tried"


def _unheld(scenario: Scenario, clients: Sequence[HostReport]) -> Iterator[str]:
    """As many connections as a client is to hold were open when its memory was read."""
    for client in clients:
        held = client.driver.held
        wanted = max(_holds(scenario.clients[client.index : client.index + 1]), default=0)
        if wanted and (held is None or held.connections < wanted):
            told = "it doesn't tell how many were" if held is None else f"{held.connections:,} were"
            yield f"{client.host}: {count(wanted, 'connection')} were to be held at once, {told}"


def _holds(clients: Iterable[Client]) -> Iterator[int]:
    for client in clients:
        for operations, _ in endpoint_programs(client.connections, ""):
            yield from (one.hold for one, _ in walk(operations, "") if isinstance(one, Sleep) and one.hold is not None)
