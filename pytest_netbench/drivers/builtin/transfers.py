"""How are bytes moved? The steps of opening, sending, receiving and finishing, with and without a rate.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_netbench.drivers.builtin.ending import Ended
from pytest_netbench.drivers.builtin.engine import AGAIN, READ, WRITE, Waits
from pytest_netbench.drivers.builtin.thread import (
    CUT_OFF,
    END,
    MS,
    TURN,
    Compiler,
    ProtocolError,
    Rate,
    Step,
    Stream,
    Thread,
)
from pytest_netbench.scenario import model as m


def _send(operation: m.Send) -> Step:
    number, amount = operation.stream_id, operation.bytes

    def step(thread: Thread) -> Waits | None:
        side = thread.side
        stream = side.streams[number]
        if side.send_rates is not None and (rate := side.send_rates.get(number)) is not None:
            return _paced(thread, amount, rate, lambda budget: _send_rest(thread, stream, budget, amount))
        if amount:
            try:
                left = amount - stream.send(amount)
            except OSError as error:
                _lost(thread, stream, f"send {amount:,} bytes", error)
                return None
            if left:
                return _send_rest(thread, stream, left, amount)
        return None

    return step


def _send_rest(thread: Thread, stream: Stream, left: int, amount: int) -> Waits:
    """Send so many bytes of an operation's ``amount``."""
    turns = TURN
    thread.link = stream
    while True:
        if stream.full:
            yield WRITE
        try:
            sent = stream.send(left)
        except OSError as error:
            _lost(thread, stream, f"send {amount:,} bytes", error)
            return
        left -= sent
        if not left:
            return
        turns -= 1
        if not turns:
            turns = TURN
            yield AGAIN


def _receive(operation: m.Receive) -> Step:
    number, amount = operation.stream_id, operation.bytes

    def step(thread: Thread) -> Waits | None:
        side = thread.side
        stream = side.streams[number]
        if side.receive_rates is not None and (rate := side.receive_rates.get(number)) is not None:
            return _paced(thread, amount, rate, lambda budget: _receive_rest(thread, stream, budget, amount))
        left = amount
        if left and (not stream.idle or (stream.patient and thread.context.engine.may_block())):
            try:
                left -= max(stream.receive(left, stream.idle), 0)
            except OSError as error:
                _lost(thread, stream, f"receive {amount:,} bytes", error)
                return None
        return _receive_rest(thread, stream, left, amount) if left else None

    return step


def _receive_rest(thread: Thread, stream: Stream, left: int, amount: int) -> Waits:
    """Receive so many bytes of an operation's ``amount``."""
    turns = TURN
    patient = stream.patient
    thread.link = stream
    alone = False
    while True:
        if stream.idle:
            alone = patient and not alone and thread.context.engine.may_block()
            if not alone:
                yield READ
        try:
            came = stream.receive(left, alone)
        except OSError as error:
            _lost(thread, stream, f"receive {amount:,} bytes", error)
            return
        if came > 0:
            left -= came
            if not left:
                return
            alone = False
            turns -= 1
            if not turns:
                turns = TURN
                yield AGAIN
        elif came:
            _lost(thread, stream, f"receive {amount:,} bytes", f"the peer closed, {left:,} bytes are missing")
            return


def _receive_all(operation: m.ReceiveAll) -> Step:
    number = operation.stream_id

    def step(thread: Thread) -> Waits:
        side = thread.side
        rate = None if side.receive_rates is None else side.receive_rates.get(number)
        if rate is None:
            return _drain(thread, side.streams[number])
        return _paced(thread, None, rate, lambda budget: _drain(thread, side.streams[number], budget))

    return step


class _AllReceived(Exception):
    """The end of a stream was reached by an operation that has no amount."""


def _drain(thread: Thread, stream: Stream, budget: int | None = None) -> Waits:
    """Receive until the peer finishes, or so many bytes; the end within a budget raises ``_AllReceived``."""
    turns = TURN
    left = budget
    thread.link = stream
    while left is None or left:
        if stream.idle:
            yield READ
        try:
            came = stream.receive(_MOST if left is None else left, False)  # noqa: FBT003 - as its signature says
        except OSError as error:
            _lost(thread, stream, "receive all", error)
            came = END
        if came > 0:
            left = left if left is None else left - came
            turns -= 1
            if not turns:
                turns = TURN
                yield AGAIN
        elif came:
            if came == CUT_OFF:
                _lost(thread, stream, "receive all", "the peer closed before the stream was finished")
            if budget is None:
                return
            raise _AllReceived


