"""Is no time lost where somebody ends a session and may not wait?"""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_netbench.session.bridge import SESSION
from pytest_netbench.session.recording import Recorder
from pytest_netbench.session.session import Session


def interrupt(*, hurried: bool) -> pytest.ExceptionInfo[KeyboardInterrupt]:
    """What pytest is about to write of an interrupt, three calls deep."""

    def deep(calls: int) -> None:
        if calls:
            deep(calls - 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as found:
        deep(3)
    config = SimpleNamespace(stash={SESSION: SimpleNamespace(hurried=hurried)})
    Recorder.pytest_keyboard_interrupt(cast("Any", SimpleNamespace(_config=config)), cast("Any", found))
    return found


def test_an_interrupt_is_told_in_full_or_in_one_frame() -> None:
    """Ctrl-C as ever; SIGTERM and SIGHUP by the place where they came, since pytest reads the source of each frame."""
    assert len(interrupt(hurried=False).traceback) > 3
    assert len(interrupt(hurried=True).traceback) == 1


def test_what_is_loaded_is_not_searched_for_garbage() -> None:
    """By any of pytest's last collections."""
    try:
        Session.hurry(cast("Any", SimpleNamespace(provider=None)))
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
