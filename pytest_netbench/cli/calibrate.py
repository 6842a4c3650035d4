"""What does `netbench calibrate` do? It runs equal arms, session by session, and says what the gate can see here."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.settings import options

if TYPE_CHECKING:
    from pytest_netbench.gate.calibration import Calibration, Recorded, Sight
    from pytest_netbench.gate.limits import Limits
    from pytest_netbench.result.model import SessionRecord
    from pytest_netbench.settings.options import Settings

_GIVEN = ("provider", "driver", "budget", "length", "config")
NO_TESTS = 5

OF_A_BUILD = 3
"""Sessions with each other build: its difference is to be known more exactly than eight pairs tell."""


class _Failed(Exception):
    """A session failed, with pytest's status; its own words stand above."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Offer the subcommand."""
    parser = commands.add_parser("calibrate", help="measure what the gate can see here", description=__doc__)
    parser.add_argument("path", metavar="PATH", nargs="*", help="tests to calibrate, as for pytest; gated ones count")
    parser.add_argument("--sessions", metavar="N", type=_count(1), default=10, help="sessions of equal arms (10)")
    parser.add_argument("--arm", metavar="ARM", default="as-is", help="what both arms are (default: as the tests are)")
    parser.add_argument(
        "--builds",
        metavar="N",
        type=_count(0),
        default=2,
        help="other builds of the same commit, of drivers that are built (2)",
    )
    parser.add_argument("--slower", metavar="ARM", help="an arm that is known to be slower: how often is that caught?")
    parser.add_argument("-k", dest="words", metavar="EXPR", help="only tests whose names fit")
    options.add_to(parser, prefix="", only=_GIVEN)


