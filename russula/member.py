"""How does a coordinator drive one worker? Its end of one conversation; every wait belongs to the coordinator."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from russula.bulk import Receiver, pieces
from russula.clocks import Clock, Offset, Sample, estimate
from russula.dialogue import Dialogue
from russula.errors import ProtocolError, RemoteProtocolError, RussulaError, WorkerFailed, WorkerLost
from russula.link import Link, check, hello
from russula.log import COORDINATOR, note
from russula.machine import Machine
from russula.messages import JSON, Bye, Chunk, Entered, Failed, Fetch, Fetched, File, Frame, Ping, Pong, Refused
from russula.protocol import Command, Finished, Protocol
from russula.reaching import Reach, Refusal
from russula.talk import INSTANT

SAMPLES, SAMPLES_ONE_CLOCK = 8, 3
"""Round trips to estimate a clock; enough of them where all agree that it is the clock of this machine."""


@dataclass(frozen=True, slots=True)
class Target:
    """A worker to drive.

    ``name``: its name in this run. ``address``: where it listens. ``order``: the data that goes with the order, asked
    when that is sent; ``files``: likewise, plain name to path. ``results``: the folder for the files of its outbox.
    Over TCP, ``certificate``: the name on its certificate, if that isn't its own; ``pin``: the fingerprint of the only
    one that it may show.
    """

    name: str
    address: str
    results: Path
    order: Callable[[], Mapping[str, JSON]] = dict
    files: Callable[[], Mapping[str, Path]] = dict
    certificate: str = ""
    pin: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all conversations of a coordinator share. ``lease``: seconds; ``clock``: in monotonic nanoseconds."""

    protocol: Protocol
    run: str
    lease: float
    clock: Callable[[], int]
    changed: Callable[[Member], None]


