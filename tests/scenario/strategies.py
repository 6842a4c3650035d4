"""Which scenarios does Hypothesis make? Any that can be said, plain or extended, with every reference in its range."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pytest_netbench.scenario import extensions as x
from pytest_netbench.scenario import model as m

U64 = st.integers(0, 2**64 - 1)
IDS = st.integers(0, 3)
TRACE_NAMES = ("one", "zwei", "π")
TRACES = st.integers(0, len(TRACE_NAMES) - 1)

SIMPLE: st.SearchStrategy[Any] = st.one_of(
    st.builds(m.Sleep, U64),
    st.builds(m.OpenBidirectionalStream, IDS),
    st.builds(m.OpenSendStream, IDS),
    st.builds(m.Send, IDS, U64),
    st.builds(m.SendFinish, IDS),
    st.builds(m.SendRate, IDS, U64, U64),
    st.builds(m.Receive, IDS, U64),
    st.builds(m.ReceiveAll, IDS),
    st.builds(m.ReceiveFinish, IDS),
    st.builds(m.ReceiveRate, IDS, U64, U64),
    st.builds(m.Park, U64),
    st.builds(m.Unpark, U64),
    st.builds(m.Trace, TRACES),
)
REPEATS = st.builds(m.Time, U64) | st.builds(m.Count, U64)


def _lists(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(inner, max_size=3).map(tuple)


OPERATIONS: st.SearchStrategy[Any] = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds(m.Profile, TRACES, _lists(inner)),
        st.builds(m.Iterate, REPEATS, _lists(inner), st.none() | TRACES),
        st.builds(m.Scope, _lists(_lists(inner))),
    ),
    max_leaves=8,
)
CLIENT_OPERATIONS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.builds(m.ClientSleep, U64),
        st.builds(m.Connect, st.just(0), st.just(0), st.just(0), st.none() | st.just(0)),
        st.builds(m.Park, U64),
        st.builds(m.Unpark, U64),
        st.builds(m.Trace, TRACES),
    ),
    lambda inner: st.builds(m.ClientScope, _lists(_lists(inner))),
    max_leaves=5,
)
ROUTER_OPERATIONS: st.SearchStrategy[Any] = st.one_of(
    st.builds(m.RouterAmount, st.sampled_from(["sleep", "server_delay", "client_jitter"]), U64),
    st.builds(
        m.RouterPackets, st.sampled_from(["client_drop_rate", "client_rebind_port_rate"]), st.integers(0, 2**32 - 1)
    ),
    st.builds(m.RouterMtu, st.sampled_from(["server_mtu", "client_mtu"]), st.integers(0, 2**16 - 1)),
    st.builds(m.RebindAll, st.booleans(), st.booleans()),
    st.builds(m.Trace, TRACES),
)
CONNECTIONS = st.builds(m.Connection, _lists(OPERATIONS), _lists(_lists(OPERATIONS)))
SETTINGS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2)
CERTIFICATES = st.builds(m.Certificate, st.text(max_size=9), st.binary(max_size=9))

SCENARIOS: st.SearchStrategy[m.Scenario] = st.builds(
    m.Scenario,
    id=st.text(max_size=9),
    clients=_lists(
        st.builds(
            m.Client,
            _lists(CLIENT_OPERATIONS),
            st.lists(CONNECTIONS, min_size=1, max_size=2).map(tuple),
            st.text(max_size=5),
            SETTINGS,
            _lists(st.integers(0, 2)),
        )
    ),
    servers=st.lists(
        st.builds(m.Server, st.lists(CONNECTIONS, min_size=1, max_size=2).map(tuple), st.text(max_size=5), SETTINGS),
        min_size=1,
        max_size=2,
    ).map(tuple),
    routers=st.lists(
        st.builds(m.Router, _lists(ROUTER_OPERATIONS), st.text(max_size=5), SETTINGS), min_size=1, max_size=2
    ).map(tuple),
    traces=st.just(TRACE_NAMES),
    certificates=st.just(()) | st.lists(CERTIFICATES, min_size=3, max_size=3).map(tuple),
)


# --- what extends the format -------------------------------------------------------------------

POSITIVE = st.integers(1, 2**64 - 1)
ARRIVALS: st.SearchStrategy[x.Arrivals] = st.builds(x.Fixed, POSITIVE, POSITIVE) | st.builds(
    x.Poisson, POSITIVE, POSITIVE, U64
)
EXTENDED_OPERATIONS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        SIMPLE,
        st.builds(m.Sleep, U64, st.just(1)),
        st.builds(m.OpenSendStream, st.just(1), st.just(True)),
        st.builds(x.SendDatagram, st.integers(0, 2**16 - 1)),
        st.builds(x.ReceiveDatagram, U64),
    ),
    lambda inner: st.one_of(
        st.builds(m.Iterate, REPEATS, _lists(inner), st.none() | TRACES),
        st.builds(m.Scope, st.tuples(_lists(inner))),
        st.builds(x.Schedule, ARRIVALS, POSITIVE, _lists(inner), TRACES),
    ),
    max_leaves=8,
)
DIAL = m.Connect(0, 0, 0)
EXTENDED_CLIENT: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.just(DIAL), st.builds(m.Connect, *map(st.just, (0, 0, 0, None, True)), st.booleans())),
    lambda inner: st.one_of(
        st.builds(m.ClientScope, _lists(_lists(inner))),
        st.builds(
            x.Repeat,
            st.builds(m.Time, U64) | st.builds(m.Count, POSITIVE),
            _lists(inner).map(lambda some: (DIAL, *some)),
            st.none() | TRACES,
        ),
        st.builds(x.Schedule, ARRIVALS, POSITIVE, _lists(inner), TRACES),
    ),
    max_leaves=5,
)


def _extended(operations: list[Any], near: tuple[Any, ...], far: tuple[Any, ...]) -> m.Scenario:
    opening = tuple(m.OpenBidirectionalStream(number) for number in range(4))
    ends = m.Connection((*opening, *near), ((),) * 4), m.Connection(peer_streams=((), far, (), ()))
    client = m.Client((DIAL, *operations), (ends[0],))
    return m.Scenario("x", (client,), (m.Server((ends[1],)),), traces=TRACE_NAMES)


EXTENDED = st.builds(
    _extended, st.lists(EXTENDED_CLIENT, max_size=3), _lists(EXTENDED_OPERATIONS), _lists(EXTENDED_OPERATIONS)
)
"""One client and one server; it begins with a plain dial, so that there is a session to resume."""