def _count(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, found {text!r}")
        return int(text)

    return parse


@dataclass(frozen=True, slots=True)
class Sessions:
    """The records of all sessions: of equal arms, of each other build against the first, of a slower arm."""

    equal: tuple[SessionRecord, ...] = ()
    builds: tuple[tuple[SessionRecord, ...], ...] = ()
    slower: tuple[SessionRecord, ...] = ()


def run(args: argparse.Namespace) -> int:
    """Run the sessions, store what they came to, print what the gate sees.

    :returns: 1 if a session fails, 5 if no test is gated, else 0.
    """
    from pytest_netbench.gate.calibration import FILE, Calibration, sights, to_text
    from pytest_netbench.gate.gathering import gathered
    from pytest_netbench.result.store import write_whole

    chosen = options.settings(start=Path.cwd(), command_line=options.given(args))
    path, found = chosen.home / FILE, Calibration()
    with tempfile.TemporaryDirectory(prefix="netbench-calibrate-") as folder:
        try:
            for done in _sessions(args, chosen, Path(folder)):
                found = gathered(done.equal, done.builds, done.slower, args.slower or "")
                if not found.tests:
                    print("netbench: no test is gated: gate={...} in @pytest.mark.netbench(...)", file=sys.stderr)
                    return NO_TESTS
                write_whole(path, to_text(found).encode())  # a run that is broken off leaves what it had
        except _Failed as failure:
            return failure.status
    seen = sights(found)
    write_whole(path, to_text(found, seen).encode())
    for line in lines(found, seen):
        print(line)
    print(f"stored in {path}")
    return 0


def _sessions(args: argparse.Namespace, chosen: Settings, folder: Path) -> Iterator[Sessions]:
    """Run them one after another; all that were run until then, after each."""
    from pytest_netbench.drivers.repository import WORKTREE
    from pytest_netbench.gate.arms import arm
    from pytest_netbench.result.store import read

    def session(ref: str, cand: str) -> SessionRecord:
        with tempfile.TemporaryDirectory(dir=folder) as out:
            done = subprocess.run([sys.executable, "-m", "pytest", *_arguments(args, out, ref, cand)], check=False)
            if done.returncode:
                raise _Failed(done.returncode)
            return read(Path(out) / "results.json")

    done = Sessions()
    for _ in range(args.sessions):
        done = replace(done, equal=(*done.equal, session(args.arm, args.arm)))
        yield done
    built = any(_is_built(name, chosen) for one in done.equal for test in one.tests for name in test.driver.split("/"))
    ref = arm(args.arm).build or WORKTREE
    for number in range(1, args.builds + 1 if built else 1):
        another: tuple[SessionRecord, ...] = ()
        while len(another) < OF_A_BUILD and not any(map(_same, another)):
            another = (*another, session(ref, f"again-{number}:{ref}"))
        done = replace(done, builds=(*done.builds, another))
        yield done
    for _ in range(args.sessions if args.slower else 0):
        done = replace(done, slower=(*done.slower, session(args.arm, args.slower)))
        yield done


def _same(one: SessionRecord) -> bool:
    """Whether no arm of a session differed from the other: what builds differ by needs no more of them then."""
    return all(test.comparison is None or test.comparison.note for test in one.tests)


def _is_built(names: str, chosen: Settings) -> bool:
    from pytest_netbench.settings.marker import EACH

    return any(chosen.driver_rows.get(name, {}).get("build") for name in names.split(EACH))


def _arguments(args: argparse.Namespace, out: str, ref: str, cand: str) -> Iterator[str]:
    yield from ("-q", "-m", "netbench", f"--netbench-ab={ref},{cand}", "--netbench-gate=off")
    yield f"--netbench-out={out}"
    if args.words:
        yield from ("-k", args.words)
    for option in options.OPTIONS:
        value = getattr(args, option.dest, None) if option.flag in _GIVEN else None
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                yield f"--netbench-{option.flag}={one}"
    yield from args.path


def lines(found: Calibration, seen: Mapping[str, Mapping[str, Sight | None]]) -> Iterator[str]:
    """What the gate can and can't see, for people."""
    from pytest_netbench.gate.limits import limits

    for nodeid, metrics in found.tests.items():
        yield nodeid
        for name, recorded in metrics.items():
            bounds = limits(name, recorded.gate, sigma=recorded.sigma, rebuild=recorded.rebuild)
            one = seen[nodeid][name]
            said = ["too few pairs to say anything"] if one is None else _said(one, bounds)
            yield f"  {name}: {'; '.join([*said, *_measured(recorded)])}"


def _said(one: Sight, bounds: Limits) -> Iterator[str]:
    from pytest_netbench.gate.words import percent
    from pytest_netbench.result.words import count

    yield f"{percent(one.detectable)} with 40 pairs, {one.seconds:.0f} s"
    yield (
        f"{one.alarms} of {count(one.live, 'live run')} and {one.drawn_alarms} of {one.drawn} drawn ones were false "
        f"alarms (below {percent(one.bound)} with 95 %)"
    )
    power = ", ".join(f"{effect:.0%} {found:.0%}" for effect, found in one.power.items())
    yield f"caught of scaled regressions: {power}"
    yield f"{one.pairs:.0f} pairs on unchanged code"
    if bounds.blind:
        yield f"between builds nothing can be decided: they differ by as much as {percent(bounds.must_detect)}"


def _measured(one: Recorded) -> Iterator[str]:
    from pytest_netbench.gate.estimate import estimate, share
    from pytest_netbench.gate.words import change, percent
    from pytest_netbench.result.words import count

    yield f"sessions differ by {percent(share(one.sigma))}"
    if one.builds:
        same = sum(not build for build in one.builds)
        yield f"{count(len(one.builds), 'other build')} of the same commit: " + (
            "the same, byte for byte" if same == len(one.builds) else f"they differ by {percent(one.rebuild)}"
        )
    if one.slower is not None:
        found = share(estimate(one.slower.ratios).mean) if len(one.slower.ratios) > 1 else 0.0
        yield f"caught {one.slower.caught} of {one.slower.runs} times in {one.slower.arm}, which is {change(found)}"
