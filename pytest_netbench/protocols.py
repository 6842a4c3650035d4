"""In what order does a round go? The two protocols of netbench, as russula's tables; pure."""

from __future__ import annotations

from russula.protocol import Command, Finished, Peer, Protocol, Role, State


class NetbenchServer(State):
    """A server's worker. RUNNING: its driver listens."""

    WAIT = "WAIT"
    READY = "READY"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    DONE = "DONE"
    FAILED = "FAILED"


class NetbenchClient(State):
    """A client's worker. ARMED: its driver is up, nothing is connected. RUNNING: the start instant is accepted."""

    WAIT = "WAIT"
    READY = "READY"
    STARTING = "STARTING"
    ARMED = "ARMED"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    DONE = "DONE"
    FAILED = "FAILED"


class ServerCoordinator(State):
    """The side that drives a server's worker."""

    CHECK = "CHECK"
    READY = "READY"
    START = "START"
    RUNNING = "RUNNING"
    STOP = "STOP"
    STOPPED = "STOPPED"
    COLLECT = "COLLECT"
    DONE = "DONE"
    FAILED = "FAILED"


class ClientCoordinator(State):
    """The side that drives a client's worker."""

    CHECK = "CHECK"
    READY = "READY"
    START = "START"
    ARMED = "ARMED"
    GO = "GO"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    COLLECT = "COLLECT"
    DONE = "DONE"
    FAILED = "FAILED"


_S, _SC, _C, _CC = NetbenchServer, ServerCoordinator, NetbenchClient, ClientCoordinator

SERVER = Protocol(
    "netbench-server",
    1,
    coordinator=Role(
        _SC,
        {
            _SC.CHECK: {Peer(_S.READY): _SC.READY},
            _SC.READY: {Command("run"): _SC.START},
            _SC.START: {Peer(_S.RUNNING): _SC.RUNNING},
            _SC.RUNNING: {Command("stop"): _SC.STOP},
            _SC.STOP: {Peer(_S.STOPPED): _SC.STOPPED},
            _SC.STOPPED: {Command("finish"): _SC.COLLECT},
            _SC.COLLECT: {Finished(): _SC.DONE},
            _SC.DONE: {},
        },
        failed=_SC.FAILED,
        acts=frozenset({_SC.COLLECT}),
        orders=frozenset({_SC.START}),
    ),
    worker=Role(
        _S,
        {
            _S.WAIT: {Peer(_SC.CHECK): _S.READY},
            _S.READY: {Peer(_SC.START): _S.STARTING},
            _S.STARTING: {Finished(): _S.RUNNING},
            _S.RUNNING: {Peer(_SC.STOP): _S.STOPPING},
            _S.STOPPING: {Finished(): _S.STOPPED},
            _S.STOPPED: {Peer(_SC.DONE): _S.DONE},
            _S.DONE: {},
        },
        failed=_S.FAILED,
        acts=frozenset({_S.STARTING, _S.RUNNING, _S.STOPPING}),
        silent=frozenset({_S.RUNNING}),
    ),
)

CLIENT = Protocol(
    "netbench-client",
    1,
    coordinator=Role(
        _CC,
        {
            _CC.CHECK: {Peer(_C.READY): _CC.READY},
            _CC.READY: {Command("run"): _CC.START},
            _CC.START: {Peer(_C.ARMED): _CC.ARMED},
            _CC.ARMED: {Command("go"): _CC.GO},
            _CC.GO: {Peer(_C.RUNNING): _CC.RUNNING},
            _CC.RUNNING: {Peer(_C.STOPPED): _CC.STOPPED},
            _CC.STOPPED: {Command("finish"): _CC.COLLECT},
            _CC.COLLECT: {Finished(): _CC.DONE},
            _CC.DONE: {},
        },
        failed=_CC.FAILED,
        acts=frozenset({_CC.COLLECT}),
        orders=frozenset({_CC.START}),
        instants=frozenset({_CC.GO}),
    ),
    worker=Role(
        _C,
        {
            _C.WAIT: {Peer(_CC.CHECK): _C.READY},
            _C.READY: {Peer(_CC.START): _C.STARTING},
            _C.STARTING: {Finished(): _C.ARMED},
            _C.ARMED: {Peer(_CC.GO): _C.RUNNING},
            _C.RUNNING: {Finished(): _C.STOPPED},
            _C.STOPPED: {Peer(_CC.DONE): _C.DONE},
            _C.DONE: {},
        },
        failed=_C.FAILED,
        acts=frozenset({_C.STARTING, _C.ARMED, _C.RUNNING}),
        silent=frozenset({_C.RUNNING}),
    ),
)
