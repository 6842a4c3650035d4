"""What does `netbench calibrate` do? It runs equal arms, session by session, and says what the gate can see here."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench import options

if TYPE_CHECKING:
    from pytest_netbench.gate.calibration import Calibration, Sight
    from pytest_netbench.result.model import SessionRecord

_GIVEN = ("provider", "driver", "budget", "config")
NO_TESTS = 5


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Offer the subcommand."""
    parser = commands.add_parser("calibrate", help="measure what the gate can see here", description=__doc__)
    parser.add_argument("path", metavar="PATH", nargs="*", help="tests to calibrate, as for pytest; gated ones count")
    parser.add_argument("--sessions", metavar="N", type=int, default=10, help="sessions of equal arms (10)")
    parser.add_argument("--arm", metavar="ARM", default="as-is", help="what both arms are (default: as the tests are)")
    parser.add_argument("-k", dest="words", metavar="EXPR", help="only tests whose names fit")
    options.add_to(parser, prefix="", only=_GIVEN)


def run(args: argparse.Namespace) -> int:
    """Run the sessions, store what they came to, print what the gate sees.

    :returns: 1 if a session fails, 5 if no test is gated, else 0.
    """
    from pytest_netbench.gate.calibration import FILE, to_text
    from pytest_netbench.result.store import read, write_whole

    chosen = options.settings(start=Path.cwd(), command_line=options.given(args))
    records: list[SessionRecord] = []
    with tempfile.TemporaryDirectory(prefix="netbench-calibrate-") as folder:
        for number in range(max(1, args.sessions)):
            out = Path(folder) / str(number)
            done = subprocess.run([sys.executable, "-m", "pytest", *_arguments(args, out)], check=False)
            if done.returncode:
                return done.returncode
            records.append(read(out / "results.json"))
    found = gathered(records)
    if not found.tests:
        print("netbench: no test is gated: gate={...} in @pytest.mark.netbench(...) is needed", file=sys.stderr)
        return NO_TESTS
    write_whole(chosen.home / FILE, to_text(found).encode())
    for line in lines(found):
        print(line)
    print(f"stored in {chosen.home / FILE}")
    return 0


def _arguments(args: argparse.Namespace, out: Path) -> Iterator[str]:
    yield from ("-q", "-m", "netbench", f"--netbench-ab={args.arm},{args.arm}", "--netbench-gate=off")
    yield f"--netbench-out={out}"
    if args.words:
        yield from ("-k", args.words)
    for option in options.OPTIONS:
        value = getattr(args, option.dest, None) if option.flag in _GIVEN else None
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                yield f"--netbench-{option.flag}={one}"
    yield from args.path


def gathered(records: Iterable[SessionRecord]) -> Calibration:
    """What the gated metrics of several sessions of equal arms came to."""
    from pytest_netbench.gate.calibration import Calibration, Recorded
    from pytest_netbench.gate.limits import Gate
    from pytest_netbench.gate.pairs import NoRatio, in_order, ratios, usable
    from pytest_netbench.result.model import Verdict

    found: defaultdict[str, defaultdict[str, list[tuple[tuple[float, ...], bool, float]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    gates: dict[tuple[str, str], Gate] = {}
    environment = ""
    for record in records:
        environment = str(record.environment.get("hash", ""))
        for test in record.tests:
            pairs = usable(in_order(test.rounds))
            seconds = sum(one.duration_s for pair in pairs for one in pair.rounds.values()) / max(1, len(pairs))
            for name, one in test.verdicts.items():
                if one.gated and name in test.gates:
                    try:
                        values = tuple(ratios(pairs, name))
                    except NoRatio:
                        continue
                    gates[test.nodeid, name] = Gate(*test.gates[name])
                    found[test.nodeid][name].append((values, one.state is Verdict.FAIL, seconds))
    return Calibration(
        environment,
        {
            nodeid: {
                name: Recorded(
                    tuple(values for values, _, _ in sessions),
                    sum(failed for _, failed, _ in sessions),
                    sum(seconds for _, _, seconds in sessions) / len(sessions),
                    gates[nodeid, name],
                )
                for name, sessions in metrics.items()
            }
            for nodeid, metrics in found.items()
        },
    )


def lines(found: Calibration) -> Iterator[str]:
    """What the gate can and can't see, for people."""
    from pytest_netbench.gate.calibration import sight
    from pytest_netbench.gate.limits import limits

    for nodeid, metrics in found.tests.items():
        yield nodeid
        for name, recorded in metrics.items():
            seen = sight(recorded, limits(name, recorded.gate))
            yield f"  {name}: {_said(seen)}" if seen is not None else f"  {name}: too few pairs to say anything"


def _said(one: Sight) -> str:
    from pytest_netbench.gate.words import percent
    from pytest_netbench.result.words import count

    power = ", ".join(f"{effect:.0%} {found:.0%}" for effect, found in one.power.items())
    return (
        f"sees {percent(one.detectable)} with 40 pairs, {one.seconds:.0f} s; "
        f"{one.alarms} of {count(one.live, 'live run')} and {one.drawn_alarms} of {one.drawn} drawn ones were false "
        f"alarms (below {percent(one.bound)} with 95 %); caught of regressions: {power}; "
        f"{one.pairs:.0f} pairs on unchanged code; sessions differ by {percent(one.sigma)}"
    )
