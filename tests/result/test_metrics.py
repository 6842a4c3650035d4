"""Are a round's numbers what its hosts saw?"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.result.catalogue import describe
from pytest_netbench.result.metrics import measure, outermost_traces, start_skew
from pytest_netbench.result.validity import judge
from pytest_netbench.scenario.model import Connection, Count, Iterate, Profile, Scope, Send
from pytest_netbench.telemetry.model import CpuScope, HostReport
from tests.result.result_cases import MS, carries, connection, download, host, scenario, stream


def test_goodput_counts_all_receivers_from_first_byte_to_last() -> None:
    """Payload of all receivers, over the time from the earliest first byte to the latest last byte."""
    hosts = [
        host("server0", connection(stream(3000, 1000, here=False)), window=(100 * MS, 200 * MS)),
        host("client0", connection(stream(1000, 3000)), window=(150 * MS, 2100 * MS)),
    ]
    metrics, _, whole = measure(scenario(), hosts)
    assert metrics["goodput"] == pytest.approx(4000 / 2.0)
    assert not whole


def test_nothing_received_has_no_goodput() -> None:
    """Without payload there is no goodput, rather than a zero."""
    metrics, _, _ = measure(scenario(), [host("client0", connection(), window=(None, None))])
    assert not any(name.startswith("goodput") for name in metrics)


def test_one_read_has_no_goodput() -> None:
    """Payload that came in at one instant has no rate."""
    metrics, _, _ = measure(scenario(), [host("client0", connection(stream(0, 5)), window=(MS, MS))])
    assert "goodput" not in metrics


def test_a_server_without_instants_counts_within_its_clients_window() -> None:
    """Where the larger part has instants, the rest is counted in the same window, unmarked."""
    hosts = download(size=990)
    hosts[0] = host("server0", connection(stream(990, 10, here=False)), window=(None, None))
    metrics, _, whole = measure(scenario(), hosts)
    assert metrics["goodput"] == 1000
    assert "goodput" not in whole


def test_an_upload_to_a_server_without_instants_is_marked() -> None:
    """Where the larger part has no instants, the clients' whole run stands in for the window, and that is said."""
    hosts = [
        host("server0", connection(stream(0, 1000, here=False)), window=(None, None)),
        host("client0", connection(stream(1000, 0)), window=(None, None), began=0, ended=4000 * MS),
    ]
    metrics, _, whole = measure(scenario(), hosts)
    assert metrics["goodput"] == 250
    assert {"goodput", "goodput.slowest_client", "goodput.fairness"} == whole


def test_each_client_has_its_own_goodput() -> None:
    """The slowest client and the fairness come from each client's bytes over its own window."""
    hosts = [
        host("client0", connection(stream(0, 1000)), window=(0, 1000 * MS)),
        host("client1", connection(stream(0, 1000)), window=(0, 3000 * MS)),
    ]
    metrics, _, _ = measure(scenario(clients=2), hosts)
    assert metrics["goodput.slowest_client"] == pytest.approx(1000 / 3)
    assert metrics["goodput.fairness"] == pytest.approx((1 + 1 / 3) ** 2 / (2 * (1 + 1 / 9)))


def test_uploads_are_told_apart_by_their_connections() -> None:
    """What a server received counts for the client of the same connection, over that connection's own window."""
    accepted = [
        connection(stream(0, 1000, here=False), key="a>s", first_byte_ns=0, last_byte_ns=1000 * MS),
        connection(stream(0, 1000, here=False), key="b>s", first_byte_ns=0, last_byte_ns=2000 * MS),
    ]
    hosts = [
        host("server0", *accepted, window=(0, 2000 * MS)),
        host("client0", connection(stream(1000, 0), key="a>s"), window=(None, None)),
        host("client1", connection(stream(1000, 0), key="b>s"), window=(None, None)),
    ]
    metrics, _, whole = measure(scenario(clients=2), hosts)
    assert metrics["goodput"] == 1000
    assert metrics["goodput.slowest_client"] == 500
    assert metrics["goodput.fairness"] == pytest.approx(0.9)
    assert not whole


def test_samples_are_merged_over_the_clients_with_blanks_replaced() -> None:
    """A trace's percentiles come from all clients' samples together; its name has no blanks."""
    hosts = [
        host("client0", samples={"ping 1KB": (0.001, 0.003)}),
        host("client1", samples={"ping 1KB": (0.002,)}),
        host("server0", samples={"ping 1KB": (9.0,)}),
    ]
    metrics, samples, _ = measure(scenario(clients=2, traces=("ping 1KB",)), hosts)
    assert samples["ping_1KB"] == (0.001, 0.003, 0.002)
    assert (metrics["ping_1KB.p50"], metrics["ping_1KB.max"]) == (0.002, 0.003)


def test_a_trace_that_only_servers_take_is_given_too() -> None:
    """A trace of which no client has samples comes from the servers."""
    _, samples, _ = measure(scenario(traces=("take",)), [host("client0"), host("server0", samples={"take": (1.0,)})])
    assert samples["take"] == (1.0,)


def test_connection_times_are_a_distribution() -> None:
    """Connection times of all clients have percentiles, and can be had as samples."""
    dials = [connection(stream(), connect_s=one / 1000) for one in (1, 2, 3)]
    metrics, samples, _ = measure(scenario(connects=3), [host("client0", *dials)])
    assert metrics["connect.p50"] == 0.002
    assert samples["connect"] == (0.001, 0.002, 0.003)


