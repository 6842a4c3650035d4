"""What is a netbench scenario? The whole language as frozen dataclasses, named as in its JSON.

All amounts are integers, as in the format: bytes, and milliseconds where a name ends in ``_ms``.
This file runs on hosts: standard library only, no input or output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from pytest_netbench.scenario.extensions import ReceiveDatagram, Repeat, Schedule, SendDatagram

if TYPE_CHECKING:
    from os import PathLike

_NONE: Mapping[str, str] = MappingProxyType({})


# --- operations of a connection: what one endpoint does on its streams -------------------------


@dataclass(frozen=True, slots=True)
class Sleep:
    """Do nothing for this long; with ``hold``, from when so many connections of this process are there to do so."""

    amount_ms: int
    hold: int | None = None


@dataclass(frozen=True, slots=True)
class OpenBidirectionalStream:
    """Open a stream that both sides may send on; ``fresh``: another one each time, under the same number."""

    stream_id: int
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class OpenSendStream:
    """Open a stream that only the opener sends on; ``fresh`` as above."""

    stream_id: int
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Send exactly this many payload bytes."""

    stream_id: int
    bytes: int


@dataclass(frozen=True, slots=True)
class SendFinish:
    """Say that nothing more will be sent."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class SendRate:
    """Send at most this many bytes a period, from the next send on."""

    stream_id: int
    bytes: int
    period_ms: int


@dataclass(frozen=True, slots=True)
class Receive:
    """Receive exactly this many payload bytes."""

    stream_id: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ReceiveAll:
    """Receive until the peer finishes."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class ReceiveFinish:
    """Take no more from this stream."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class ReceiveRate:
    """Receive at most this many bytes a period, from the next receive on."""

    stream_id: int
    bytes: int
    period_ms: int


@dataclass(frozen=True, slots=True)
class Park:
    """Wait until the checkpoint has been unparked, and take it."""

    checkpoint: int


@dataclass(frozen=True, slots=True)
class Unpark:
    """Let whoever parks at the checkpoint go on."""

    checkpoint: int


@dataclass(frozen=True, slots=True)
class Trace:
    """Note that this point was reached, under a name of the scenario's table ``traces``."""

    trace_id: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Time the operations inside as one sample of the trace."""

    trace_id: int
    operations: tuple[ConnectionOp, ...]


@dataclass(frozen=True, slots=True)
class Time:
    """Repeat for this long; the operation ends in the middle of its body when the time is up."""

    amount_ms: int


@dataclass(frozen=True, slots=True)
class Count:
    """Repeat this many times."""

    amount: int


@dataclass(frozen=True, slots=True)
class Iterate:
    """Repeat the operations; with a trace, each repetition is one sample."""

    value: Time | Count
    operations: tuple[ConnectionOp, ...]
    trace_id: int | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Run these lists of operations beside each other; done when all are done."""

    threads: tuple[tuple[ConnectionOp, ...], ...]


ConnectionOp: TypeAlias = (
    Sleep
    | OpenBidirectionalStream
    | OpenSendStream
    | Send
    | SendFinish
    | SendRate
    | Receive
    | ReceiveAll
    | ReceiveFinish
    | ReceiveRate
    | Park
    | Unpark
    | Trace
    | Profile
    | Iterate
    | Scope
    | Schedule
    | SendDatagram
    | ReceiveDatagram
)


# --- operations of a client --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClientSleep:
    """Do nothing for this long (the format calls the field differently than for a connection)."""

    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Connect:
    """Dial, run the whole connection, close it.

    ``resume``: go on with the session of an earlier connection to that server; ``early_data``: what is sent first goes
    with the handshake (0-RTT).
    """

    server_id: int
    server_connection_id: int
    client_connection_id: int
    router_id: int | None = None
    resume: bool = False
    early_data: bool = False


@dataclass(frozen=True, slots=True)
class ClientScope:
    """Run these lists of client operations beside each other; done when all are done."""

    threads: tuple[tuple[ClientOp, ...], ...]


ClientOp: TypeAlias = ClientSleep | Connect | Park | Unpark | Trace | ClientScope | Repeat | Schedule


# --- operations of a router: part of the format, executed by no program ------------------------


@dataclass(frozen=True, slots=True)
class RouterAmount:
    """``sleep`` and the four delays and jitters: a time in milliseconds."""

    name: str
    amount_ms: int


@dataclass(frozen=True, slots=True)
class RouterPackets:
    """Buffers, rates of drop, reorder, corruption and rebinding: a number of packets (u32)."""

    name: str
    packet_count: int


@dataclass(frozen=True, slots=True)
class RouterMtu:
    """``server_mtu`` and ``client_mtu``: bytes (u16)."""

    name: str
    mtu: int


@dataclass(frozen=True, slots=True)
class RebindAll:
    """Give every client a new port, a new address, or both."""

    ports: bool
    addresses: bool


RouterOp: TypeAlias = RouterAmount | RouterPackets | RouterMtu | RebindAll | Trace


# --- endpoints ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connection:
    """What one endpoint does on one connection.

    ``ops`` runs here from the beginning; ``peer_streams[i]`` runs when the peer's stream ``i`` is accepted, each time
    that the peer opens it afresh.
    """

    ops: tuple[ConnectionOp, ...] = ()
    peer_streams: tuple[tuple[ConnectionOp, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Client:
    """One client process: what it dials, and the programs of its connections."""

    scenario: tuple[ClientOp, ...]
    connections: tuple[Connection, ...]
    name: str = ""
    configuration: Mapping[str, str] = field(default_factory=lambda: _NONE)
    certificate_authorities: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """One server process; the last three are indexes into the scenario's ``certificates``."""

    connections: tuple[Connection, ...]
    name: str = ""
    configuration: Mapping[str, str] = field(default_factory=lambda: _NONE)
    private_key: int = 1
    certificate: int = 2
    certificate_authority: int = 0


@dataclass(frozen=True, slots=True)
class Router:
    """A program between clients and servers."""

    scenario: tuple[RouterOp, ...]
    name: str = ""
    configuration: Mapping[str, str] = field(default_factory=lambda: _NONE)


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM text of an authority, a key or a chain; ``pkcs12`` stands only beside a key."""

    pem: str = ""
    pkcs12: bytes = b""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole scenario.

    ``title`` is the name under which people know it (the catalogue's, or the file's); it isn't part of the file.
    """

    id: str
    clients: tuple[Client, ...]
    servers: tuple[Server, ...]
    routers: tuple[Router, ...] = ()
    traces: tuple[str, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    title: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.title or self.id

    @property
    def requires(self) -> tuple[str, ...]:
        """What a driver must have beyond netbench's language, as it stands in the file; empty for a plain scenario."""
        from pytest_netbench.scenario.features import required

        return tuple(one.word for one in required(self))

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Scenario:
        """Read a scenario file.

        :raises ScenarioError: if it is malformed; the message has the path of the element and what was expected.
        """
        from pytest_netbench.scenario.netbench_json import read

        return read(path)

    def write(self, path: str | PathLike[str]) -> None:
        """Write the scenario as the real tools read it: compact JSON, fields in their order, no newline at the end."""
        from pytest_netbench.scenario.netbench_json import write

        write(self, path)
