"""Does the window of CPU time begin with the first connection that is up, and end when the last has done its work?"""

from __future__ import annotations

import time

import pytest

from pytest_netbench.drivers.builtin.recorder import Recorder


class Clock:
    """CPU seconds of this process, as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0
        monkeypatch.setattr(time, "process_time_ns", lambda: self.seconds * 1_000_000_000)


def cpu(recorder: Recorder) -> float:
    used = recorder.report().cpu
    assert used is not None
    return used.seconds


def test_the_window_ends_where_nobody_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a connection costs that comes after a pause belongs to it, what comes after the last one doesn't."""
    clock, recorder = Clock(monkeypatch), Recorder(())
    for begin, end in ((3, 5), (9, 14)):
        clock.seconds = begin
        recorder.open_window()
        clock.seconds = end
        assert recorder.close_window()
        recorder.rest()
        clock.seconds += 2
        assert cpu(recorder) == end - 3


def test_the_window_is_open_while_a_connection_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ends beside another ends nothing."""
    clock, recorder = Clock(monkeypatch), Recorder(())
    recorder.open_window()
    recorder.open_window()
    assert not recorder.close_window()
    recorder.rest()
    clock.seconds = 8
    assert cpu(recorder) == 8


def test_without_a_connection_there_is_no_window() -> None:
    """A start alone is never counted."""
    assert Recorder(()).report().cpu is None