def test_cpu_is_per_received_byte_and_per_operation() -> None:
    """A side's CPU is divided by the payload received anywhere, and by the operations."""
    metrics, _, whole = measure(scenario(), download(size=990))
    assert metrics["server.cpu_per_byte"] == 0.5 / 1000
    assert metrics["client.cpu_per_op"] == 0.25  # no traces: one connection is one operation
    assert (metrics["server.peak_rss"], metrics["client.peak_rss"]) == (7, 5)
    assert not whole


def test_whole_process_cpu_is_marked() -> None:
    """CPU that includes the start of a process is given, and marked."""
    hosts = [host("client0", connection(stream(0, 10)), cpu=1.0, scope=CpuScope.PROCESS)]
    assert measure(scenario(), hosts).whole_process == {"client.cpu_per_byte", "client.cpu_per_op"}


def test_a_side_of_which_one_host_has_no_cpu_has_none() -> None:
    """A sum over hosts of which one is unknown isn't given."""
    hosts = [host("client0", connection(stream(0, 10)), cpu=1.0), host("client1", connection(stream(0, 10)))]
    assert not any("cpu" in name for name in measure(scenario(clients=2), hosts).metrics)


def test_operations_are_samples_of_outermost_traces() -> None:
    """A trace inside another doesn't count again; one inside an untraced loop or a scope does."""
    inner = Profile(1, (Send(0, 1),))
    program = Connection((Iterate(Count(2), (inner,), 0), Scope(((Iterate(Count(2), (Profile(2, ()),)),),))))
    whole = scenario(traces=("outer", "inner", "other"), programs=(program,))
    assert outermost_traces(whole, whole.clients) == {"outer", "other"}
    hosts = [host("client0", samples={"outer": (1.0, 1.0), "inner": (1.0,) * 5, "other": (1.0,)}, cpu=6.0)]
    assert measure(whole, hosts).metrics["client.cpu_per_op"] == 2


def test_hosts_of_one_namespace_share_their_counters() -> None:
    """The kernel's counters of a namespace are counted once, however many hosts read them."""
    hosts = [host("client0", drops=4, resent=3), host("server0", drops=4, resent=2)]
    metrics = measure(scenario(), hosts).metrics
    assert (metrics["udp.rcvbuf_drops"], metrics["tcp.retransmits"]) == (4, 3)
    assert "udp.rcvbuf_drops.client0" not in metrics


def test_hosts_with_their_own_namespaces_are_told_apart() -> None:
    """Counters of several namespaces are summed, and each host's own is given."""
    hosts = [host("client0", drops=4, namespace="a"), host("server0", drops=1, namespace="b")]
    metrics = measure(scenario(), hosts).metrics
    assert metrics["udp.rcvbuf_drops"] == 5
    assert (metrics["udp.rcvbuf_drops.client0"], metrics["udp.rcvbuf_drops.server0"]) == (4, 1)


def test_retransmits_come_from_the_connections_where_all_drivers_tell() -> None:
    """The drivers' own connections go before the namespace, which has other traffic too."""
    hosts = [
        host("client0", connection(stream(), retransmits=2), resent=90),
        host("server0", connection(stream(), retransmits=1), resent=90),
    ]
    metrics = measure(scenario(), hosts).metrics
    assert (metrics["tcp.retransmits"], metrics["tcp.retransmits.client0"]) == (3, 2)


@pytest.mark.parametrize(("begins", "skew"), [([5], 0), ([0, 3 * MS, MS], 0.003), ([None], 0)])
def test_start_skew_is_latest_less_earliest_client(begins: list[int | None], skew: float) -> None:
    """The skew is taken over the clients alone; one client has none."""
    clients = [host(f"client{number}", began=began) for number, began in enumerate(begins)]
    assert start_skew([host("server0", began=99 * MS), *clients]) == skew


COUNT = st.integers(0, 10**12)
INSTANT = st.none() | st.integers(0, 10**15)
STREAM = st.builds(stream, COUNT, COUNT, st.integers(0, 3), here=st.booleans(), cut=st.booleans())
CONNECTION = st.builds(
    lambda streams, key, **more: connection(*streams, key=key, **more),
    st.lists(STREAM, max_size=2),
    st.sampled_from([None, "a", "b"]),
    connect_s=st.none() | st.floats(0, 100),
    retransmits=st.none() | COUNT,
    first_byte_ns=INSTANT,
    last_byte_ns=INSTANT,
)
HOST = st.builds(
    lambda name, connections, **more: host(name, *connections, **more),
    st.sampled_from(["client0", "client1", "server0"]),
    st.lists(CONNECTION, max_size=3),
    window=st.tuples(INSTANT, INSTANT),
    began=INSTANT,
    ended=INSTANT,
    cpu=st.none() | st.floats(0, 1e6),
    rss=st.none() | COUNT,
    samples=st.dictionaries(st.sampled_from(["a b", "connect"]), st.lists(st.floats(0, 1e6)).map(tuple)),
    drops=COUNT,
    namespace=st.sampled_from(["x", "y"]),
)


@given(st.lists(HOST, max_size=4))
def test_whatever_is_reported_gives_known_finite_metrics(hosts: list[HostReport]) -> None:
    """Every metric has a row in the table and is a finite number, zero or more; no report is too odd to be read."""
    whole = scenario(clients=2, traces=("a b", "connect"))
    metrics, samples, marked = measure(whole, hosts)
    for name, value in metrics.items():
        assert describe(name).unit
        assert math.isfinite(value)
        assert value >= 0
    assert marked <= set(metrics)
    assert all(samples.values())
    assert all(judge(whole, carries(), hosts, start_skew(hosts), True, 0))
