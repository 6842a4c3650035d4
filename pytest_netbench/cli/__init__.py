"""What does `netbench` do on the command line? One file a subcommand."""

import sys


def to_errors(line: str) -> None:
    """Say a line on standard error."""
    print(f"netbench: {line}", file=sys.stderr, flush=True)
