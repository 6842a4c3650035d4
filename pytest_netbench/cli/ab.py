"""What does `netbench ab REF CAND` do? It runs the benchmarks with both, interleaved, and ends with one verdict."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator

from pytest_netbench.settings import options

NO_TESTS = 5
"""pytest's status where it found none."""

_GIVEN = ("provider", "driver", "rounds", "budget", "gate", "length", "baseline", "accept", "out", "config")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Offer the subcommand."""
    parser = commands.add_parser("ab", help="run benchmarks with two arms, interleaved", description=__doc__)
    parser.add_argument(
        "ref", metavar="REF", help="reference: a git ref, merge-base, driver:NAME, path:DIR, option:K=V"
    )
    parser.add_argument("cand", metavar="CAND", help="candidate: the same, or worktree")
    parser.add_argument(
        "path", metavar="PATH", nargs="*", help="tests to run, as for pytest (default: as pytest finds)"
    )
    parser.add_argument("-m", dest="marks", metavar="EXPR", help="only tests with these marks, as `incast`")
    parser.add_argument("-k", dest="words", metavar="EXPR", help="only tests whose names fit")
    parser.add_argument("--junitxml", metavar="FILE", help="also write a JUnit report")
    options.add_to(parser, prefix="", only=_GIVEN)


def run(args: argparse.Namespace) -> int:
    """Run pytest on the benchmarks.

    :returns: pytest's status: 0 if no test fails, 1 if one does, 5 if there is none.
    """
    done = subprocess.run([sys.executable, "-m", "pytest", *arguments(args)], check=False)
    if done.returncode == NO_TESTS:
        print("netbench: no benchmark here: a test with @pytest.mark.netbench(...) is needed", file=sys.stderr)
    return done.returncode


def arguments(args: argparse.Namespace) -> Iterator[str]:
    """The command line for pytest."""
    yield from ("-m", f"netbench and ({args.marks})" if args.marks else "netbench")
    if args.words:
        yield from ("-k", args.words)
    if args.junitxml:
        yield f"--junitxml={args.junitxml}"
    yield f"--netbench-ab={args.ref},{args.cand}"
    for option in options.OPTIONS:
        value = getattr(args, option.dest, None) if option.flag in _GIVEN else None
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                yield f"--netbench-{option.flag}={one}"
    yield from args.path