class Member:
    """One worker, as its coordinator knows it.

    ``said``: what came with each state that it entered. ``clock``: how its clock goes, once that was measured.
    ``silent_bytes``: what crossed its connections while they should have been silent.
    """

    def __init__(self, target: Target, conversation: str, terms: Terms, reach: Reach) -> None:
        self.target, self.conversation, self.terms = target, conversation, terms
        self.machine = Machine(terms.protocol.coordinator, terms.protocol.worker)
        self.said: dict[Enum, Mapping[str, JSON]] = {}
        self.since_ns = terms.clock()
        self.error: RussulaError | None = None
        self.fetched = False
        self.clock: Clock | None = None
        self.sent = self.received = self.resumed = 0
        self._silent_bytes = 0
        self._reach = reach
        self._states = {state.name: state for state in terms.protocol.worker.states}
        self._dialogue = Dialogue()
        self._receiver = Receiver(target.results)
        self._link: Link | None = None
        self._resuming: asyncio.Task[None] | None = None
        self._pong: asyncio.Future[Sample] | None = None
        self._ping_ns = self._pings = 0
        self._left = False

    @property
    def name(self) -> str:
        """The worker's name."""
        return self.target.name

    @property
    def state(self) -> Enum:
        """The worker's state, as it last announced it."""
        return self.machine.peer_state

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None

    @property
    def met(self) -> str:
        """What the last try to connect met, as the end of a sentence."""
        return f" ({self._reach.last})" if self._reach.last else ""

    @property
    def silent_bytes(self) -> int:
        """Bytes that broke silence so far, by the kernel's count on TCP."""
        return self._silent_bytes + (0 if self._link is None else self._link.broken_by())

    @property
    def volume(self) -> tuple[int, int]:
        """Bytes of messages that were sent and received."""
        link = self._link
        return (self.sent, self.received) if link is None else (self.sent + link.sent, self.received + link.received)

    def has_entered(self, state: Enum) -> bool:
        """Whether the worker is, or was, in this state."""
        return state in self.machine.peer_history

    def next_command(self) -> Command | None:
        """The command for which this side waits, if it does."""
        return self.machine.role.commands.get(self.machine.state)

    # --- what the coordinator does -------------------------------------------------------------

    async def join(self) -> None:
        """Connect, and hear the worker's hello.

        :raises WorkerLost: if it can't be had.
        """
        self._announce([self.machine.state])
        try:
            await self._reach.reach(lambda: Link(self), refused_is_gone=False)
        except (OSError, Refusal, RemoteProtocolError) as error:
            raise WorkerLost(self.name, f"{self.target.address}: {error}") from error

    def command(self, command: Command, instant_ns: int | None) -> None:
        """Give a command; files and order go first where the state that it leads to has them."""
        self._wake()
        there = None if instant_ns is None or self.clock is None else self.clock.there(instant_ns)
        self._announce(self.machine.fire(command), there)
        self.terms.changed(self)

    def fetch(self) -> None:
        """Ask for the files of the outbox; ``fetched`` says when they are here."""
        self._wake()
        self._dialogue.say(Fetch())
        self._flush()

    def _wake(self) -> None:
        if self._link is not None:
            self._silent_bytes += self._link.wake(by_message=False)

    async def measure(self, *, after: bool) -> int:
        """Estimate the worker's clock, before the agreed start or after the end; returns the number of questions."""
        samples: list[Sample] = []
        while len(samples) < SAMPLES:
            samples.append(await self._round_trip())
            if len(samples) == SAMPLES_ONE_CLOCK and all(one.offset.same_clock for one in samples):
                break
        found: Offset = estimate(samples)
        self.clock = Clock(self.clock.first, found) if after and self.clock is not None else Clock(found)
        return len(samples)

    async def _round_trip(self) -> Sample:
        while True:
            if self._link is None:
                await asyncio.sleep(0.01)  # it is being resumed; the deadline is the caller's
                continue
            self._pong = asyncio.get_running_loop().create_future()
            self._pings += 1
            self._ping_ns = self.terms.clock()
            self._link.send(Ping(self._pings))
            try:
                return await self._pong
            except ConnectionError:
                continue

    def leave(self) -> list[Link]:
        """End the conversation, wherever it is; the connections that its worker will end when it has ended too."""
        self._left = True
        if self._resuming is not None:
            self._resuming.cancel()
        if self.machine.fail():
            self._dialogue.say(Failed("left", "the coordinator ended the conversation", ""))
        self._receiver.close()
        link = self._link
        if link is None:
            return []
        self._wake()
        self._flush()
        link.send(Bye())
        link.finish()
        return [link]

    # --- what the link says ----------------------------------------------------------------------

    def opened(self, link: Link) -> None:
        """Say hello; on the first connection, what there is to say goes with it."""
        terms = self.terms
        mine = {"attempt": self._reach.tries, "heard": self._dialogue.heard, "lease_ms": round(terms.lease * 1000)}
        first = hello(terms.protocol, terms.run, self.name, self.conversation, **mine)
        if self._reach.tries == 1:
            link.hold(first)
            link.flush(self._dialogue)
        else:
            link.send(first)

    def ready(self, link: Link) -> None:
        """There is room to write."""
        if link is self._link:
            self._flush()

    def heard(self, link: Link, frame: Frame) -> None:
        """A message of the worker."""
        message = frame.message
        if isinstance(message, Refused):
            self._refused(link, message.reason)
        elif link is not self._link:
            self._welcome(link, frame)
        else:
            self._reach.pause = 0.0
            if isinstance(message, Pong):
                self._answered(message)
            else:
                self._dialogue.take(frame.seq)
                self._take(link, frame)

    def _answered(self, pong: Pong) -> None:
        if pong.id == self._pings and self._pong is not None and not self._pong.done():
            self._pong.set_result(Sample(self._ping_ns, pong.at_ns, self.terms.clock()))

    def ended(self, link: Link, error: Exception | None) -> None:
        """The connection is gone: another takes its place, unless all was said, or the worker broke a rule."""
        if link is not self._link:
            self._reach.met(error)
            return
        if isinstance(error, ProtocolError):
            self._give_up(link, str(error))
            return
        self._drop(link)
        if not self._left and self.error is None and not (self.machine.ended and self.machine.peer_ended):
            self._note("lost", str(error or "the worker ended the connection"))
            self._resuming = asyncio.create_task(self._resume(), name=f"resuming {self.name}")

    def _drop(self, link: Link) -> None:
        self.sent, self.received = self.sent + link.sent, self.received + link.received
        self._link = None
        if self._pong is not None and not self._pong.done():
            self._pong.set_exception(ConnectionResetError("lost"))
        self.terms.changed(self)

    def _give_up(self, link: Link, why: str) -> None:
        """There is no going on with this worker."""
        self._drop(link)
        link.send(Bye())
        link.close()
        self._lose(why)

    def _refused(self, link: Link, reason: str) -> None:
        if link is self._link:
            self._drop(link)
            self._lose(f"it refused: {reason}")
        else:
            self._reach.met(Refusal(reason))
        link.close()

    def _welcome(self, link: Link, frame: Frame) -> None:
        said = check(frame.message, self.terms.protocol)
        if said.conversation != self.conversation or said.attempt != self._reach.tries:
            raise RemoteProtocolError("it answered to another hello")
        if self._reach.tries > 1:
            self._dialogue.resume(said.heard)
        self._link = link
        self._reach.welcome()
        self._flush()
        if self.state in self.machine.peer_role.silent:  # what resumed it broke the silence
            self._silent_bytes += link.sent + link.received
            link.hush()
        self.terms.changed(self)

    async def _resume(self) -> None:
        """Come back within the lease."""
        try:
            async with asyncio.timeout(self.terms.lease):
                await self._reach.reach(lambda: Link(self), refused_is_gone=True)
            self.resumed += 1
            self._note("resumed")
        except TimeoutError:
            self._lose(f"no connection for {self.terms.lease:g} s; {self._reach.last}")
        except (OSError, RussulaError) as error:
            self._lose(f"the connection ended in {self.state.name}, and there is no other: {error}")

    def _lose(self, why: str) -> None:
        self.error = self.error or WorkerLost(self.name, why)
        self.machine.fail()
        self._note("failed", why)
        self.terms.changed(self)

    # --- what the worker says --------------------------------------------------------------------

    def _take(self, link: Link, frame: Frame) -> None:
        match frame.message:
            case Entered() as said:
                self._entered(link, said)
            case Failed(reason, detail, tail):
                self.error = self.error or WorkerFailed(self.name, self.state.name, reason, detail, tail)
                self.machine.heard(self.terms.protocol.worker.failed)
                self.machine.fail()
                self._note("failed", f"{reason}: {detail}")
            case File() | Chunk() as piece:
                self._store(link, piece)
                return
            case Fetched(count):
                if count != self._receiver.count:
                    raise RemoteProtocolError(f"{self._receiver.count} of {count} files came")
                self.fetched = True
                if self.machine.state in self.terms.protocol.coordinator.acts:
                    self._announce(self.machine.fire(Finished()))
            case _:
                raise RemoteProtocolError(f"{type(frame.message).__name__} isn't for a coordinator")
        self.terms.changed(self)

    def _store(self, link: Link, piece: File | Chunk) -> None:
        try:
            self._receiver.take(piece)
        except OSError as error:
            self._give_up(link, f"its files can't be stored: {error}")

    def _entered(self, link: Link, said: Entered) -> None:
        state = self._states.get(said.state)
        if state is None:
            raise RemoteProtocolError(f"{self.terms.protocol.name} has no state {said.state[:50]!r}")
        self._silent_bytes += link.wake(by_message=True)
        self.said[state], self.since_ns = said.data, self.terms.clock()
        entered = self.machine.heard(state)
        self._note("entered")
        try:
            self._announce(entered)
        except Exception as error:  # noqa: BLE001  whatever the target's own functions do wrong, nobody else hears of it
            self._give_up(link, f"there is no order for it: {type(error).__name__}: {error}")
            return
        if state in self.machine.peer_role.silent:
            link.hush()

    def _announce(self, entered: Iterable[Enum], instant_ns: int | None = None) -> None:
        """Say which states this side entered; those for which no worker waits travel with the next that one does."""
        coordinator, awaited = self.terms.protocol.coordinator, self.terms.protocol.worker.awaits
        urgent = False
        for state in entered:
            data: Mapping[str, JSON] = {}
            if state in coordinator.orders:
                data = self.target.order()
                for name, path in self.target.files().items():
                    for piece in pieces(name, path):
                        self._dialogue.say(piece)
            elif state in coordinator.instants:
                data = {INSTANT: instant_ns}
            self._dialogue.say(Entered(state.name, data))
            if state in coordinator.acts:
                self._dialogue.say(Fetch())
            urgent = urgent or state in awaited or state in coordinator.acts
        if urgent:
            self._flush()

    def _flush(self) -> None:
        link = self._link
        if link is None or link.quiet:
            return
        try:
            link.flush(self._dialogue)
        except (OSError, RussulaError) as error:
            self._give_up(link, f"a file can't be sent: {error}")

    def _note(self, event: str, detail: str = "") -> None:
        terms, level = self.terms, logging.INFO if event == "entered" else logging.WARNING
        if COORDINATOR.isEnabledFor(level):
            note(
                COORDINATOR,
                level,
                event,
                terms.run,
                self.name,
                at_ns=terms.clock(),
                state=self.state.name,
                detail=detail,
            )
