"""What does `netbench` do? It finds the subcommand, and turns our errors into one line and an exit status."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from pytest_netbench.errors import DriverMissing, NetbenchError, ScenarioError, Unsupported, UsageError

SUBCOMMANDS = ("doctor", "scenario", "run", "ab", "calibrate", "reap", "aws")

USAGE, FAILED, UNSUPPORTED, INTERRUPTED = 2, 1, 127, 130
"""Exit statuses: the call is wrong, the work failed, a driver can't do it (as drivers themselves say), Ctrl-C."""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="netbench", description="Network benchmarks as test cases: `pytest benches/`.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in SUBCOMMANDS:
        import_module(f"pytest_netbench.cli.{name}").add_parser(commands)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; returns its exit status."""
    args = parser().parse_args(arguments)
    try:
        return int(import_module(f"pytest_netbench.cli.{args.command}").run(args))
    except (DriverMissing, Unsupported) as error:
        return _complain(error, UNSUPPORTED)
    except (UsageError, ScenarioError) as error:
        return _complain(error, USAGE)
    except NetbenchError as error:
        return _complain(error, FAILED)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:  # `netbench ... | head`
        sys.stderr.close()
        return FAILED


def _complain(what: object, status: int) -> int:
    print(f"netbench: {what}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
