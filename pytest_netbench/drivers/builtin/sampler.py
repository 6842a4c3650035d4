"""Where is the driver's CPU time spent? The stack that the kernel's profiling timer meets, again and again.

Only where ``NETBENCH_PROFILE`` names a file, never in a round that is measured. The timer counts CPU time, so that
waiting takes no samples; how fine it is, the kernel says (a sample a tick, 4 ms at 250 ticks a second). Time in a
function of C counts for the Python function that called it.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

from pytest_netbench.telemetry.stacks import DEEPEST, to_text

_EVERY_S = 0.001


@contextmanager
def sampled(path: Path | None, process: int | None = None) -> Iterator[None]:
    """Sample what is done inside, and write its stacks; ``process``: which of several, each of which has a file."""
    if path is None:
        yield
        return
    sampler = _Sampler()
    sampler.begin()
    try:
        yield
    finally:
        sampler.end()
        place = path if process is None else path.with_name(f"{path.stem}-{process}{path.suffix}")
        place.write_text(sampler.text(), encoding="utf-8")


class _Sampler:
    def __init__(self) -> None:
        self._seen: Counter[tuple[CodeType, ...]] = Counter()

    def begin(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)

    def end(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)  # one may still be on its way

    def text(self) -> str:
        named: Counter[tuple[str, ...]] = Counter()
        for stack, count in self._seen.items():
            named[tuple(_name(code) for code in stack)] += count
        return to_text(named)

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        stack: list[CodeType] = []
        while frame is not None:
            stack.append(frame.f_code)
            frame = frame.f_back
        self._seen[tuple(reversed(stack[-DEEPEST:]))] += 1


def _name(code: CodeType) -> str:
    return f"{Path(code.co_filename).stem}.{code.co_qualname}"