_MOST = 1 << 62


def _paced(thread: Thread, amount: int | None, rate: Rate, transfer: Callable[[int], Waits]) -> Waits:
    """Transfer in periods: what the rate allows in each, then the rest of the period is waited for.

    No period's budget is carried over, a period begins when its first byte may go, and the last one's rest is left to
    the thread's next transfer with a rate.
    """
    budget, period = rate
    engine = thread.context.engine
    left = amount
    try:
        while left is None or left:
            yield from engine.sleep_until(thread.paced_until, thread)
            thread.paced_until = engine.clock() + period
            part = budget if left is None else min(budget, left)
            yield from transfer(part)
            left = left if left is None else left - part
    except _AllReceived:
        return


def _lost(thread: Thread, stream: Stream, operation: str, why: OSError | str) -> None:
    """The stream is gone. A failure, unless a time may cut it: then this end of it is over, too.

    :raises Ended: in a timed ``iterate``.
    :raises Failed: outside, on a stream that no time has cut.
    """
    broken = isinstance(why, ProtocolError)
    if thread.timed and not broken:
        raise Ended
    if broken or not stream.cut:
        reason = why if isinstance(why, str) else (why.strerror or str(why)).lower()
        raise thread.context.failure(stream, operation, reason) from None


def _finish(operation: m.SendFinish) -> Step:
    number = operation.stream_id

    def step(thread: Thread) -> None:
        thread.side.streams[number].finish()

    return step


def _refuse(operation: m.ReceiveFinish) -> Step:
    number = operation.stream_id

    def step(thread: Thread) -> Waits | None:
        stream = thread.side.streams[number]
        try:
            settled = stream.refuse()
        except OSError as error:
            _lost(thread, stream, "receive finish", error)
            return None
        return None if settled else _refuse_rest(thread, stream)

    return step


def _refuse_rest(thread: Thread, stream: Stream) -> Waits:
    """Wait until the peer has finished, too."""
    thread.link = stream
    try:
        while not stream.refuse():
            yield READ
    except OSError as error:
        _lost(thread, stream, "receive finish", error)


def _open(operation: m.OpenBidirectionalStream | m.OpenSendStream) -> Step:
    number, both_ways = operation.stream_id, isinstance(operation, m.OpenBidirectionalStream)
    if operation.fresh:
        return lambda thread: _open_afresh(thread, number, both_ways=both_ways)

    def step(thread: Thread) -> Waits | None:
        rest: Waits | None = thread.context.open(thread, number, both_ways)
        return rest

    return step


def _open_afresh(thread: Thread, number: int, *, both_ways: bool) -> Waits:
    """Open one more stream; from now on the thread has it under that number."""
    streams = thread.side.streams
    another: int = thread.context.another(number)
    rest = thread.context.open(thread, another, both_ways)
    if rest is not None:
        yield from rest
    streams[number] = streams[another]
    if another != number:
        del streams[another]


def _send_rate(operation: m.SendRate) -> Step:
    number, rate = operation.stream_id, (operation.bytes, operation.period_ms * MS)

    def step(thread: Thread) -> None:
        thread.side.send_rates = {**(thread.side.send_rates or {}), number: rate}

    return step


def _receive_rate(operation: m.ReceiveRate) -> Step:
    number, rate = operation.stream_id, (operation.bytes, operation.period_ms * MS)

    def step(thread: Thread) -> None:
        thread.side.receive_rates = {**(thread.side.receive_rates or {}), number: rate}

    return step


TRANSFERS: Mapping[type, Compiler] = {
    m.OpenBidirectionalStream: _open,
    m.OpenSendStream: _open,
    m.Send: _send,
    m.SendFinish: _finish,
    m.SendRate: _send_rate,
    m.Receive: _receive,
    m.ReceiveAll: _receive_all,
    m.ReceiveFinish: _refuse,
    m.ReceiveRate: _receive_rate,
}
